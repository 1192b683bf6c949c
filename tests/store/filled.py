"""Databases with many rows, written by one statement a table, and the plans of what is asked of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session

from store.engine import Database
from tests.support.plans import planned_once

COMPANIES = 300
ROWS = 12_000
LARGE = (
    "exports", "timeline", "requests", "web_connector_sessions", "message_sets", "incidents", "outbox", "documents",
    "list_entries", "export_waits", "kept_answers", "webhook_deliveries", "ref_numbers",
)  # fmt: skip
"""What grows with the business; the others have a row a company, or a few."""
AT = "'2026-11-20 10:00:00.000000'"
COMPANY = f"'c' || (i % {COMPANIES})"


def fill(database: Database) -> None:
    """Many companies with a history; nearly all of it is over, as in a database in use."""
    with database.engine.begin() as connection:
        _insert(
            connection, "companies", rows=COMPANIES,
            id=COMPANY, name="'n'", username=f"'u' || (i % {COMPANIES})", password_hash="'h'", company_file="''",
            quickbooks_release="'2024'", country="'US'", run_every_minutes="15", owner_id="'o'", file_id="'f'",
            paused="false", ref_number_rule="'keep_end'", mapping="'{}'", created_at=AT,
        )  # fmt: skip
        _insert(
            connection, "exports",
            company_id=COMPANY, kind="'invoice'", document_id="'d' || i", number="'N' || i", content_hash="'x'",
            document="""'{"customer": {"name": "Cafe"}}'""", detail="''", changes="'[]'", created_at=AT, updated_at=AT,
            state="case when i % 97 = 0 then 'Failed' else 'Successful' end",
            owner="case when i % 97 = 0 then 'bookkeeper' end",
        )  # fmt: skip
        _insert(
            connection, "timeline",
            export_id="i", at=AT, state="'Sent'", text="'t'", key="'k' || i",
        )  # fmt: skip
        _insert(
            connection, "ref_numbers",
            company_id=COMPANY, kind="'invoice'", ref_number="'n' || i", party_id="''", document_id="'d' || i",
        )  # fmt: skip
        _insert(
            connection, "requests",
            id="'r' || i", company_id=COMPANY, export_id="i", run_id="'r'", workflow_id="'w'", operation="'InvoiceAdd'",
            body="'<x/>'", facts="'{}'", attempt="1", postponed="0", losses="0", batch_max="1000", available_at=AT,
            created_at=AT, state="case when i % 50 = 0 then 'waiting' else 'done' end", message_set_id="'s' || i",
        )  # fmt: skip
        _insert(
            connection, "web_connector_sessions",
            ticket_hash="'t' || i", company_id=COMPANY, state="case when i % 5000 = 0 then 'open' else 'finished' end",
            started_at=AT, last_call_at=AT, guard_passed="true", qbxml_version="'13.0'", done="1", failed="0",
            last_error="''",
        )  # fmt: skip
        _insert(
            connection, "message_sets",
            id="'s' || i", company_id=COMPANY, ticket_hash="'t' || i", kind="'write'", state="'answered'", seq="1",
            about_set_id="case when i % 10 = 0 then 's' || (i - 1) end", text="'<x/>'", sent_at=AT, answered_at=AT,
        )  # fmt: skip
        _insert(connection, "incidents", company_id=COMPANY, at=AT, code="'c'", text="'t'")
        done = {"workflow_id": "'w' || i", "signal": "'outcome'", "payload": "'{}'", "note": "''"}
        _insert(connection, "outbox", **done, created_at=AT, available_at=AT, delivered_at=AT)
        _insert(connection, "outbox", rows=50, **done, created_at=AT, available_at=AT)
        _insert(
            connection, "documents",
            company_id=COMPANY, kind="'invoice'", document_id="'d' || i", number="'N' || i", party="'Cafe'",
            document="'{}'", created_at=AT, updated_at=AT,
        )  # fmt: skip
        _insert(
            connection, "list_entries",
            company_id=COMPANY, kind="'customer'", list_id="'l' || i", full_name="'Name ' || i",
            name_key="'name ' || i", type="''", is_active="true", is_gone="false", facts="'{}'",
            time_modified="''", updated_at=AT,
            parent_list_id="case when i % 3 = 0 then 'l' || (i - 1) end",
        )  # fmt: skip
        _insert(connection, "export_waits", export_id="i", key="'charges/' || (i % 100)", company_id=COMPANY)
        _insert(connection, "export_waits", rows=20, export_id="i", key="'terms/t'", company_id=COMPANY, released_at=AT)
        _insert(
            connection, "kept_answers",
            id="'k' || i", request_hash="'h'", holder="'h'", held_until=AT, expires_at="'2100-01-01 00:00:00.000000'",
        )  # fmt: skip
        _insert(
            connection, "webhooks", rows=COMPANIES,
            id="'wh' || i", company_id=COMPANY, url="'https://x'", events="'[]'", description="''", secret="'s'",
            enabled="true", disabled_reason="''", created_at=AT, updated_at=AT,
        )  # fmt: skip
        message = {"webhook_id": f"'wh' || (i % {COMPANIES} + 1)", "company_id": COMPANY, "event": "'e'"}
        message |= {"payload": "'{}'", "attempts": "1", "last_error": "''", "run": "1"}
        message |= {"created_at": AT, "available_at": AT}
        _insert(
            connection, "webhook_deliveries",
            **message, id="'m' || i", state="'delivered'", started_at=AT, finished_at=AT,
        )  # fmt: skip
        _insert(connection, "webhook_deliveries", rows=20, **message, id="'p' || i", state="'pending'")
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("analyze")


def _insert(connection: Connection, table: str, *, rows: int = ROWS, **columns: str) -> None:
    numbers = f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})"
    values = ", ".join(columns.values())
    connection.execute(text(f"insert into {table} ({', '.join(columns)}) {numbers} select {values} from n"))


def faults_of(
    connection: Connection,
    question: Callable[[Session], object],
    index: str | None,
    *,
    sorted_by_it: bool,
    plans_once: bool = False,
) -> list[str]:
    """Ask, and say what is wrong with how the database finds the answer; with `plans_once` whatever the values are."""
    if sorted_by_it and connection.dialect.name == "postgresql":
        # The few rows of one company here are sorted in no time: what counts is whether an index has the order.
        connection.execute(text("set local enable_sort = off"))
        connection.execute(text("set local enable_bitmapscan = off"))
    with Session(connection, join_transaction_mode="create_savepoint") as session, _statements(connection) as asked:
        question(session)
        session.flush()
    faults: list[str] = []
    used: set[str] = set()
    for statement, parameters in asked:
        nodes = list(_nodes(connection, statement, parameters, plans_once=plans_once))
        used |= {name for _, _, name in nodes}
        faults += [f"reads all of {table}" for kind, table, _ in nodes if kind == "scan" and table in LARGE]
        if sorted_by_it and any(kind == "sort" for kind, _, _ in nodes):
            faults.append("sorts")
    if index is not None and used.isdisjoint(index.split(" or ")):
        faults.append(f"does not use {index}, but {sorted(used)}")
    return faults


@contextmanager
def _statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and statement.lower().startswith(("select", "update", "delete")):
            asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(connection, "before_cursor_execute", note)


def _nodes(
    connection: Connection, statement: str, parameters: Any, *, plans_once: bool
) -> Iterator[tuple[str, str, str]]:
    """Give kind (scan, sort or another), table and index of each step of a plan."""
    if connection.dialect.name == "sqlite":
        for *_, detail in connection.exec_driver_sql(f"explain query plan {statement}", parameters):
            words = str(detail).split()
            kind = {"SCAN": "scan", "USE": "sort"}.get(words[0], "search")
            if {"LAST", "RIGHT"} & set(words):
                kind = "ties"  # in the index's order, but for rows of the same value
            index = words[words.index("INDEX") + 1] if "INDEX" in words else ""
            yield kind, words[1] if kind == "scan" else "", index
        return
    if plans_once:
        yield from _below(planned_once(connection, statement, parameters))
        return
    [(plan,)] = connection.exec_driver_sql(f"explain (format json) {statement}", parameters)
    yield from _below((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


def _below(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    kind = {"Seq Scan": "scan", "Sort": "sort"}.get(node["Node Type"], node["Node Type"])
    yield kind, node.get("Relation Name", ""), node.get("Index Name", "")
    for below in node.get("Plans", ()):
        yield from _below(below)


def drop(connection: Connection, index: str) -> None:
    """Drop an index, or each that may serve (`a or b`); the caller rolls back."""
    for name in index.split(" or "):
        connection.execute(text(f"drop index {name}"))
