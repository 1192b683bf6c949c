"""docs/security.md: every test that it names exists, every threat names one, and its codec is the one that runs."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from google.protobuf.json_format import MessageToJson, Parse
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import WorkflowSerializationContext

from ops.codec_server import build_codec_app
from ops.payload_codec import EncryptionCodec
from store import secrets
from store.engine import Database
from store.key_ring import new_key, read_key_ring
from store.tables import ApiKey
from tests.workflow.test_export_workflow import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NODE = re.compile(r"`(tests/[a-z_/]+\.py::test_\w+)`")
MANY = 300
"""A run of so many tests is of whole files, not of chosen tests."""
MUST_BE_NAMED = (
    *("XXE", "Entity bombs", "ticket", "replayed", "qbXML", "Path tricks", "log lines", "SSRF", "smuggling", ".qwc"),
    *("Idempotency-Key", "database is stolen", "history is stolen", "Shutting a company out"),
)


def test_every_threat_names_a_test() -> None:
    rows = [line for line in PAGE.partition("## Threats")[2].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    assert [row for row in rows if not NODE.search(row)] == []
    text = "\n".join(rows)
    assert [word for word in MUST_BE_NAMED if word not in text] == []


def test_every_named_test_is_collected(request: pytest.FixtureRequest) -> None:
    """It stands in its file; and where this run collected that file, pytest found it under that very id."""
    found = {item.nodeid.partition("[")[0] for item in request.session.items}
    files = {node.partition("::")[0] for node in found}
    for node in sorted(set(NODE.findall(PAGE))):
        path, _, name = node.partition("::")
        defined = ast.parse((ROOT / path).read_text("utf-8")).body
        assert name in {one.name for one in defined if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}, node
        assert node in found or path not in files or len(found) < MANY, node


@pytest.mark.parametrize("is_bound", [True, False])
async def test_the_codec_on_the_page_speaks_ours(is_bound: bool) -> None:
    """What either wrote, the other reads."""
    [code] = re.findall(r"```python codec\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "docs/security.md", "exec"), names)
    entry = new_key("2026-11", lambda count: b"k" * count)
    key_id, _, key = entry.partition(":")
    theirs = names["Codec"](key_id, base64.b64decode(key))
    ours = EncryptionCodec(read_key_ring(entry))
    if is_bound:
        ours = ours.with_context(WorkflowSerializationContext(namespace="n", workflow_id="export/a/invoice/1"))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'{"total": "2062.50"}')
    assert await theirs.decode(await ours.encode([plain])) == [plain]
    assert await ours.decode(await theirs.encode([plain])) == [plain]
    assert b"2062.50" not in (await theirs.encode([plain]))[0].data


ROUND = """
import { readFileSync } from 'node:fs';
import { QbdCodec } from './qbd-codec.mjs';
const asked = JSON.parse(readFileSync(0, 'utf8'));
const codec = new QbdCodec(asked.keys);
const read = ({ metadata, data }) => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([k, v]) => [k, Buffer.from(v, 'base64')])),
  data: Buffer.from(data ?? '', 'base64'),
});
const shown = ({ metadata, data }) => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([k, v]) => [k, Buffer.from(v).toString('base64')])),
  data: Buffer.from(data).toString('base64'),
});
const payloads = await codec[asked.action](asked.payloads.map(read));
console.log(JSON.stringify({ payloads: payloads.map(shown) }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_the_javascript_codec_on_the_page_speaks_ours(tmp_path: Path) -> None:
    """Under Node: what either wrote, the other reads; bound or not, short and long, with any key."""
    [code] = re.findall(r"```javascript codec\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "qbd-codec.mjs").write_text(code, "utf-8")
    (tmp_path / "round.mjs").write_text(ROUND, "utf-8")
    entries = [new_key("new", lambda count: b"n" * count), new_key("old", lambda count: b"o" * count)]
    ours, older = (EncryptionCodec(read_key_ring(",".join(one))) for one in (entries, entries[1:]))
    bound = ours.with_context(WorkflowSerializationContext(namespace="n", workflow_id="export/a/invoice/ä"))

    def node(action: str, payloads: list[Payload]) -> list[Payload]:
        asked = json.loads(MessageToJson(Payloads(payloads=payloads)))
        told = subprocess.run(
            ["node", "round.mjs"],
            input=json.dumps({"action": action, "keys": ",".join(entries), **asked}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        return list(Parse(told.stdout, Payloads()).payloads)

    plain = [
        Payload(metadata={"encoding": b"json/plain", "n": b"\xff\x00"}, data=data)
        for data in (b'{"total": "2062.50"}', b"x" * 300, b"y" * 40_000, b"")
    ]
    encrypted = [*await ours.encode(plain), *await bound.encode(plain), *await older.encode(plain)]
    assert node("decode", encrypted + plain) == plain * 4
    theirs = node("encode", plain)
    assert await ours.decode(theirs) == plain
    assert b"2062.50" not in theirs[0].data


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_the_remote_codec_on_the_page_asks_our_codec_server(tmp_path: Path, database: Database) -> None:
    """With a key of the API, over HTTP; without a good one it says what the server said."""
    [code] = re.findall(r"```javascript codec\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "qbd-codec.mjs").write_text(code, "utf-8")
    (tmp_path / "remote.mjs").write_text(
        "import { RemoteCodec } from './qbd-codec.mjs';\n"
        "const [address, key] = process.argv.slice(2);\n"
        "const payload = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('42') };\n"
        "const [one] = await new RemoteCodec(address, key).encode([payload]);\n"
        "const [other] = await new RemoteCodec(address, key).decode([one]);\n"
        "console.log(one.metadata.encoding.toString(), other.data.toString());\n"
        "await new RemoteCodec(address, 'wrong').decode([one]).catch((error) => console.log(error.message));\n",
        "utf-8",
    )
    with database.transaction() as session:
        key, now = "qbd_of-the-tms", datetime.now(UTC)
        session.add(ApiKey(id="k", name="tms", key_hash=secrets.fingerprint(key), scopes="export", created_at=now))
    ring = read_key_ring(new_key("2026-11", lambda count: b"k" * count))
    app = build_codec_app(database, ring, ui_origin="http://localhost:8233", clock=lambda: datetime.now(UTC))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none", log_config=None))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: _started(server))
    port = server.servers[0].sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "node", "remote.mjs", f"http://127.0.0.1:{port}", key, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    server.should_exit = True
    await serving
    first, second = out.decode().splitlines()
    assert first == "binary/qbd-aes-gcm 42"
    assert second.startswith("The codec server said 401: ")


async def _started(server: uvicorn.Server) -> bool:
    return bool(server.started)
