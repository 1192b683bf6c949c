"""Backups put back: the database older than Temporal, and Temporal older than the database. Nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from ops import embedded, wiring
from ops.fresh import new_id, now
from ops.keys import create_key
from ops.ports import free_ports
from ops.restored import deliver_again, restored
from ops.settings import load_settings
from ops.worker_process import build_worker
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.epoch import EpochWatch
from qbwc_bridge.relay import Relay
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store.engine import Database
from tests.support import stores
from tests.workflow.test_export_workflow import eventually
from workflows import contracts

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


class Site:
    """The real parts in this process, a Temporal server beside it, and both their databases as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        [self.port] = free_ports(1)
        self.quickbooks = freight_company("Acme")
        self.settings = load_settings({"QBD_DATA_DIR": str(folder / "data")})
        self.settings.data_dir.mkdir()
        self.qwc = self.password = self.key = ""

    async def start(self) -> None:
        command = embedded.server_command(port=self.port, database_file=self.folder / "temporal.sqlite", ui_port=None)
        self.server = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        await eventually(lambda: embedded.server_ready(f"127.0.0.1:{self.port}"), seconds=60)
        self.client = await Client.connect(f"127.0.0.1:{self.port}", data_converter=pydantic_data_converter)
        self.database = Database(self.settings.database)
        self.database.migrate()

    async def run(self) -> None:
        """Begin to work: until then nothing of ours moves."""
        if not self.key:
            self.key = create_key(self.settings, "test").key
        self.worker: Worker = build_worker(self.client, self.database)
        self.working = asyncio.create_task(self.worker.run())

        async def client() -> Client:
            return self.client

        epoch = EpochWatch(self.database, clock=now, new_id=new_id)
        self.relay = Relay(self.database, client, clock=now, holder=uuid.uuid4().hex, epoch=epoch)
        app = wiring.api_app(self.settings, self.database)
        app.state.services.exporter._client_factory = client
        headers = {"Authorization": f"Bearer {self.key}"}
        self.api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api", headers=headers)
        dispatcher = Dispatcher(self.database, limits=Limits(), clock=now, new_id=new_id)
        wsgi = build_wsgi(dispatcher, public_url="http://localhost:8080", support_page=lambda _company: None)
        self.soap = httpx.Client(transport=httpx.WSGITransport(app=wsgi))

    async def rest(self) -> None:
        """Stop working; Temporal's server goes on."""
        await self.worker.shutdown()
        await self.working
        await self.api.aclose()
        self.soap.close()

    async def stop(self) -> None:
        self.database.close()
        os.killpg(self.server.pid, signal.SIGTERM)
        await asyncio.to_thread(self.server.wait, 60)

    def copy(self, name: str, place: str, *, back: bool = False) -> None:
        """Keep a file with what SQLite keeps beside it, or put it back."""
        kept = self.folder / place
        kept.mkdir(exist_ok=True)
        folder = self.settings.data_dir if name == "qbd.sqlite3" else self.folder
        source, target = (kept, folder) if back else (folder, kept)
        for old in target.glob(f"{name}*"):
            old.unlink()
        for path in source.glob(f"{name}*"):
            shutil.copy2(path, target / path.name)

    async def connect(self) -> None:
        posted = {"id": "acme", "name": "Acme", "quickbooks_release": "2024", "confirm_first_file": False}
        self.password = (await self.api.post("/v1/companies", json=posted)).json()["password"]
        await self.api.put("/v1/companies/acme/mapping", json=stores.MAPPING)
        self.qwc = (await self.api.get("/v1/companies/acme/qwc")).text

    async def post(self, *ids: str) -> list[int]:
        codes = []
        for one in ids:
            answer = await self.api.post("/v1/companies/acme/exports", json={"document": stores.an_invoice(one)})
            codes.append(answer.status_code)
        await self.deliver()
        return codes

    async def start_past_the_api(self, document_id: str) -> None:
        inp = contracts.ExportInput(company_id="acme", document=stores.an_invoice(document_id))
        workflow_id = contracts.export_workflow_id("acme", "invoice", document_id)
        await self.client.execute_workflow(
            contracts.WORKFLOW_TYPE, inp, id=workflow_id, task_queue=contracts.TASK_QUEUE
        )

    async def deliver(self) -> None:
        while await self.relay.deliver_once(self.client):
            pass

    async def update(self) -> str:
        connector = WebConnector(read_qwc(self.qwc), self.password, self.quickbooks, http=self.soap)
        report = await asyncio.to_thread(connector.run_once)
        await self.deliver()
        return report.outcome

    async def state(self, document_id: str) -> str:
        answer = await self.api.get(f"/v1/companies/acme/exports/invoice/{document_id}")
        shown: dict[str, Any] = answer.json()
        error = shown.get("error") or {}
        return f"{shown.get('state', answer.status_code)} {error.get('code', '')}".strip()

    async def becomes(self, document_id: str, state: str) -> None:
        async def so() -> bool:
            await self.deliver()
            return await self.state(document_id) == state

        try:
            await eventually(so, seconds=30)
        except TimeoutError:
            raise AssertionError(f"{document_id} is {await self.state(document_id)}, not {state}") from None

    async def status(self, document_id: str) -> WorkflowExecutionStatus | None:
        handle = self.client.get_workflow_handle(f"export/acme/invoice/{document_id}")
        return (await handle.describe()).status

    def in_quickbooks(self) -> list[str]:
        return sorted(one.ref_number or "" for one in self.quickbooks.ledger)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.start()
    yield site
    await site.stop()


async def until_queued(site: Site, *ids: str) -> None:
    for one in ids:
        await site.becomes(one, "Queued")


async def forget(site: Site) -> datetime:
    """A day with a backup at its morning: one export before it, four after, and then the database is put back."""
    await site.run()
    await site.connect()
    assert await site.post("inv_before") == [202]
    await until_queued(site, "inv_before")
    await site.update()
    await site.becomes("inv_before", "Successful")
    await site.post("inv_sent")  # waits while the backup is made
    await site.post("inv_waits")
    await until_queued(site, "inv_sent", "inv_waits")
    await site.rest()
    site.database.close()
    backup_at = datetime.now(UTC)
    site.copy("qbd.sqlite3", "backup")
    await site.run()
    await site.api.post("/v1/companies/acme/exports/invoice/inv_waits/cancel", json={"reason": "hold it"})
    await site.becomes("inv_waits", "Cancelled")
    await site.post("inv_after")
    await until_queued(site, "inv_after")
    await site.update()
    await site.becomes("inv_sent", "Successful")
    await site.becomes("inv_after", "Successful")
    await site.post("inv_open")
    await until_queued(site, "inv_open")
    await site.rest()
    site.database.close()
    site.copy("qbd.sqlite3", "backup", back=True)
    site.database = Database(site.settings.database)
    return backup_at


async def test_database_older_than_temporal_heals(site: Site) -> None:
    """What Temporal knows is written down, what nobody knows waits for a person, nothing is sent a second time."""
    backup_at = await forget(site)
    before = site.in_quickbooks()
    lines = await restored(site.database, site.client, backup_at=backup_at)
    assert lines == [
        "2 exports were in QuickBooks and are Successful again",
        "1 exports had been taken back and are Cancelled again",
        "1 exports had begun since and are queued again once the worker runs",
        "0 waiting requests are looked up in QuickBooks before they are sent; nothing else is sent until the rest is "
        "queued again",
    ]
    again = await restored(site.database, site.client, backup_at=backup_at)
    assert again == lines[2:]
    await heals(site, before)


async def heals(site: Site, before: list[str]) -> None:
    """Bridge, worker and API run again: what was lost is there again, and what had begun goes to its end, once."""
    await site.run()
    await until_queued(site, "inv_open")
    assert site.in_quickbooks() == before
    for one, state in {
        "inv_before": "Successful",
        "inv_sent": "Successful",
        "inv_after": "Successful",
        "inv_waits": "Cancelled",
    }.items():
        await site.becomes(one, state)

    async def is_exported() -> bool:
        await site.update()  # a session that comes too early is told nothing
        return await site.state("inv_open") == "Successful"

    await eventually(is_exported, seconds=30)
    assert site.in_quickbooks() == sorted([*before, "INV-OPEN"])
    assert await site.post("inv_before", "inv_sent", "inv_after", "inv_open") == [200] * 4
    assert await site.post("inv_waits") == [202]
    await site.rest()


async def test_it_heals_without_the_command(site: Site) -> None:
    """Nobody has to know that a database was put back: the file is another one, and Temporal knows more."""
    await forget(site)
    await heals(site, site.in_quickbooks())


async def test_both_restored_are_looked_up_in_quickbooks(site: Site) -> None:
    """Temporal forgot as well: only QuickBooks still knows, and it is asked before anything is sent."""
    await site.run()
    await site.connect()
    await site.post("inv_sent", "inv_new")
    await until_queued(site, "inv_sent", "inv_new")
    await site.rest()
    await site.stop()
    backup_at = datetime.now(UTC)
    for name in ("qbd.sqlite3", "temporal.sqlite"):
        site.copy(name, "backup")
    await site.start()
    await site.run()
    await site.update()
    await site.becomes("inv_sent", "Successful")
    await site.becomes("inv_new", "Successful")
    assert len(site.quickbooks.ledger) == 2
    await site.rest()
    await site.stop()
    for name in ("qbd.sqlite3", "temporal.sqlite"):
        site.copy(name, "backup", back=True)
    await site.start()
    lines = await restored(site.database, site.client, backup_at=backup_at)
    assert lines == ["2 waiting requests are looked up in QuickBooks before they are sent"]
    await site.run()
    await site.post("inv_later")
    await until_queued(site, "inv_later")
    await site.update()
    for one in ("inv_sent", "inv_new", "inv_later"):
        await site.becomes(one, "Successful")
    assert len(site.quickbooks.ledger) == 3
    await site.rest()


async def test_temporal_older_than_the_database_heals(site: Site) -> None:
    """Signals that went to the lost runs are delivered again; what was started since is started again."""
    await site.run()
    await site.connect()
    await site.post("inv_sent")
    await until_queued(site, "inv_sent")
    await site.rest()
    await site.stop()
    backup_at = datetime.now(UTC)
    site.copy("temporal.sqlite", "backup")
    await site.start()
    await site.run()
    await site.post("inv_after")
    await until_queued(site, "inv_after")
    await site.update()
    await site.becomes("inv_sent", "Successful")
    await site.becomes("inv_after", "Successful")
    await site.post("inv_open")
    await until_queued(site, "inv_open")
    await site.rest()
    await site.stop()
    site.copy("temporal.sqlite", "backup", back=True)
    await site.start()
    await site.run()
    await site.update()
    await site.becomes("inv_open", "Successful")  # its signals found nobody, so it was started again
    assert await site.status("inv_sent") == WorkflowExecutionStatus.RUNNING
    [line] = deliver_again(site.database, since=backup_at)
    assert line.endswith("starts and signals are delivered again")
    assert not line.startswith("0 ")
    await site.deliver()
    for one in ("inv_sent", "inv_after", "inv_open"):
        await site.becomes(one, "Successful")
        await eventually(_has_status(site, one, WorkflowExecutionStatus.COMPLETED), seconds=30)
    assert len(site.quickbooks.ledger) == 3
    await site.rest()


def _has_status(site: Site, document_id: str, status: WorkflowExecutionStatus) -> Callable[[], Any]:
    async def so() -> bool:
        return await site.status(document_id) == status

    return so
