"""The queue of qbXML requests per company, and the message sets that carried them.

One transaction at a time decides on the requests of a company: it holds the company's row (`lock_company`). So two
bridges never hand out one request, and two companies never wait for each other.

What every call asks stands in `queries.py`. Where no row becomes an object, it goes past the session's machinery, which
takes longer than the database; such a question sees what is flushed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, func, select, update
from sqlalchemy.orm import Session

from store import queries
from store.changes import add_row
from store.states import ANSWERED, IN_FLIGHT, SENT, WAITING
from store.tables import Company, MessageSet, Request, WebConnectorSession
from store.within import connection_of

BATCH_MAX = 1000
"""More requests than any configured set holds: a request that was in no refused set does not limit its set."""

SESSION_LASTS = timedelta(days=2)
"""Longer than any session: it has a budget of minutes, and is closed after an hour of silence."""
SWEPT_AT_ONCE = 500
"""Sessions that one transaction closes at most."""


def request(session: Session, request_id: str, *, fresh: bool = False) -> Request | None:
    """Find a request by the id that travels in qbXML; `fresh` reads it again although the session knows it."""
    query = select(Request).where(Request.id == request_id)
    return session.scalar(query.execution_options(populate_existing=fresh))


def requests_named(session: Session, ids: Sequence[str]) -> Sequence[Request]:
    """Give the requests with these ids, in the order they were queued. One statement; without ids none."""
    if not ids:
        return []
    return session.scalars(select(Request).where(Request.id.in_(ids)).order_by(Request.seq)).all()


def newest_request(session: Session, export_id: int) -> Request | None:
    """Find the last request that was queued for an export."""
    query = select(Request).where(Request.export_id == export_id).order_by(Request.seq.desc()).limit(1)
    return session.scalar(query)


def requests_of_export(session: Session, export_id: int) -> Sequence[Request]:
    """Give every request that was queued for an export, newest first."""
    return session.scalars(select(Request).where(Request.export_id == export_id).order_by(Request.seq.desc())).all()


def requests_of_set(session: Session, message_set_id: str) -> Sequence[Request]:
    """Give the requests that travel in a set and are not settled, in the order they were queued."""
    return session.scalars(queries.requests_of_set(), {"set": message_set_id}).all()


def count_waiting(session: Session, company_id: str, *, now: datetime | None = None) -> int:
    """Count waiting requests; with `now`, only those that may go at once."""
    query = select(func.count()).where(Request.company_id == company_id, Request.state == WAITING)
    if now is not None:
        query = query.where(Request.available_at <= now)
    return session.scalar(query) or 0


def count_in_flight(session: Session, company_id: str) -> int:
    """Count requests that QuickBooks has, or may have."""
    query = select(func.count()).where(Request.company_id == company_id, Request.state == IN_FLIGHT)
    return session.scalar(query) or 0


def oldest_waiting_at(session: Session, company_id: str) -> datetime | None:
    """Give since when the head of the queue waits; None when nothing does."""
    query = select(Request.created_at).where(Request.company_id == company_id, Request.state == WAITING)
    return session.scalar(query.order_by(Request.seq).limit(1))


def unresolved_write_set(session: Session, company_id: str) -> MessageSet | None:
    """Find the write set whose answer is not known; there is at most one per company."""
    return session.scalar(queries.unresolved(), {"company": company_id})


@dataclass(frozen=True)
class Sets:
    """Where a company and one of its sessions stand when the next set is to be handed out."""

    unresolved: str | None
    """The write set whose answer is not known; there is at most one per company."""
    settled: str | None
    """The newest write set of which QuickBooks said the outcome: its record there may be released."""
    newest: int
    """The number of the newest set that this session was handed; 0: none."""
    newest_at: datetime | None
    """When that one left."""
    open_questions: int
    has_others: bool
    """Other computers held the company file of late."""


SETS = len(fields(Sets))


def next_set(
    session: Session, wc: WebConnectorSession, *, now: datetime, limit: int, others_since: datetime
) -> tuple[Sets, Sequence[Request]]:
    """Say which sets matter to the next one of a session, and give the oldest requests that may go. One statement.

    The caller holds the company. Requests that somebody else holds are passed over.
    """
    values = {
        "company": wc.company_id,
        "ticket": wc.ticket_hash,
        "host": wc.host,
        "since": others_since,
        "began": others_since - SESSION_LASTS,
        "now": now,
        "limit": limit,
    }
    rows = queries.requests_to_send()
    found = [tuple(row) for row in connection_of(session).execute(queries.next_set(), values)]
    waiting = [rows.of(session, row[SETS:]) for row in found if rows.is_there(row[SETS:])]
    return Sets(*found[0][:SETS]), sorted(waiting, key=lambda one: one.seq)


def keep_set(session: Session, **values: Any) -> None:
    """Keep a set that is about to leave, by the columns of `MessageSet`."""
    add_row(session, MessageSet, {"state": SENT, **values})


def text_of_set(session: Session, set_id: str) -> str:
    """Give the text that left; "" for a set that is not known."""
    return session.scalar(select(MessageSet.text).where(MessageSet.id == set_id)) or ""


def open_questions(session: Session, ticket_hash: str) -> Sequence[MessageSet]:
    """Give the questions that this session was handed and has not answered, newest first."""
    query = select(MessageSet).where(
        MessageSet.ticket_hash == ticket_hash, queries.is_in(MessageSet.state, SENT), MessageSet.kind != "write"
    )
    return session.scalars(query.order_by(MessageSet.seq.desc())).all()


@dataclass(frozen=True)
class Left:
    """What a company has to do, beside what is out."""

    going: int
    """Requests that may go at once, no further than was asked."""
    sync_state: str | None
    last_sync_at: datetime | None
    retry_at: datetime | None


def left_to_do(session: Session, company_id: str, *, now: datetime, count_to: int) -> Left:
    """Say what a company has to do, as it is written. One statement."""
    values = {"company": company_id, "now": now, "limit": count_to}
    return Left(*connection_of(session).execute(queries.left_to_do(), values).one())


@dataclass(frozen=True)
class Exchanges:
    """The sets of one session that an answer may belong to."""

    repeated: MessageSet | None
    """To which exactly this answer was recorded already."""
    newest: MessageSet | None
    """Handed out last, answered or not."""
    open: Sequence[MessageSet]
    """Not answered, newest first."""
    requests: Sequence[Request]
    """Those that QuickBooks has, of all these sets, in the order they were queued."""
    left: Left
    """Apart from what the answer brings."""

    def requests_of(self, message_set: MessageSet) -> list[Request]:
        """Give those of one set."""
        return [one for one in self.requests if one.message_set_id == message_set.id]


LEFT = len(fields(Left))


def exchanges(session: Session, wc: WebConnectorSession, response: str, *, now: datetime, count_to: int) -> Exchanges:
    """Find the sets that an answer may belong to; an empty one was never recorded before. One statement."""
    values = {
        "company": wc.company_id,
        "ticket": wc.ticket_hash,
        "response": response,
        "digest": digest(response),
        "now": now,
        "limit": count_to,
    }
    of_sets, of_requests = queries.sets_to_answer(), queries.requests_out()
    behind_set = LEFT + 1 + len(of_sets)
    found = [tuple(row) for row in connection_of(session).execute(queries.exchanges(), values)]
    sets: dict[str, tuple[bool, MessageSet]] = {}
    requests: list[Request] = []
    for row in found:
        of_set, of_request = row[LEFT + 1 : behind_set], row[behind_set:]
        if of_sets.is_there(of_set) and of_sets.key(of_set) not in sets:
            sets[of_sets.key(of_set)] = row[LEFT], of_sets.of(session, of_set)
        if of_requests.is_there(of_request):
            requests.append(of_requests.of(session, of_request))
    known = list(sets.values())
    return Exchanges(
        repeated=next((one for is_recorded, one in known if is_recorded and response), None),
        newest=known[0][1] if known else None,
        open=[one for _, one in known if one.state == SENT],
        requests=requests,
        left=Left(*found[0][:LEFT]),
    )


def answered_in_session(session: Session, ticket_hash: str, kind: str) -> MessageSet | None:
    """Find a question of a kind that this session was asked and that was answered."""
    query = select(MessageSet).where(
        MessageSet.ticket_hash == ticket_hash, MessageSet.kind == kind, queries.is_in(MessageSet.state, ANSWERED)
    )
    return session.scalar(query.order_by(MessageSet.seq.desc()).limit(1))


def digest(response: str) -> str:
    """Give what stands in place of an answer that is not kept, and recognises it."""
    return f"sha256:{hashlib.sha256(response.encode()).hexdigest()}"


def recovery_steps(session: Session, write_set_id: str) -> Sequence[MessageSet]:
    """Give what was asked about a write set so far, oldest first."""
    query = select(MessageSet).where(MessageSet.about_set_id == write_set_id)
    return session.scalars(query.order_by(MessageSet.sent_at, MessageSet.seq)).all()


def last_settled_write_set(session: Session, company_id: str) -> str | None:
    """Give the id of the newest write set of which QuickBooks said the outcome: its record there may be released.

    Not one that was ruled on by a look-up: a late run of it could not be kept from writing without its record.
    """
    return session.scalar(queries.last_settled(), {"company": company_id})


def open_session(session: Session, ticket_hash: str, company_id: str, *, now: datetime) -> None:
    """Open a session of the Web Connector."""
    values = {"ticket_hash": ticket_hash, "company_id": company_id, "started_at": now, "last_call_at": now}
    unknown = {"guard_passed": False, "qbxml_version": "13.0", "done": 0, "failed": 0, "last_error": ""}
    add_row(session, WebConnectorSession, values | unknown | {"state": "open"})


@dataclass(frozen=True)
class LastWord:
    """What a session that is over has to say."""

    last_error: str
    done: int
    failed: int


def last_word(connection: Connection, ticket_hash: str) -> LastWord | None:
    """Give what a session says at its end; None while it is open, and for one that is not known."""
    row = connection.execute(queries.last_word(), {"ticket": ticket_hash}).one_or_none()
    return LastWord(*row) if row is not None else None


def wc_session(session: Session, ticket_hash: str) -> tuple[WebConnectorSession, Company] | None:
    """Find a session by its ticket's hash and lock both it and its company; gives both. One statement.

    Whoever held the company before has written what is read here: PostgreSQL reads locked rows anew when it had to
    wait for them, and the company's is locked first.
    """
    row = connection_of(session).execute(queries.wc_session(), {"ticket": ticket_hash}).one_or_none()
    if row is None:
        return None
    owners, sessions = queries.owners(), queries.wc_sessions()
    values = tuple(row)
    return sessions.of(session, values[len(owners) :]), owners.of(session, values[: len(owners)])


def hosts_since(session: Session, wc: WebConnectorSession, since: datetime) -> Sequence[tuple[str, datetime]]:
    """Give the other computers that held the company file in other sessions, each with its last call."""
    values = {"company": wc.company_id, "ticket": wc.ticket_hash, "host": wc.host}
    found = connection_of(session).execute(
        queries.hosts_since(), values | {"since": since, "began": since - SESSION_LASTS}
    )
    return [(host, at) for host, at in found if host is not None]


def has_newer_at_work(session: Session, wc: WebConnectorSession) -> bool:
    """Say whether a session that began later has shown a company file: a repeated sign-in alone never does."""
    query = select(WebConnectorSession.ticket_hash).where(
        WebConnectorSession.company_id == wc.company_id,
        WebConnectorSession.started_at > wc.started_at,
        WebConnectorSession.guard_passed.is_(True),
    )
    return session.scalar(query.limit(1)) is not None


def close_abandoned(session: Session, *, silent_since: datetime, last_error: str, limit: int = SWEPT_AT_ONCE) -> int:
    """Close the open sessions of all companies that were silent since then, at most `limit`; gives how many.

    What they fetched and never answered stays unresolved: the next session asks for it. One that another transaction
    holds is at work after all, and is passed over.
    """
    silent = (
        select(WebConnectorSession.ticket_hash)
        .where(WebConnectorSession.state == "open", WebConnectorSession.last_call_at < silent_since)
        .order_by(WebConnectorSession.last_call_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    query = (
        update(WebConnectorSession)
        .where(WebConnectorSession.ticket_hash.in_(session.scalars(silent).all()))
        .values(state="abandoned", last_error=last_error)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(query)).rowcount


def exchange_before(session: Session, exchange: MessageSet) -> MessageSet | None:
    """Find what the same session was handed just before."""
    query = select(MessageSet).where(MessageSet.ticket_hash == exchange.ticket_hash, MessageSet.seq == exchange.seq - 1)
    return session.scalar(query)


def open_sessions(session: Session, company_id: str) -> Sequence[WebConnectorSession]:
    """Give the sessions of a company that are not closed."""
    query = select(WebConnectorSession).where(
        WebConnectorSession.company_id == company_id, WebConnectorSession.state == "open"
    )
    return session.scalars(query).all()
