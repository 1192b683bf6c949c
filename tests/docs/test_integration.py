"""docs/integration.md does what it says: its blocks run against the real parts and a simulated QuickBooks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.webhook_signing import signed_headers
from ops import wiring
from ops.fresh import new_id, now
from ops.keys import create_key
from ops.settings import load_settings
from ops.worker_process import build_worker
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.relay import Relay
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import exports
from store.engine import Database
from tests.conftest import temporal_binary
from tests.workflow.test_export_workflow import eventually
from workflows import contracts, search_attributes

PAGE = (Path(__file__).parents[2] / "docs" / "integration.md").read_text("utf-8")
BLOCK = re.compile(r"^```([a-z]+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, name: str = "") -> list[str]:
    """The blocks of a language on the page, in order."""
    return [text for lang, label, text in BLOCK.findall(PAGE) if lang == language and label == name]


@dataclass
class Stack:
    """The real parts in this process, on free ports."""

    database: Database
    api: str
    environ: dict[str, str]
    temporal: WorkflowEnvironment
    http: httpx.Client
    relay: Relay

    async def update(self, company: str, qwc: str, password: str) -> None:
        """First contact, the answer that the page names, a session with work, and what the relay then delivers."""
        connector = WebConnector(read_qwc(qwc), password, freight_company(), http=self.http)
        report = await asyncio.to_thread(connector.run_once)
        assert report.outcome in ("ok", "none", "error"), report
        headers = {"Authorization": f"Bearer {self.environ['QBD_KEY']}"}
        async with httpx.AsyncClient(base_url=self.api, headers=headers, trust_env=False) as http:
            asked = (await http.get(f"/v1/companies/{company}")).json()["connection"]["file_to_confirm"]
            answer = {"answer": "yes", "path": asked["path"]}
            assert (await http.post(f"/v1/companies/{company}/company-file/confirm", json=answer)).is_success
        report = await asyncio.to_thread(connector.run_once)
        assert report.outcome == "ok", report
        await self.relay.deliver_once(self.temporal.client)

    def state(self, company: str, document_id: str) -> str | None:
        with self.database.transaction() as session:
            row = exports.find_export(session, company, "invoice", document_id)
            return row.state if row is not None else None


@pytest_asyncio.fixture
async def stack(temporal: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Stack]:
    target = temporal.client.service_client.config.target_host
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("QBD_", "TEMPORAL_"))}
    settings = load_settings({"QBD_DATA_DIR": str(tmp_path / "data")})
    settings.data_dir.mkdir()
    database = Database(settings.database)
    database.migrate()
    key = create_key(settings, "docs").key

    async def client() -> Any:
        return temporal.client

    app = wiring.api_app(settings, database)
    app.state.services.exporter._client_factory = client
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none", log_config=None))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: _started(server))
    port = server.servers[0].sockets[0].getsockname()[1]
    dispatcher = Dispatcher(database, limits=Limits(), clock=now, new_id=new_id)
    wsgi = build_wsgi(dispatcher, public_url="http://localhost:8080", support_page=lambda _company: None)
    environ = {
        **clean,
        "PATH": f"{Path(temporal_binary()).parent}:{clean['PATH']}",
        "QBD_API": f"http://127.0.0.1:{port}",
        "QBD_KEY": key,
        "TEMPORAL_ADDRESS": target,
        "NO_PROXY": "*",
    }
    relay = Relay(database, client, clock=now, holder=uuid.uuid4().hex)
    relay.start()  # a thread of its own, as in the bridge
    async with build_worker(temporal.client, database):
        with httpx.Client(transport=httpx.WSGITransport(app=wsgi)) as http:
            yield Stack(database, environ["QBD_API"], environ, temporal, http, relay)
        for document_id in ("inv_48213", "inv_48215"):
            with suppress(RPCError):
                workflow_id = contracts.export_workflow_id("acme-logistics", "invoice", document_id)
                await temporal.client.get_workflow_handle(workflow_id).terminate()
    await asyncio.to_thread(relay.stop)
    server.should_exit = True
    await serving
    database.close()


async def _started(server: uvicorn.Server) -> bool:
    return bool(server.started)


async def _run(command: list[str], stack: Stack, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=stack.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode() + out.decode()
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_curl_calls(stack: Stack, tmp_path: Path) -> None:
    """In the order of the page: connect, map, export, look, retry, webhook, start by Temporal; both invoices arrive."""
    script = "set -euo pipefail\n" + "\n".join(blocks("bash"))
    assert script.count("curl") >= 7
    assert "temporal workflow start" in script
    await _run(["bash", "-c", script], stack, tmp_path)
    company = json.loads((tmp_path / "company.json").read_text())
    for document_id in ("inv_48213", "inv_48215"):
        await eventually(lambda document_id=document_id: _is(stack, "acme-logistics", document_id, "Queued"))
    await stack.update("acme-logistics", (tmp_path / "acme.qwc").read_text(), company["password"])
    for document_id in ("inv_48213", "inv_48215"):
        await eventually(lambda document_id=document_id: _is(stack, "acme-logistics", document_id, "Successful"))
    handle = stack.temporal.client.get_workflow_handle("export/acme-logistics/invoice/inv_48215")
    description = await handle.describe()
    assert description.typed_search_attributes.get(search_attributes.COMPANY_ID) == "acme-logistics"
    result = await handle.result()
    assert set(result) == set(contracts.Transaction.model_fields)


async def _is(stack: Stack, company: str, document_id: str, state: str) -> bool:
    return stack.state(company, document_id) == state


async def test_the_python_program(stack: Stack, tmp_path: Path) -> None:
    """It connects, maps, exports, waits and prints the transaction."""
    [program] = blocks("python")
    (tmp_path / "program.py").write_text(program)
    running = asyncio.create_task(_run([sys.executable, "program.py"], stack, tmp_path))
    await eventually(lambda: _is(stack, "blue-lines", "inv_48214", "Queued"))
    headers = {"Authorization": f"Bearer {stack.environ['QBD_KEY']}"}
    async with httpx.AsyncClient(base_url=stack.api, headers=headers, trust_env=False) as http:
        password = (await http.post("/v1/companies/blue-lines/password")).json()["password"]
        qwc = (await http.get("/v1/companies/blue-lines/qwc")).text
    await stack.update("blue-lines", qwc, password)
    said = await running
    assert "7. Let it run by itself" in said
    assert "Successful {'txn_id': " in said


def test_the_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes our signatures, also beside one of another secret, and nothing forged, changed or old."""
    [program] = blocks("python", "verify")
    space: dict[str, Any] = {}
    exec(compile(program, "verify", "exec"), space)
    verify: Callable[..., bool] = space["verify"]
    secret, other = "whsec_" + "QUFB" * 8, "whsec_" + "QkJC" * 8
    body = b'{"type": "export.failed"}'
    headers = dict(signed_headers("msg_1", body, at=now(), secrets=[secret]))
    assert verify(secret, headers, body)
    assert verify(secret, dict(signed_headers("msg_1", body, at=now(), secrets=[other, secret])), body)
    assert not verify(other, headers, body)
    assert not verify(secret, headers, body + b" ")
    assert not verify(secret, headers | {"webhook-id": "msg_2"}, body)
    old = dict(signed_headers("msg_1", body, at=now() - timedelta(minutes=6), secrets=[secret]))
    assert not verify(secret, old, body)


def test_names_of_the_direct_start_are_those_of_the_code() -> None:
    """The table and the block that is not run name the type, the queue, the id and the input as the code does."""
    [snippet] = blocks("typescript")
    for text in (snippet, PAGE):
        assert contracts.WORKFLOW_TYPE in text
        assert contracts.TASK_QUEUE in text
        assert search_attributes.COMPANY_ID.name in text
        assert search_attributes.DOCUMENT_KIND.name in text
    known = set(contracts.ExportInput.model_fields) - {"is_accepted"}  # that one is for our own API
    assert set(re.findall(r"\b(company_id|document|confirmed_absent)\b", PAGE)) == known
    assert contracts.FAILURE_TYPE in PAGE
    assert set(
        re.findall(r'"(txn_id|edit_sequence|ref_number|txn_number|confirmed_by_person|confirmed_by|differences)"', PAGE)
    ) == set(contracts.Transaction.model_fields)
    assert contracts.export_workflow_id("{company_id}", "{kind}", "{document_id}") in PAGE


def test_commands_of_the_page_exist() -> None:
    """Commands and options of `./qbd` are those that the page names."""
    from typer.testing import CliRunner

    from ops.cli import app

    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("./qbd")]
    assert len(lines) >= 3
    for line in lines:
        _, *words = shlex.split(line, comments=True)
        command = words[:2] if words[0] == "keys" else words[:1]
        shown = CliRunner().invoke(app, [*command, "--help"], terminal_width=200).output
        for word in words:
            if word.startswith("--"):
                assert word in re.sub(r"\x1b\[[0-9;]*m", "", shown)
