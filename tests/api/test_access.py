"""Who may do what: scopes, keys of one company, expiry, rate limits, headers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ops.keys import SCOPES
from store import secrets
from store.tables import ApiKey
from tests.support import stores
from tests.support.stores import Clock
from tms_api.access import RateLimiter, Scope, required_scope
from tms_api.app import build_app

from .conftest import NOW, World, an_invoice

ONE = "/v1/companies/acme"


def _key(world: World, text: str, **fields: Any) -> dict[str, str]:
    with world.database.transaction() as session:
        session.add(ApiKey(id=text, name=text, key_hash=secrets.fingerprint(text), created_at=NOW, **fields))
    return {"Authorization": f"Bearer {text}"}


async def _operations(world: World) -> list[tuple[str, str]]:
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    return [(method.upper(), path) for path, item in paths.items() if path.startswith("/v1") for method in item]


def _concrete(path: str, company: str) -> str:
    path = path.replace("{company}", company).replace("{kind}", "invoice").replace("{section}", "terms")
    return re.sub(r"\{[^}]*\}", "x", path)


def test_the_command_knows_the_same_scopes() -> None:
    """Two lists, one meaning."""
    assert list(SCOPES) == [scope.value for scope in Scope]


async def test_a_reading_key_changes_nothing(world: World) -> None:
    """Every operation that needs more than `read` answers 403 to a key that may only read, whatever the body."""
    await world.connect()
    headers = _key(world, "reader", scopes="read")
    refused = allowed = 0
    for method, path in await _operations(world):
        answer = await world.http.request(method, _concrete(path, "acme"), headers=headers)
        if required_scope(method, path) is Scope.READ:
            assert answer.status_code != 403, (method, path)
            allowed += 1
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), (method, path)
            refused += 1
    assert refused >= 9
    assert allowed >= 8


@pytest.mark.parametrize(
    ("scopes", "method", "path", "allowed"),
    [
        ("export", "POST", "/exports", True),
        ("export", "GET", "", True),
        ("export", "PUT", "/mapping", False),
        ("export", "PATCH", "", False),
        ("configure", "PUT", "/mapping", True),
        ("configure", "PATCH", "", True),
        ("configure", "POST", "/exports", False),
        ("configure", "POST", "/password", False),
        ("configure", "POST", "/rotate-ids", False),
        ("read", "POST", "/exports/preview", True),
        ("export configure", "POST", "/exports", True),
        ("admin", "POST", "/password", True),
        ("", "GET", "", False),
        ("future", "GET", "", False),
    ],
)
async def test_scopes(world: World, scopes: str, method: str, path: str, allowed: bool) -> None:
    """A scope opens its routes and no others."""
    await world.connect()
    headers = _key(world, "some", scopes=scopes)
    answer = await world.http.request(method, ONE + path, headers=headers, json={})
    assert (answer.status_code != 403) is allowed


async def test_a_key_of_one_company_learns_nothing_of_others(world: World) -> None:
    """For every operation a company that exists and one that does not give the same answer, to the byte."""
    await world.connect("acme")
    await world.connect("rival")
    headers = _key(world, "acmes", scopes="admin", company_id="acme")
    checked = 0
    for method, path in await _operations(world):
        if "{company}" not in path:
            continue
        foreign = await world.http.request(method, _concrete(path, "rival"), headers=headers, json={"document": {}})
        absent = await world.http.request(method, _concrete(path, "nobody"), headers=headers, json={"document": {}})
        assert (foreign.status_code, foreign.json()["code"]) == (404, "company_not_found"), (method, path)
        assert foreign.content == absent.content
        checked += 1
    assert checked >= 16
    assert (await world.http.get(ONE, headers=headers)).status_code == 200
    listed = (await world.http.get("/v1/companies", headers=headers)).json()
    assert [item["id"] for item in listed["items"]] == ["acme"]
    created = await world.http.post(
        "/v1/companies", headers=headers, json={"id": "rival", "name": "x", "quickbooks_release": "2024"}
    )
    assert (created.status_code, created.json()["code"]) == (403, "key_of_one_company")


async def test_a_key_runs_out(world: World) -> None:
    """A key works until its end and not at it."""
    for end, status in ((NOW + timedelta(seconds=1), 200), (NOW, 401), (NOW - timedelta(days=1), 401)):
        headers = _key(world, f"until-{end.timestamp()}", scopes="read", expires_at=end)
        assert (await world.http.get("/v1/companies", headers=headers)).status_code == status


async def test_the_document_names_each_scope(world: World) -> None:
    """Every operation says which scope it needs, and that it may answer 401, 403 and 429."""
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            if path.startswith("/v1"):
                assert operation["x-required-scope"] == required_scope(method.upper(), path)
                assert {"401", "403", "429"} <= set(operation["responses"])


async def test_security_headers_are_on_every_answer(world: World) -> None:
    """Results, refusals and probes carry them."""
    for path in ("/v1/companies", "/nowhere", "/healthz", "/openapi.json"):
        answer = await world.http.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("world_options", [{"rate_limit_per_minute": 5}])
async def test_too_many_requests(world: World) -> None:
    """The sixth request of a minute is refused with the time to wait; another key is not concerned."""
    answers: list[httpx.Response] = [await world.http.get("/v1/companies") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[0].headers["ratelimit"] == '"key";r=4;t=12'
    assert answers[0].headers["ratelimit-policy"] == '"key";q=5;w=60'
    refused = answers[-1]
    assert refused.json()["code"] == "too_many_requests"
    assert refused.headers["retry-after"] == "12"
    other = _key(world, "other", scopes="read")
    assert (await world.http.get("/v1/companies", headers=other)).status_code == 200
    assert (await world.http.get("/healthz")).status_code == 200


@settings(deadline=None)
@given(gaps=st.lists(st.floats(0, 30), min_size=1, max_size=300), per_minute=st.integers(1, 100))
def test_the_bucket_never_lets_more_through(gaps: list[float], per_minute: int) -> None:
    """In any minute at most the bucket and its refill pass, and waiting as told is enough."""
    clock = Clock()
    limiter = RateLimiter(per_minute, clock)
    passed: list[float] = []
    for gap in gaps:
        clock.forward(seconds=gap)
        allowance = limiter.take("k")
        assert allowance is not None
        if not allowance.retry_after_s:
            passed.append(clock().timestamp())
        else:
            clock.forward(seconds=allowance.retry_after_s)
            again = limiter.take("k")
            assert again is not None
            assert not again.retry_after_s
            passed.append(clock().timestamp())
    for start in passed:
        assert sum(start <= at < start + 60 for at in passed) <= 2 * per_minute + 1


async def test_a_refused_request_costs_no_export(world: World) -> None:
    """What a key may not do is refused before anything is stored."""
    await world.connect()
    headers = _key(world, "reader", scopes="read")
    answer = await world.http.post(f"{ONE}/exports", headers=headers, json={"document": an_invoice()})
    assert answer.status_code == 403
    assert (await world.http.get(f"{ONE}/exports")).json()["items"] == []
    assert world.exporter.starts == []


async def test_two_applications_in_one_process_share_nothing_but_their_code(world: World, tmp_path: Path) -> None:
    """Routes are analysed once for all: keys, companies, limits and the count of wrong keys stay each one's own."""
    (tmp_path / "other").mkdir()
    for other in stores.sqlite(tmp_path / "other"):
        services = replace(
            world.app.state.services, database=other, registry=CollectorRegistry(), rate_limit_per_minute=2
        )
        transport = httpx.ASGITransport(build_app(services))
        with other.transaction() as session:
            session.add(ApiKey(id="k2", name="other", key_hash=secrets.fingerprint("other"), created_at=NOW))
        headers = {"Authorization": "Bearer other"}
        async with httpx.AsyncClient(transport=transport, base_url="http://other", headers=headers) as http:
            await world.connect()
            assert (await http.get(ONE)).json()["code"] == "company_not_found"
            assert (await http.get("/v1/companies")).json()["items"] == []
            assert (await http.get("/v1/companies")).status_code == 429
            assert (await http.get(ONE, headers=dict(world.http.headers))).json()["code"] == "key_unknown"
        assert (await world.http.get(ONE, headers=headers)).json()["code"] == "key_unknown"
        assert [(await world.http.get(ONE)).status_code for _ in range(3)] == [200] * 3
