"""Databases and companies for tests: a real migrated SQLite file each, or a PostgreSQL database that was emptied."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from store import list_syncs, queue, secrets
from store.engine import Database
from store.tables import Company, Request, WebConnectorSession
from tests.support import postgres

PASSWORD = "correct horse battery staple"
OWNER_ID = "{57F3B9B6-86F1-4FCC-B1FF-966DE1813D20}"
FILE_ID = "{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}"

NEVER_DUE = datetime(2100, 1, 1, tzinfo=UTC)
"""When the lists came over last, for tests that are not about lists: no session asks for them."""

MAPPING: dict[str, Any] = {
    "charges": {
        "LINEHAUL": {
            "invoice": {"item": {"full_name": "Linehaul"}},
            "carrier_bill": {"account": {"full_name": "Purchased Transportation"}},
        },
        "FUEL": {"invoice": {"item": {"full_name": "Fuel Surcharge"}}},
    },
    "customers": {"cus_88": {"full_name": "Cafe Rio Foods"}},
    "carriers": {"car_7": {"full_name": "Acme Carrier LLC"}},
    "terms": {"Net 30": {"full_name": "Net 30"}},
    "classes": {},
    "defaults": {"invoice": {"tax_code": {"full_name": "Non"}}, "carrier_bill": {}},
}


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def counter(prefix: str) -> Callable[[], str]:
    """Ids in order."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):06d}"


def hurry(database: Database) -> None:
    """No power is lost in a test: spare it the waiting for the disk."""

    def on_connect(connection: Any, _record: Any) -> None:
        connection.execute("pragma synchronous = off")

    for engine in database.engines:
        event.listen(engine, "connect", on_connect)
        engine.dispose()


@functools.cache
def migrated_file() -> bytes:
    """A migrated, empty SQLite file, made once in a process: migrations are slower than the tests."""
    with tempfile.TemporaryDirectory(prefix="qbd-migrated-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'qbd.sqlite'}")
        hurry(database)
        database.migrate()
        database.close()  # the last connection puts the write-ahead log into the file
        return (Path(folder) / "qbd.sqlite").read_bytes()


def sqlite(path: Path) -> Iterator[Database]:
    """A migrated database in a folder."""
    (path / "qbd.sqlite").write_bytes(migrated_file())
    database = Database(f"sqlite:///{path / 'qbd.sqlite'}")
    hurry(database)
    yield database
    database.close()


def postgresql(scratch: postgres.Scratch) -> Iterator[Database]:
    """A migrated database on a server, without a row."""
    scratch.empty()
    database = Database(scratch.url)
    yield database
    database.close()


def add_company(database: Database, company_id: str = "acme", *, lists_are_here: bool = True, **fields: Any) -> None:
    """A connected company with a small mapping; its lists are here already unless a test is about them."""
    values: dict[str, Any] = {
        "id": company_id,
        "name": "Acme Brokerage",
        "username": f"qbwc-{company_id}",
        "password_hash": secrets.hash_password(PASSWORD),
        "quickbooks_release": "2024",
        "country": "US",
        "run_every_minutes": 15,
        "owner_id": OWNER_ID,
        "file_id": FILE_ID,
        "paused": False,
        "company_file": "",
        "look_before_adding": False,
        "ref_number_rule": "keep_end",
        "mapping": MAPPING,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        **fields,
    }
    with database.transaction() as session:
        session.add(Company(**values))
        session.flush()
        if lists_are_here:
            done = list_syncs.request_sync(session, company_id, at=values["created_at"], full=False)
            done.state = list_syncs.DONE
            done.last_sync_at = NEVER_DUE


def an_invoice(document_id: str = "inv_1", **fields: Any) -> dict[str, Any]:
    """A small good invoice."""
    return {
        "kind": "invoice",
        "id": document_id,
        "number": document_id.upper().replace("_", "-"),
        "customer": {"id": "cus_88", "name": "Cafe Rio Foods, Inc."},
        "date": "2026-11-20",
        "due_date": "2026-12-20",
        "currency": "USD",
        "lines": [
            {
                "id": "1",
                "charge": "LINEHAUL",
                "description": "Linehaul Dallas TX - Reno NV",
                "quantity": "1",
                "rate": "1850.00",
                "amount": "1850.00",
            },
            {"id": "2", "charge": "FUEL", "description": "Fuel surcharge", "amount": "212.50"},
        ],
        "total": "2062.50",
        **fields,
    }


def a_bill(document_id: str = "bill_1", **fields: Any) -> dict[str, Any]:
    """A small good carrier bill."""
    return {
        "kind": "carrier_bill",
        "id": document_id,
        "number": f"AC-{document_id}",
        "carrier": {"id": "car_7", "name": "Acme Carrier LLC"},
        "date": "2026-11-20",
        "currency": "USD",
        "lines": [{"id": "1", "charge": "LINEHAUL", "description": "Linehaul", "amount": "1500.00"}],
        "total": "1500.00",
        **fields,
    }


def next_requests(session: Session, company_id: str, *, now: datetime, limit: int) -> Sequence[Request]:
    """Give the oldest requests that may go, as a session without a past is handed them."""
    wc = WebConnectorSession(company_id=company_id, ticket_hash="of nobody", host=None)
    return queue.next_set(session, wc, now=now, limit=limit, others_since=now)[1]
