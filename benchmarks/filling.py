"""Filling a database by statements: companies and waiting requests by the thousand, as the activities write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, text

from activities.exports import ExportActivities
from benchmarks import canned
from ops.fresh import new_id, now
from store import list_syncs, secrets
from store.engine import Database
from store.states import WAITING
from store.sync_tables import CompanySync
from store.tables import Company, Request
from tests.support import stores
from workflows.contracts import PrepareInput

PASSWORD = stores.PASSWORD
CHUNK = 1000
_MADE = datetime(2026, 11, 1, tzinfo=UTC)


def add_companies(database: Database, count: int, *, first: int = 0, looks: bool = False) -> None:
    """Add companies `c000000`, ... that were connected before and whose lists are here; one password serves all.

    `looks` says whether each document is looked for before it is added.
    """
    shared: dict[str, Any] = {
        "name": "Acme Brokerage",
        "password_hash": secrets.hash_password(PASSWORD),
        "quickbooks_release": "2024",
        "country": "US",
        "run_every_minutes": 15,
        "owner_id": stores.OWNER_ID,
        "file_id": stores.FILE_ID,
        "paused": False,
        "look_before_adding": looks,
        "company_file": "",
        "ref_number_rule": "keep_end",
        "mapping": stores.MAPPING,
        "created_at": _MADE,
        "bound_company_name": canned.COMPANY_NAME,
        "product": canned.PRODUCT,
        "qbxml_version": "13.0",
    }
    done: dict[str, Any] = {
        "state": list_syncs.DONE,
        "run": 1,
        "wants_full": False,
        "failures": 0,
        "note": "",
        "file_key": "",
        "restore_time": "",
        "last_sync_at": stores.NEVER_DUE,
    }
    for start in range(first, first + count, CHUNK):
        ids = [company_id(number) for number in range(start, min(start + CHUNK, first + count))]
        with database.transaction() as session:
            session.execute(
                insert(Company),
                [{"id": one, "username": f"qbwc-{one}", "bound_company_file": file_of(one), **shared} for one in ids],
            )
            session.execute(insert(CompanySync), [{"company_id": one, **done} for one in ids])


def company_id(number: int) -> str:
    """Name a company."""
    return f"c{number:06d}"


def file_of(company: str) -> str:
    """Give the path of a company's file."""
    return canned.company_file(int(company[1:]))


def an_invoice(document_id: str, lines: int = 2) -> dict[str, Any]:
    """Give a good invoice with this many lines."""
    each = {"charge": "LINEHAUL", "description": "Linehaul Dallas TX - Reno NV", "amount": "10.00"}
    return stores.an_invoice(
        document_id,
        lines=[{"id": str(number + 1), **each} for number in range(lines)],
        total=f"{10 * lines}.00",
    )


def prepare(database: Database, company: str, document: dict[str, Any]) -> str:
    """Queue a document as its workflow does; gives the request's id."""
    activities = ExportActivities(database, clock=now, new_id=new_id)
    prepared = activities.prepare_export(PrepareInput(company_id=company, document=document, run_id=document["id"]))
    if prepared.request_id is None:
        raise RuntimeError(f"the document was not queued: {prepared.failure}")
    return prepared.request_id


def queue_copies(
    database: Database, request_id: str, count: int, *, first: int = 1, each_company: bool = False
) -> None:
    """Queue copies of a request by one statement: all for its company, or one for each company `c000001`, ...

    They share its export row: only the queue is judged.
    """
    # As they were queued, whatever has become of the original since.
    fresh = {
        "id": "'COPY' || n.i",
        "run_id": "'COPY' || n.i",
        "body": "replace(r.body, r.id, 'COPY' || n.i)",
        "company_id": "'c' || substr('000000' || n.i, length('' || n.i) + 1)" if each_company else "r.company_id",
        "state": f"'{WAITING}'",
        "attempt": "0",
        "outcome": "null",
        "message_set_id": "null",
    }
    kept = {column.name: f"r.{column.name}" for column in Request.__table__.columns if column.name != "seq"}
    values = kept | fresh
    statement = text(
        f"with recursive n(i) as (select {first} union all select i + 1 from n where i < {first + count - 1}) "  # noqa: S608
        f"insert into requests ({', '.join(values)}) select {', '.join(values.values())} "
        "from n, requests r where r.id = :id"
    )
    with database.transaction() as session:
        session.execute(statement, {"id": request_id})
    if not database.is_sqlite:  # which plans without statistics, as in production
        with database.glance() as connection:
            connection.exec_driver_sql("analyze requests")
