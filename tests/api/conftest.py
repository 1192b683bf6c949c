"""The API over a migrated database, with an exporter that only remembers what it was asked."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from store import outbox, secrets
from store.engine import Database
from store.tables import ApiKey, Company, OutboxSignal
from tms_api.app import ApiServices, ExportNotRunningError, TemporalUnreachableError, build_app
from workflows.contracts import ExportInput, WorkflowStart

KEY = "qbd_test-key-0123456789"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
MAPPING = {
    "charges": {
        "LINEHAUL": {
            "invoice": {"item": {"full_name": "Linehaul"}},
            "carrier_bill": {"account": {"full_name": "Purchased Transportation"}},
        },
        "FUEL": {"invoice": {"item": {"full_name": "Fuel"}}},
    },
    "customers": {"cus_88": {"full_name": "Cafe Rio Foods"}},
    "carriers": {"car_7": {"full_name": "Acme Carrier LLC"}},
    "terms": {"Net 30": {"full_name": "Net 30"}},
}


@dataclass
class RecordingExporter:
    """Remembers cancels and fails when told to; starts are read from the outbox, where the relay would find them."""

    database: Database
    cancels: list[tuple[str, str]] = field(default_factory=list)
    forgotten: int = 0
    is_away: bool = False
    runs_nothing: bool = False

    @property
    def starts(self) -> list[tuple[ExportInput, str, str, str | None]]:
        """Input, workflow, summary and the run that has to end before; oldest first, taken back ones too."""
        with self.database.transaction() as session:
            is_one = (OutboxSignal.signal == outbox.START) & (OutboxSignal.id > self.forgotten)
            query = select(OutboxSignal).where(is_one).order_by(OutboxSignal.id)
            rows = [(row.workflow_id, WorkflowStart.model_validate(row.payload)) for row in session.scalars(query)]
        return [(ExportInput.model_validate(s.argument), w, s.summary, s.after_run) for w, s in rows]

    def deliver(self) -> None:
        """Let Temporal have taken every start."""
        with self.database.transaction() as session:
            for row in session.scalars(select(OutboxSignal).where(OutboxSignal.delivered_at.is_(None))):
                row.delivered_at = NOW

    def forget(self) -> None:
        """Let Temporal have taken every start, and tell only of later ones."""
        self.deliver()
        with self.database.transaction() as session:
            self.forgotten = session.scalar(select(func.max(OutboxSignal.id))) or 0

    async def cancel(self, workflow_id: str, reason: str) -> None:
        if self.is_away:
            raise TemporalUnreachableError("away")
        if self.runs_nothing:
            raise ExportNotRunningError(workflow_id)
        self.cancels.append((workflow_id, reason))

    async def reachable(self) -> bool:
        return not self.is_away


@dataclass
class World:
    """One application with everything around it."""

    app: FastAPI
    database: Database
    exporter: RecordingExporter
    http: httpx.AsyncClient

    async def connect(self, company_id: str = "acme", mapping: dict[str, Any] | None = None) -> dict[str, Any]:
        body = {"id": company_id, "name": "Acme Logistics LLC", "quickbooks_release": "2024"}
        answer = await self.http.post("/v1/companies", json=body)
        assert answer.status_code == 201, answer.text
        put = await self.http.put(f"/v1/companies/{company_id}/mapping", json=MAPPING if mapping is None else mapping)
        assert put.status_code == 200, put.text
        created: dict[str, Any] = answer.json()
        return created

    async def export(self, document: dict[str, Any], company_id: str = "acme", **more: Any) -> httpx.Response:
        return await self.http.post(f"/v1/companies/{company_id}/exports", json={"document": document, **more})


def an_invoice(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "kind": "invoice",
        "id": "inv_48213",
        "number": "INV-2026-004821",
        "customer": {"id": "cus_88", "name": "Cafe Rio Foods, Inc."},
        "date": "2026-11-20",
        "due_date": "2026-12-20",
        "terms": "Net 30",
        "currency": "USD",
        "lines": [
            {"id": "1", "charge": "LINEHAUL", "quantity": "1", "rate": "1850.00", "amount": "1850.00"},
            {"id": "2", "charge": "FUEL", "amount": "212.50"},
        ],
        "total": "2062.50",
    }
    return document | changes


def a_bill(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "kind": "carrier_bill",
        "id": "bill_1",
        "number": "1001",
        "carrier": {"id": "car_7", "name": "Acme Carrier LLC"},
        "date": "2026-11-20",
        "lines": [{"id": "1", "charge": "LINEHAUL", "amount": "900.00"}],
        "total": "900.00",
    }
    return document | changes


def write_qwc(company: Company) -> str:
    return f"<QBWCXML><OwnerID>{company.owner_id}</OwnerID><FileID>{company.file_id}</FileID></QBWCXML>"


@pytest.fixture
def database(database: Database) -> Database:
    """A migrated database with one key."""
    with database.transaction() as session:
        session.add(ApiKey(id="k1", name="tests", key_hash=secrets.fingerprint(KEY), created_at=NOW))
    return database


@pytest.fixture
def world_options() -> dict[str, Any]:
    """What a test sets otherwise in `ApiServices`."""
    return {}


@pytest_asyncio.fixture
async def world(database: Database, world_options: dict[str, Any]) -> AsyncIterator[World]:
    exporter = RecordingExporter(database)
    options: dict[str, Any] = {"clock": lambda: NOW, **world_options}
    services = ApiServices(
        database=database,
        exporter=exporter,
        qwc_file=write_qwc,
        public_soap_url="https://qbd.example.com/qbwc",
        temporal_ui_url=lambda workflow_id, run_id: f"http://ui/{workflow_id}/{run_id or ''}",
        registry=CollectorRegistry(),
        console_link=lambda company, now: (f"https://qb.example.com/link/{company}", now + timedelta(minutes=10)),
        **options,
    )
    app = build_app(services)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as http:
        yield World(app, database, exporter, http)


@contextmanager
def _serving(app: FastAPI) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + timedelta(seconds=10).total_seconds()
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture
def serving() -> Callable[[FastAPI], AbstractContextManager[str]]:
    """Serves an application on a free port, over real sockets."""
    return _serving
