"""The codec server shows staff what is encrypted, and nobody else; against a real history of the real server."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToJson
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.testing import WorkflowEnvironment

from ops import codec_server, wiring
from ops.codec_server import build_codec_app
from ops.embedded import server_command
from ops.payload_codec import ENCODING, EncryptionCodec
from ops.settings import load_settings
from ops.stack import stack_parts, stack_ports
from store import secrets
from store.engine import Database
from store.key_ring import read_key_ring
from store.tables import ApiKey
from tests.conftest import temporal_binary
from tests.security.test_payload_encryption import IN_CLEAR, NEW, OLD, Sealed, connected, payloads_of, raw_history
from tests.support import stores

UI = "http://localhost:8233"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def keys(database: Database, clock: stores.Clock) -> dict[str, str]:
    """A key of each kind."""
    stores.add_company(database)
    wanted = {"staff": ("admin", None), "reader": ("read", None), "of_acme": ("admin", "acme"), "nothing": ("", None)}
    with database.transaction() as session:
        for name, (scopes, company) in wanted.items():
            row = ApiKey(id=name, name=name, key_hash=secrets.fingerprint(name), created_at=clock())
            row.scopes, row.company_id = scopes, company
            session.add(row)
    return {name: f"Bearer {name}" for name in wanted}


@pytest_asyncio.fixture
async def codec(database: Database, clock: stores.Clock, keys: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    app = build_codec_app(database, read_key_ring(f"{NEW},{OLD}"), ui_origin=UI, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8084") as http:
        yield http


async def a_sealed_body(text: str = '"2062.50"') -> str:
    sealed = await EncryptionCodec(read_key_ring(NEW)).encode(
        [Payload(metadata={"encoding": b"json/plain"}, data=text.encode())]
    )
    return str(MessageToJson(Payloads(payloads=sealed)))


async def test_a_history_is_read_through_it(
    temporal: WorkflowEnvironment, database: Database, codec: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    client = await connected(temporal, NEW)
    export = Sealed(temporal, client, database, "nobody-works-here")
    handle = await export.start(stores.an_invoice())
    stored = payloads_of(await raw_history(handle, client))
    assert any(one.metadata["encoding"] == ENCODING for one in stored)
    body = MessageToJson(Payloads(payloads=stored))
    assert not [word for word in IN_CLEAR if word in body]
    answer = await codec.post("/decode", content=body, headers={**JSON, "Authorization": keys["staff"], "Origin": UI})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == UI
    shown = "".join(base64.b64decode(one["data"]).decode() for one in answer.json()["payloads"])
    assert "Cafe Rio Foods" in shown
    assert "2062.50" in shown
    await handle.terminate()


async def test_the_cli_decodes_with_it(temporal: WorkflowEnvironment, database: Database, keys: dict[str, str]) -> None:
    """`temporal workflow show --codec-endpoint`, over a real socket."""
    import uvicorn

    from ops.http_server import server_config

    client = await connected(temporal, NEW)
    handle = await Sealed(temporal, client, database, "nobody-works-here").start(stores.an_invoice("inv_cli"))
    app = build_codec_app(database, read_key_ring(NEW), ui_origin=UI, clock=stores.Clock())
    server = uvicorn.Server(server_config(app, load_settings({}), port=0, host="127.0.0.1"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = client.service_client.config.target_host
    command = [temporal_binary(), "workflow", "show", "--workflow-id", handle.id, "--output", "json"]
    command += ["--address", address]
    show = [*command, "--codec-endpoint", f"http://127.0.0.1:{port}", "--codec-auth", keys["staff"]]
    assert "Cafe Rio Foods" in await _output(show)
    assert "Cafe Rio Foods" not in await _output(command)
    server.should_exit = True
    await serving
    await handle.terminate()


async def _output(command: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    encoded = re.findall(r'"data": "([A-Za-z0-9+/=]+)"', out.decode())
    return out.decode() + "".join(base64.b64decode(one).decode("latin-1") for one in encoded)


@pytest.mark.parametrize(
    ("key", "action", "status"),
    [
        ("staff", "decode", 200),
        ("reader", "decode", 200),
        ("staff", "encode", 200),
        ("reader", "encode", 401),
        ("of_acme", "decode", 401),
        ("nothing", "decode", 401),
        ("unknown", "decode", 401),
        ("", "decode", 401),
    ],
)
async def test_only_keys_of_staff_are_let_in(
    codec: httpx.AsyncClient, keys: dict[str, str], key: str, action: str, status: int
) -> None:
    headers = JSON | ({"Authorization": keys.get(key, f"Bearer {key}")} if key else {})
    answer = await codec.post(f"/{action}", content=await a_sealed_body(), headers=headers)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    if status != 200:
        assert "payloads" not in answer.text.replace("payloads of all", "")


async def test_a_revoked_key_is_refused_at_once_in_a_browser_too(
    codec: httpx.AsyncClient, database: Database, keys: dict[str, str], clock: stores.Clock
) -> None:
    assert (await codec.get("/")).status_code == 200
    signed_in = await codec.post("/", data={"key": "staff"}, headers={"Origin": "http://localhost:8084"})
    cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "staff" not in cookie
    body = await a_sealed_body()
    assert (await codec.post("/decode", content=body, headers=JSON | {"Origin": UI})).status_code == 200
    with database.transaction() as session:
        row = session.get(ApiKey, "staff")
        assert row is not None
        row.revoked_at = clock()
    assert (await codec.post("/decode", content=body, headers=JSON | {"Origin": UI})).status_code == 401


async def test_a_session_ends(codec: httpx.AsyncClient, clock: stores.Clock) -> None:
    await codec.post("/", data={"key": "staff"})
    clock.now += codec_server.SESSION_LASTS + timedelta(seconds=1)
    assert (await codec.post("/decode", content=await a_sealed_body(), headers=JSON)).status_code == 401


async def test_only_pages_of_the_ui_may_ask(codec: httpx.AsyncClient, keys: dict[str, str]) -> None:
    """Neither a preflight nor a request of another page gets through, not even with a good cookie."""
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-namespace"}
    allowed = await codec.options("/decode", headers={"Origin": UI, **ask})
    assert allowed.headers["access-control-allow-origin"] == UI
    assert allowed.headers["access-control-allow-credentials"] == "true"
    for origin in ("https://evil.example", "null", "http://localhost:8233.evil.example", "http://localhost:1"):
        refused = await codec.options("/decode", headers={"Origin": origin, **ask})
        assert "access-control-allow-origin" not in refused.headers
        headers = JSON | {"Origin": origin, "Authorization": keys["staff"]}
        answer = await codec.post("/decode", content=await a_sealed_body(), headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert (await codec.post("/", data={"key": "staff"}, headers={"Origin": "https://evil.example"})).status_code == 403
    form = {"Content-Type": "text/plain", "Authorization": keys["staff"]}
    assert (await codec.post("/decode", content=await a_sealed_body(), headers=form)).status_code == 415


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("[1]", 400),
        ('{"payloads": 1}', 400),
        ('{"payloads": [' + "[" * 5000, 400),
        (json.dumps({"payloads": [{}] * (codec_server.PAYLOADS_MAX + 1)}), 413),
        (" " * (codec_server.BODY_BYTES_MAX + 1), 413),
        ("\udc80", 400),
    ],
)
async def test_bodies_that_are_no_payloads(
    codec: httpx.AsyncClient, keys: dict[str, str], body: str, status: int
) -> None:
    headers = JSON | {"Authorization": keys["staff"]}
    answer = await codec.post("/decode", content=body.encode("utf-8", "surrogateescape"), headers=headers)
    assert answer.status_code == status


async def test_a_key_that_is_missing_here_is_told(codec: httpx.AsyncClient, keys: dict[str, str]) -> None:
    strange = Payload(metadata={"encoding": ENCODING, "key-id": b"lost"}, data=b"x" * 40)
    headers = JSON | {"Authorization": keys["staff"]}
    answer = await codec.post("/decode", content=MessageToJson(Payloads(payloads=[strange])), headers=headers)
    assert answer.status_code == 400
    assert "'lost'" in answer.text


async def test_unknown_keys_are_slowed_down_and_good_ones_go_on(codec: httpx.AsyncClient, keys: dict[str, str]) -> None:
    body = await a_sealed_body()
    assert (await codec.post("/decode", content=body, headers=JSON | {"Authorization": keys["staff"]})).is_success
    guesses = [
        await codec.post("/decode", content=body, headers=JSON | {"Authorization": f"Bearer guess-{number}"})
        for number in range(61)
    ]
    assert [one.status_code for one in guesses] == [401] * 60 + [429]
    assert (await codec.post("/decode", content=body, headers=JSON | {"Authorization": keys["staff"]})).is_success


def test_up_runs_it_when_there_are_keys() -> None:
    settings = load_settings({"QBD_PAYLOAD_KEYS": NEW, "QBD_CODEC_PORT": "18084"})
    parts: dict[str, Any] = {part.name: part for wave in stack_parts(settings, {}) for part in wave}
    assert set(parts) == {"temporal", "worker", "bridge", "api", "codec"}
    assert parts["temporal"].command[parts["temporal"].command.index("--ui-codec-endpoint") + 1] == (
        "http://localhost:18084"
    )
    assert "QBD_CODEC_PORT" in stack_ports(settings, {})
    assert "--ui-codec-endpoint" not in server_command(
        port=1, database_file=settings.data_dir, ui_port=None, codec_endpoint="http://x"
    )
    assert wiring.origin_of("https://UI.example.com/some/path") == "https://ui.example.com"
