"""Every refusal is a problem detail, and the log tells nothing that it should not."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.exc import DataError

from store.tables import ApiKey

from .conftest import KEY, NOW, World, an_invoice

BASE = "/v1/companies/acme"


def _check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"].endswith(f":{code}")
    assert problem["title"]
    assert problem["detail"]
    assert isinstance(problem["issues"], list)
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "route_not_found"),
        ("GET", "/v1/nowhere", 404, "route_not_found"),
        ("GET", "/v1/companies/", 404, "route_not_found"),
        ("DELETE", BASE, 405, "method_not_allowed"),
        ("PUT", "/v1/companies", 405, "method_not_allowed"),
        ("GET", "/v1/companies/nobody", 404, "company_not_found"),
        ("GET", "/v1/companies/a%20b", 404, "not_found"),
        ("GET", "/v1/companies/%2e%2e/qwc", 404, "not_found"),
        ("GET", f"{BASE}/exports/letter/x", 404, "not_found"),
        ("GET", f"{BASE}/exports/invoice/x", 404, "export_not_found"),
        ("POST", f"{BASE}/exports/invoice/x/retry", 404, "export_not_found"),
        ("POST", f"{BASE}/exports/invoice/x/cancel", 404, "export_not_found"),
        ("GET", "/v1/companies/nobody/exports", 404, "company_not_found"),
        ("GET", "/v1/companies/nobody/mapping", 404, "company_not_found"),
        ("POST", "/v1/companies/nobody/password", 404, "company_not_found"),
        ("GET", "/v1/companies?limit=x", 422, "request_invalid"),
    ],
)
async def test_wrong_addresses(world: World, method: str, path: str, status: int, code: str) -> None:
    """Unknown routes, ids and methods are problems like any other."""
    await world.connect()
    answer = await world.http.request(method, path)
    _check(answer, status, code)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b'{"document": ' + b"[" * 100_000, "application/json", 400, "malformed_json"),
        (b"\xff\xfe", "application/json", 400, "malformed_json"),
        (b'{"document": ' + b"9" * 5000 + b"}", "application/json", 400, "malformed_json"),
        (b"", "application/json", 422, "request_invalid"),
        (b"[]", "application/json", 422, "request_invalid"),
        (b"{}", "application/json", 422, "request_invalid"),
        (b'{"document": []}', "application/json", 422, "request_invalid"),
        (b"{}", "text/plain", 422, "request_invalid"),
        (b'{"document": {"total": NaN}}', "application/json", 422, "request_invalid"),
        (b'{"document": {"\\ud800": 1}}', "application/json", 422, "request_invalid"),
        (b'{"document": {"kind": "invoice", "id": "\\ud800"}}', "application/json", 422, "request_invalid"),
        (b'{"\\ud800": 1}', "application/json", 422, "request_invalid"),
    ],
)
async def test_wrong_bodies(world: World, content: bytes, content_type: str, status: int, code: str) -> None:
    """A body that cannot be read is a problem, whatever is wrong with it."""
    await world.connect()
    headers = {"Content-Type": content_type}
    answer = await world.http.post(f"{BASE}/exports", content=content, headers=headers)
    problem = _check(answer, status, code)
    assert (status == 422) == bool(problem["issues"])


async def test_large_bodies_are_refused(world: World) -> None:
    """More than the limit is refused, declared or streamed, and a document of the limit is not."""
    await world.connect()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    headers = {"Content-Type": "application/json"}
    for content in (b" " * (8 * 1024 * 1024 + 1), chunks()):
        answer = await world.http.post(f"{BASE}/exports", content=content, headers=headers)
        _check(answer, 413, "body_too_large")
    fits = await world.http.post(f"{BASE}/exports", content=b" " * (8 * 1024 * 1024), headers=headers)
    assert fits.status_code != 413


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "key_missing"),
        ("", "key_missing"),
        ("Bearer", "key_missing"),
        (f"Basic {KEY}", "key_missing"),
        (KEY, "key_missing"),
        ("Bearer wrong", "key_unknown"),
        (f"Bearer {KEY}x", "key_unknown"),
        (f"Bearer {'k' * 5000}", "key_unknown"),
    ],
)
async def test_keys(world: World, header: str | None, code: str) -> None:
    """Without a known key nothing is told, not even whether the body can be read."""
    await world.connect()
    world.http.headers.pop("authorization")
    headers = {"Content-Type": "application/json"} | ({} if header is None else {"Authorization": header})
    answer = await world.http.post(f"{BASE}/exports", content=b"{", headers=headers)
    _check(answer, 401, code)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_revoked_key_ends_at_once(world: World) -> None:
    """A revoked key is an unknown one."""
    assert (await world.http.get("/v1/companies")).status_code == 200
    with world.database.transaction() as session:
        key = session.get(ApiKey, "k1")
        assert key is not None
        key.revoked_at = NOW
    _check(await world.http.get("/v1/companies"), 401, "key_unknown")


async def test_no_route_forgets_the_key(world: World) -> None:
    """Every operation under /v1 answers 401 without a key."""
    world.http.headers.pop("authorization")
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    operations = [(method, path) for path, item in paths.items() if path.startswith("/v1") for method in item]
    assert len(operations) >= 16
    for method, path in operations:
        concrete = path.replace("{kind}", "invoice").replace("{section}", "terms")
        answer = await world.http.request(method, re.sub(r"\{[^}]*\}", "x", concrete))
        _check(answer, 401, "key_missing")


async def test_our_own_fault_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception becomes a bare 500; the log has where it happened, but not what was in it."""
    await world.connect()

    async def broken(*args: Any, **more: Any) -> None:
        raise DataError("insert", {"name": "Cafe Rio Foods"}, ValueError("Cafe Rio Foods"))

    await world.export(an_invoice())
    monkeypatch.setattr(world.exporter, "cancel", broken)
    with structlog.testing.capture_logs() as lines:
        answer = await world.http.post("/v1/companies/acme/exports/invoice/inv_48213/cancel")
    problem = _check(answer, 500, "internal_error")
    assert "DataError" not in json.dumps(problem)
    [failure, refusal] = lines
    assert failure["error"][0] == "sqlalchemy.exc.DataError"
    assert "test_errors.py" in failure["traceback"]
    assert "Cafe Rio" not in str([{**failure, "traceback": ""}, refusal])


async def test_database_away(world: World) -> None:
    """A database that does not answer is 503, for requests and for the probe; the process itself is well."""

    @event.listens_for(world.database.engine, "do_connect")
    def lead_astray(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        if world.database.is_sqlite:
            arguments[:] = ["/nowhere/qbd.sqlite"]
        else:
            options["port"] = 1

    world.database.engine.dispose()
    _check(await world.http.get("/v1/companies"), 503, "database_unavailable")
    _check(await world.http.get("/readyz"), 503, "not_ready")
    assert (await world.http.get("/healthz")).json() == {"status": "ok"}


async def test_probes_and_metrics(world: World) -> None:
    """Probes need no key and follow Temporal; metrics count requests by route template."""
    await world.connect()
    world.http.headers.pop("authorization")
    assert (await world.http.get("/readyz")).json() == {"status": "ok", "database": "ok", "temporal": "ok"}
    world.exporter.is_away = True
    assert "Temporal" in _check(await world.http.get("/readyz"), 503, "not_ready")["detail"]
    await world.http.get("/secret/cus_88")
    text = (await world.http.get("/metrics")).text
    assert 'qbd_api_requests_total{method="POST",route="/v1/companies",status="201"} 1.0' in text
    assert 'route="/v1/companies/{company}/mapping"' in text
    assert "cus_88" not in text


async def test_log_of_a_refusal(world: World) -> None:
    """A refused request leaves method, route template, status, code and company, and nothing else."""
    await world.connect()
    with structlog.testing.capture_logs() as lines:
        await world.export(an_invoice(total="1.00", memo="Secret memo"))
        await world.http.get(f"{BASE}/exports/invoice/cus_88")
    [line, other] = lines
    assert line == {
        "event": "request_refused",
        "log_level": "warning",
        "method": "POST",
        "route": "/v1/companies/{company}/exports",
        "status": 422,
        "code": "document_not_exportable",
        "company": "acme",
    }
    assert other["route"] == "/v1/companies/{company}/exports/{kind}/{document_id}"


async def test_openapi_describes_documents_and_problems(world: World) -> None:
    """Every field has a description; documents and problems are in the schema; every reference leads somewhere."""
    spec = (await world.http.get("/openapi.json")).json()
    schemas = spec["components"]["schemas"]
    assert {"Invoice", "CarrierBill", "CompanyMapping", "Problem", "Issue"} <= set(schemas)
    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(spec)))
    assert references <= set(schemas)
    ours = ("NewCompany", "CompanyView", "ExportPanel", "NewExport", "Problem", "Invoice", "Issue", "ErrorView")
    bare = [
        f"{name}.{field}"
        for name in ours
        for field, part in schemas[name]["properties"].items()
        if not part.get("description")
    ]
    assert bare == []
    for path, item in spec["paths"].items():
        for operation in item.values():
            assert operation["summary"] or operation["description"]
            if path.startswith("/v1"):
                assert operation["security"] == [{"key": []}]
                assert "application/problem+json" in operation["responses"]["401"]["content"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.long)])
def test_schemathesis_finds_nothing(
    world: World, serving: Callable[[FastAPI], AbstractContextManager[str]], examples: int
) -> None:
    """Made-up requests get answers that the description promises, and never a 500."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    headers = {"Authorization": f"Bearer {KEY}"}
    with serving(world.app) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def check(case: Any) -> None:
                case.call_and_validate(headers=headers, checks=checks)

            check()
