"""Fetching the next set from queues of 100 to 1,000,000 requests: what the database reads, and the processor time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from benchmarks import canned, filling
from benchmarks.report import Figure
from benchmarks.surroundings import Place
from ops.fresh import new_id, now
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from store.engine import Database
from tests.support.plans import planned_once

FLAT = 1.5
"""A longer queue may read this much more: a tree of keys is a level or two higher."""
Statement = tuple[str, Any]


def dispatcher_over(database: Database, **limits: Any) -> Dispatcher:
    """Give the bridge's own dispatcher, without the wire."""
    return Dispatcher(database, limits=Limits(**limits), clock=now, new_id=new_id)


@contextmanager
def noted(database: Database) -> Iterator[list[Statement]]:
    """Note the statements that run meanwhile, on all ways to the database, and as `COMMIT` what waits for the disk."""
    seen: list[Statement] = []

    def on_execute(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if not statement.startswith(("begin", "pragma")):
            seen.append((statement, parameters))

    def on_commit(_connection: Connection) -> None:
        seen.append(("COMMIT", None))

    for engine in database.engines:
        event.listen(engine, "before_cursor_execute", on_execute)
    event.listen(database.engine, "commit", on_commit)
    try:
        yield seen
    finally:
        for engine in database.engines:
            event.remove(engine, "before_cursor_execute", on_execute)
        event.remove(database.engine, "commit", on_commit)


def read_by(database: Database, work: Callable[[], object]) -> int:
    """Give what the database reads for some work: steps of SQLite's machine, or blocks that PostgreSQL touches."""
    with noted(database) as seen:
        work()
    queries = [one for one in seen if one[0].lstrip().upper().startswith("SELECT")]
    with database.engine.connect() as connection:
        cost = _steps if database.is_sqlite else _blocks
        total = sum(cost(connection, statement, parameters) for statement, parameters in queries)
        connection.rollback()
    return total


def _steps(connection: Connection, statement: str, parameters: Any) -> int:
    raw = connection.connection.dbapi_connection
    assert raw is not None  # noqa: S101  for the type checker: a connection that is open has one
    counted = [0]

    def tick() -> int:
        counted[0] += 1
        return 0

    raw.set_progress_handler(tick, 1)
    try:
        raw.execute(statement, parameters).fetchall()
    finally:
        raw.set_progress_handler(None, 1)
    return counted[0]


def _blocks(connection: Connection, statement: str, parameters: Any) -> int:
    plan = planned_once(connection, statement, parameters, "analyze, buffers, timing off, format json")
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def one_set(dispatcher: Dispatcher, company: str, *, documents: int) -> float:
    """Run one session that stops after its first set, of so many documents; gives processor milliseconds."""
    began = time.process_time()
    ticket, _ = dispatcher.authenticate(f"qbwc-{company}", filling.PASSWORD)
    text = dispatcher.send_request_xml(ticket, canned.HCP, canned.company_file(0), "US", "16", "0")
    dispatcher.receive_response_xml(ticket, canned.answer(text), "", "")
    if "AddRq" not in text:  # it asked whether the books are the right ones
        text = dispatcher.send_request_xml(ticket, "", canned.company_file(0), "US", "16", "0")
        dispatcher.receive_response_xml(ticket, canned.answer(text), "", "")
    spent = time.process_time() - began
    dispatcher.close_connection(ticket)
    if text.count("AddRq requestID") != documents:
        raise RuntimeError(f"the set does not hold {documents} documents: {dispatcher.get_last_error(ticket)}")
    return 1000 * spent


def next_set(place: Place, *, lengths: tuple[int, ...], rounds: int = 2) -> list[Figure]:
    """Fill one company's queue further and further, and fetch sets from its head."""
    database = place.new_database()
    filling.add_companies(database, 1)
    company = filling.company_id(0)
    first = filling.prepare(database, company, filling.an_invoice("inv_0"))
    dispatcher = dispatcher_over(database)
    reads: dict[int, int] = {}
    spent: dict[int, float] = {}
    whole = Limits().batch_size  # of the shortest queue, too, no more sets are taken than it holds
    filled = 1
    for length in lengths:
        filling.queue_copies(database, first, length - filled, first=filled)
        filled = length
        one_set(dispatcher, company, documents=whole)
        reads[length] = read_by(database, lambda: one_set(dispatcher, company, documents=whole))
        spent[length] = min(one_set(dispatcher, company, documents=whole) for _ in range(rounds))
    shortest, longest = lengths[0], lengths[-1]
    unit = "steps" if database.is_sqlite else "blocks"
    return [
        Figure(
            what=f"next set: read from {longest:,} waiting against {shortest:,}",
            database=place.kind,
            value=reads[longest] / reads[shortest],
            at_most=FLAT,
            raw={f"{unit}_at_{length:,}": count for length, count in reads.items()},
        ),
        Figure(
            what=f"next set: processor time with {longest:,} waiting against {shortest:,}",
            database=place.kind,
            value=spent[longest] / spent[shortest],
            raw={f"ms_at_{length:,}": round(ms, 2) for length, ms in spent.items()},
        ),
    ]
