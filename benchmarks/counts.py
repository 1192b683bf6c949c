"""Budgets that are counts: the same on every machine, so tests hold them, too."""

from __future__ import annotations

from benchmarks import canned, filling
from benchmarks.queue_length import dispatcher_over, noted
from benchmarks.report import Figure
from benchmarks.surroundings import Place
from store.engine import Database

CALLS_FOR_100 = 16
CALLS_FOR_100_LOOKING = 20
"""With the look before each first Add (design.md 6)."""
POLL_STATEMENTS = 2
SESSION_COMMITS = 4
SESSION_STATEMENTS = 27
"""Two of the commits and ten of the statements are the question whether the books hold what was written last."""


def calls_for(database: Database, exports: int) -> int:
    """Give the calls of the session that takes over this many waiting exports of one company."""
    company = filling.company_id(0)
    first = filling.prepare(database, company, filling.an_invoice("inv_0"))
    if exports > 1:
        filling.queue_copies(database, first, exports - 1)
    dispatcher = dispatcher_over(database)
    dispatcher.server_version()
    dispatcher.client_version(canned.VERSION)
    ticket, _ = dispatcher.authenticate(f"qbwc-{company}", filling.PASSWORD)
    calls, hcp, progress = 3, canned.HCP, 0
    while progress != 100:
        text = dispatcher.send_request_xml(ticket, hcp, canned.company_file(0), "US", "16", "0")
        progress = dispatcher.receive_response_xml(ticket, canned.answer(text), "", "")
        calls, hcp = calls + 2, ""
        if progress < 0:
            raise RuntimeError(dispatcher.get_last_error(ticket))
    if dispatcher.close_connection(ticket) != f"{exports} exported":
        raise RuntimeError("the session did not export everything")
    return calls + 1


def measure(place: Place) -> list[Figure]:
    """Count calls, statements and commits."""
    database = place.new_database()
    filling.add_companies(database, 1)
    calls = calls_for(database, 100)
    looking = place.new_database()
    filling.add_companies(looking, 1, looks=True)
    calls_looking = calls_for(looking, 100)
    dispatcher = dispatcher_over(database)
    user = f"qbwc-{filling.company_id(0)}"
    with noted(database) as polled:
        answer = dispatcher.authenticate(user, filling.PASSWORD)
    if answer != ["", "none"]:
        raise RuntimeError("the poll found something to do")
    other = place.new_database()
    filling.add_companies(other, 1)
    calls_for(other, 1)
    filling.prepare(other, filling.company_id(0), filling.an_invoice("inv_1"))
    with noted(other) as worked:
        session(other)
    commits = sum(statement == "COMMIT" for statement, _ in worked)
    return [
        Figure(what="SOAP calls for 100 waiting exports", value=calls, at_most=CALLS_FOR_100, database=place.kind),
        Figure(
            what="SOAP calls for 100 waiting exports, looked for first",
            value=calls_looking,
            at_most=CALLS_FOR_100_LOOKING,
            database=place.kind,
        ),
        Figure(what="statements per idle poll", value=len(polled), at_most=POLL_STATEMENTS, database=place.kind),
        Figure(
            what="commits that wait for the disk per session",
            value=commits,
            at_most=SESSION_COMMITS,
            database=place.kind,
        ),
        Figure(
            what="statements per session", value=len(worked) - commits, at_most=SESSION_STATEMENTS, database=place.kind
        ),
    ]


def session(database: Database) -> None:
    """Run one session with the one document that waits."""
    dispatcher = dispatcher_over(database)
    ticket, _ = dispatcher.authenticate(f"qbwc-{filling.company_id(0)}", filling.PASSWORD)
    told, progress = canned.HCP, 0
    while progress != 100:  # first whether the books are the right ones, then the document
        text = dispatcher.send_request_xml(ticket, told, canned.company_file(0), "US", "16", "0")
        told, progress = "", dispatcher.receive_response_xml(ticket, canned.answer(text), "", "")
        if progress < 0:
            raise RuntimeError("the session did not end with its one document")
    dispatcher.close_connection(ticket)
