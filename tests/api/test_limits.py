"""What the API bears: guesses, sizes, depths, slowness; and the headers that every answer carries."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from ops.http_server import HEAD_BYTES_MAX, StrictProtocol, server_config
from ops.settings import load_settings
from tests.api.conftest import KEY, World, an_invoice
from tms_api import security


async def test_unknown_api_keys_are_slowed_down_by_address(world: World) -> None:
    """A key that was good a moment ago goes on; others wait until the minute has passed."""
    assert (await world.http.get("/v1/companies")).status_code == 200
    wrong = {"Authorization": "Bearer qbd_guess"}
    answers = [await world.http.get("/v1/companies", headers=wrong) for _ in range(62)]
    assert [one.status_code for one in answers[:60]] == [401] * 60
    assert {one.status_code for one in answers[60:]} == {429}
    assert answers[-1].json()["code"] == "too_many_unknown_keys"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert (await world.http.get("/v1/companies")).status_code == 200
    assert KEY not in answers[-1].text


@pytest.mark.parametrize("depth", [60, 900, 5_000, 200_000])
@pytest.mark.parametrize("where", ["body", "document", "mapping"])
async def test_deep_json_is_refused_and_breaks_nothing(world: World, depth: int, where: str) -> None:
    """Neither a crash of the parser nor a fault of ours: a plain refusal."""
    await world.connect()
    deep = "[" * depth + "]" * depth
    if where == "mapping":
        answer = await world.http.put(
            "/v1/companies/acme/mapping", content=f'{{"charges": {{"X": {deep}}}}}', headers=JSON
        )
    else:
        document = json.dumps(an_invoice(memo="@")).replace('"@"', deep) if where == "document" else deep
        answer = await world.http.post(
            "/v1/companies/acme/exports", content=f'{{"document": {document}}}', headers=JSON
        )
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


JSON = {"Content-Type": "application/json"}


async def test_numbers_and_texts_of_any_length_are_refused(world: World) -> None:
    await world.connect()
    for memo in ("9" * 5000, "-" + "1" * 100_000, "1e999999"):
        text = json.dumps(an_invoice(memo="@")).replace('"@"', memo)
        answer = await world.http.post("/v1/companies/acme/exports", content=f'{{"document": {text}}}', headers=JSON)
        assert answer.status_code in (400, 422), answer.text
    lines = [{"id": str(n), "charge": "LINEHAUL", "amount": "1.00"} for n in range(1001)]
    answer = await world.export(an_invoice(lines=lines, total="1001.00"))
    assert answer.status_code == 422


async def test_a_body_that_does_not_come_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_S", 0.05)

    async def body() -> Any:
        yield b'{"document": '
        await asyncio.Event().wait()

    answer = await world.http.post("/v1/companies/acme/exports", content=body(), headers=JSON)
    assert answer.status_code == 408
    assert answer.json()["code"] == "request_timeout"


class Hasty(StrictProtocol):
    header_s = 0.2


async def test_connections_without_a_whole_header_are_closed(world: World) -> None:
    """Silent ones and slow ones alike, also after a first request; headers have a size limit; no banner is shown."""
    config = server_config(world.app, load_settings({}), port=0, host="127.0.0.1", lifespan="off")
    config.http = Hasty
    config.timeout_keep_alive = 1
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    async def answer_to(*parts: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = b""
        for part in parts:
            writer.write(part)
            await writer.drain()
            if part == whole:
                answers += await reader.readuntil(b"}")
        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):  # it is closed while we still send
                answers += await reader.read()
        writer.close()
        return answers

    assert await answer_to() == b""
    assert await answer_to(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
    first = await answer_to(whole, b"GET /healthz HTTP/1.1\r\nHo")
    assert first.count(b"HTTP/1.1 200") == 1
    assert b"\r\nserver:" not in first.lower()
    huge = await answer_to(b"GET / HTTP/1.1\r\nX: " + b"a" * (2 * HEAD_BYTES_MAX) + b"\r\n\r\n")
    assert huge.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431")) or huge == b""
    server.should_exit = True
    await serving


@pytest.mark.parametrize("is_https", [True, False])
async def test_every_answer_carries_the_security_headers(world: World, is_https: bool) -> None:
    """Refusals and unknown addresses too. HSTS only where browsers come by https; no other site may read."""
    from dataclasses import replace

    import httpx
    from prometheus_client import CollectorRegistry

    from tms_api.app import build_app

    services = replace(world.app.state.services, registry=CollectorRegistry(), is_public_https=is_https)
    transport = httpx.ASGITransport(build_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        for path in ("/healthz", "/openapi.json", "/v1/companies", "/nothing", "/metrics"):
            answer = await http.get(path, headers={"Origin": "https://evil.example"})
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert ("strict-transport-security" in answer.headers) is is_https
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        preflight = await http.options("/v1/companies", headers={"Origin": "https://evil.example"})
        assert not [name for name in preflight.headers if name.startswith("access-control-")]
