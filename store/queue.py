"""The queue of qbXML requests per company, and the message sets that carried them.

One transaction at a time decides on the requests of a company: it holds the company's row (`lock_company`). So two
bridges never hand out one request, and two companies never wait for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, case, func, select, update
from sqlalchemy.orm import Session

from store.companies import lock_company
from store.tables import Company, MessageSet, Request, WebConnectorSession

WAITING = "waiting"
IN_FLIGHT = "in_flight"
DONE = "done"
CANCELLED = "cancelled"

BATCH_MAX = 1000
"""More requests than any configured set holds: a request that was in no refused set does not limit its set."""

SESSION_LASTS = timedelta(days=2)
"""Longer than any session: it has a budget of minutes, and is closed after an hour of silence."""
SWEPT_AT_ONCE = 500
"""Sessions that one transaction closes at most."""

SENT = "sent"
ANSWERED = "answered"
ABANDONED = "abandoned"


def request(session: Session, request_id: str, *, fresh: bool = False) -> Request | None:
    """Find a request by the id that travels in qbXML; `fresh` reads it again although the session knows it."""
    query = select(Request).where(Request.id == request_id)
    return session.scalar(query.execution_options(populate_existing=fresh))


def newest_request(session: Session, export_id: int) -> Request | None:
    """Find the last request that was queued for an export."""
    query = select(Request).where(Request.export_id == export_id).order_by(Request.seq.desc()).limit(1)
    return session.scalar(query)


def requests_of_export(session: Session, export_id: int) -> Sequence[Request]:
    """Give every request that was queued for an export, newest first."""
    return session.scalars(select(Request).where(Request.export_id == export_id).order_by(Request.seq.desc())).all()


def requests_of_set(session: Session, message_set_id: str) -> Sequence[Request]:
    """Give the requests that travel in a set and are not settled, in the order they were queued."""
    query = select(Request).where(Request.message_set_id == message_set_id, Request.state == IN_FLIGHT)
    return session.scalars(query.order_by(Request.seq)).all()


def next_requests(session: Session, company_id: str, *, now: datetime, limit: int) -> Sequence[Request]:
    """Give the oldest waiting requests; the caller holds the company. Rows that somebody else holds are passed over."""
    query = (
        select(Request)
        .where(Request.company_id == company_id, Request.state == WAITING, Request.available_at <= now)
        .order_by(Request.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(query).all()


def count_waiting(session: Session, company_id: str, *, now: datetime | None = None, at_most: int | None = None) -> int:
    """Count waiting requests; with `now`, only those that may go at once; with `at_most`, no further than that."""
    query = select(Request.seq).where(Request.company_id == company_id, Request.state == WAITING)
    if now is not None:
        query = query.where(Request.available_at <= now)
    if at_most is not None:
        query = query.limit(at_most)
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def has_work(session: Session, company_id: str, *, now: datetime) -> bool:
    """Say whether a session would have anything to do: a waiting request or an unresolved set."""
    waiting = select(Request.seq).where(
        Request.company_id == company_id, Request.state == WAITING, Request.available_at <= now
    )
    if session.scalar(waiting.limit(1)) is not None:
        return True
    return unresolved_write_set(session, company_id) is not None


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
    return session.scalar(
        select(MessageSet).where(
            MessageSet.company_id == company_id, MessageSet.kind == "write", MessageSet.state == SENT
        )
    )


def open_exchanges(session: Session, ticket_hash: str) -> Sequence[MessageSet]:
    """Give the sets that this session was handed and has not answered, newest first."""
    query = select(MessageSet).where(MessageSet.ticket_hash == ticket_hash, MessageSet.state == SENT)
    return session.scalars(query.order_by(MessageSet.seq.desc())).all()


def newest_exchange(session: Session, ticket_hash: str) -> MessageSet | None:
    """Find the newest set that this session was handed, answered or not."""
    query = select(MessageSet).where(MessageSet.ticket_hash == ticket_hash)
    return session.scalar(query.order_by(MessageSet.seq.desc()).limit(1))


def exchanges_so_far(session: Session, ticket_hash: str) -> tuple[int, int]:
    """Give the number of the newest set that this session was handed (0: none), and how many questions are open."""
    is_open = and_(MessageSet.state == SENT, MessageSet.kind != "write")
    query = select(func.max(MessageSet.seq), func.sum(case((is_open, 1), else_=0)))
    newest, questions = session.execute(query.where(MessageSet.ticket_hash == ticket_hash)).one()
    return newest or 0, int(questions or 0)


def exchange_answered_with(session: Session, ticket_hash: str, response: str) -> MessageSet | None:
    """Find the set of this session to which exactly this answer was recorded already."""
    query = select(MessageSet).where(
        MessageSet.ticket_hash == ticket_hash,
        MessageSet.answered_at.is_not(None),
        MessageSet.response.in_((response, digest(response))),
    )
    return session.scalars(query.order_by(MessageSet.seq.desc()).limit(1)).first()


def answered_in_session(session: Session, ticket_hash: str, kind: str) -> MessageSet | None:
    """Find a question of a kind that this session was asked and that was answered."""
    query = select(MessageSet).where(
        MessageSet.ticket_hash == ticket_hash, MessageSet.kind == kind, MessageSet.state == ANSWERED
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
    """Give the id of the newest write set with a recorded outcome: its record in QuickBooks may be released."""
    query = select(MessageSet.id).where(
        MessageSet.company_id == company_id, MessageSet.kind == "write", MessageSet.state == ANSWERED
    )
    return session.scalar(query.order_by(MessageSet.sent_at.desc(), MessageSet.seq.desc()).limit(1))


def wc_session(session: Session, ticket_hash: str) -> tuple[WebConnectorSession, Company] | None:
    """Find a session by its ticket's hash and lock its company, before anything else of it is read; gives both."""
    # A ticket's company never changes, so it may be read before the lock is there.
    company_id = select(WebConnectorSession.company_id).where(WebConnectorSession.ticket_hash == ticket_hash)
    owner = lock_company(session, company_id.scalar_subquery())
    wc = session.get(WebConnectorSession, ticket_hash, populate_existing=True) if owner is not None else None
    return (wc, owner) if wc is not None and owner is not None else None


def hosts_since(session: Session, company_id: str, since: datetime, *, besides: str) -> Sequence[tuple[str, datetime]]:
    """Give the computers that held the company file in other sessions than `besides`, each with its last call."""
    last = func.max(WebConnectorSession.last_call_at)
    query = select(WebConnectorSession.host, last).where(
        WebConnectorSession.company_id == company_id,
        WebConnectorSession.started_at > since - SESSION_LASTS,  # lets the index leave out the history
        WebConnectorSession.last_call_at > since,
        WebConnectorSession.ticket_hash != besides,
        WebConnectorSession.host.is_not(None),
    )
    rows = session.execute(query.group_by(WebConnectorSession.host).order_by(last.desc())).all()
    return [(host, at) for host, at in rows if host is not None]


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
