"""What is forgotten after a time, and what never is.

Forgotten, once it is older than the time that was set:

- sessions of the Web Connector that ended, each as a whole with the texts that it carried, or not at all;
- steps in the timelines of exports that ended, up to the last one;
- the qbXML of requests that were decided;
- signals that Temporal took, incidents, webhook messages that were delivered or given up, expired kept answers.

Kept for ever, because exactly-once and late proofs rest on it:

- exports with their document, their result and the unique key that makes a second one the same one;
- RefNumbers in use, and documents that were handed over;
- each request's row: its id, its attempts, its facts with the ExternalGUID, and its outcome with the TxnID. By them a
  look-up recognises a transaction, a late answer proves one, and a later run adopts one;
- the last step of each timeline: its key makes a repeated write of the last state the same one;
- everything of a set that is not decided: the set, what was asked about it, and the sessions of both. A repeated or
  late HRESULT is judged by the set before it in its session, which is why sessions are not thinned out;
- the last settled write set of a company: the next one names it, so that QuickBooks may release its record;
- what waits: requests, signals, messages, exports that wait for a link.

An answer that comes in a session that is forgotten is refused like one with an unknown ticket. Web Connectors give up
after minutes (web-connector.md 2.2), and the least time that can be set is a week.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Select, Update, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from store import kept_answers, queue, states, webhooks
from store.companies import lock_company
from store.engine import Database
from store.tables import Company, Export, Incident, MessageSet, OutboxSignal, Request, TimelineEntry
from store.tables import WebConnectorSession as WcSession
from store.webhook_tables import WebhookDelivery

BATCH = 200
"""Rows, sessions or exports that one transaction handles: some ten milliseconds for which a session may wait."""
FINAL = ("Successful", "Failed", "Cancelled")
"""States in which an export has ended; `workflows.contracts.ExportState` says the same (tests/store/test_retention)."""


def prune(
    database: Database, *, before: datetime, now: datetime, dry_run: bool = False, batch: int = BATCH
) -> Counter[str]:
    """Forget what is older than `before`; gives how many rows of each kind, in `dry_run` how many it would be.

    Works in short transactions beside running processes: each holds its company as a session does.
    """
    counts: Counter[str] = Counter()
    for company_id in _company_ids(database):
        _repeat(database, counts, lambda s, c=company_id: _sessions(s, c, before, batch, dry_run), dry_run)  # type: ignore[misc]
        _over_exports(database, counts, company_id, before, batch, dry_run)
        _repeat(database, counts, _rows(_old_incidents(company_id, before), Incident, batch, dry_run), dry_run)
        messages = _rows(_finished_messages(company_id, before), WebhookDelivery, batch, dry_run)
        _repeat(database, counts, messages, dry_run)
    _repeat(database, counts, _rows(_delivered(before), OutboxSignal, batch, dry_run), dry_run)
    _repeat(database, counts, _rows(_old_incidents(None, before), Incident, batch, dry_run), dry_run)
    if not dry_run:
        _repeat(database, counts, lambda s: Counter(kept_answers=kept_answers.forget_expired(s, now=now, limit=batch)))
    return +counts


def _repeat(
    database: Database, counts: Counter[str], step: Callable[[Session], Counter[str]], once: bool = False
) -> None:
    """Repeat a step, each time in a transaction of its own, until it finds nothing more."""
    while True:
        with database.transaction() as session:
            found = step(session)
        counts.update(found)
        if once or not found.total():
            return


def _company_ids(database: Database) -> Sequence[str]:
    with database.transaction() as session:
        return session.scalars(select(Company.id).order_by(Company.id)).all()


def _sessions(session: Session, company_id: str, before: datetime, limit: int, dry_run: bool) -> Counter[str]:
    """Forget sessions that ended, with everything that they carried."""
    if not dry_run:
        lock_company(session, company_id)
    settled = session.get(MessageSet, queue.last_settled_write_set(session, company_id) or "")
    query = _ended_sessions(company_id, before, needed=settled.ticket_hash if settled is not None else "")
    carried = select(func.count()).select_from(MessageSet)
    if dry_run:
        return Counter(
            sessions=_count(session, query),
            message_sets=session.scalar(carried.where(MessageSet.ticket_hash.in_(query))) or 0,
        )
    hashes = session.scalars(query.order_by(WcSession.started_at).limit(limit)).all()
    if not hashes:
        return Counter()
    sets = _changed(session, delete(MessageSet).where(MessageSet.ticket_hash.in_(hashes)))
    return Counter(
        message_sets=sets, sessions=_changed(session, delete(WcSession).where(WcSession.ticket_hash.in_(hashes)))
    )


def _ended_sessions(company_id: str, before: datetime, *, needed: str) -> Select[str]:
    about, question = aliased(MessageSet), aliased(MessageSet)
    is_unresolved = and_(MessageSet.kind == "write", MessageSet.state == states.SENT)
    asks_about_unresolved = exists().where(about.id == MessageSet.about_set_id, about.state == states.SENT)
    is_asked_about = exists().where(
        question.about_set_id == MessageSet.id,
        question.state == states.SENT,
        question.ticket_hash != MessageSet.ticket_hash,
    )
    is_in_flight = exists().where(Request.message_set_id == MessageSet.id, Request.state == states.IN_FLIGHT)
    is_needed = exists().where(
        MessageSet.ticket_hash == WcSession.ticket_hash,
        or_(is_unresolved, asks_about_unresolved, is_asked_about, is_in_flight),
    )
    return select(WcSession.ticket_hash).where(
        WcSession.company_id == company_id,
        WcSession.started_at < before,
        WcSession.last_call_at < before,
        WcSession.state != "open",
        WcSession.ticket_hash != needed,
        ~is_needed,
    )


def _over_exports(
    database: Database, counts: Counter[str], company_id: str, before: datetime, limit: int, dry_run: bool
) -> None:
    """Go through the exports that ended, by id: what was cleared before is passed by without being written."""
    after = 0
    while True:
        with database.transaction() as session:
            if not dry_run:
                lock_company(session, company_id)
            query = select(Export.id).where(
                Export.company_id == company_id,
                Export.id > after,
                Export.state.in_(FINAL),
                Export.updated_at < before,
            )
            ids = session.scalars(query.order_by(Export.id).limit(limit)).all()
            if not ids:
                return
            after = ids[-1]
            counts.update(_of_exports(session, ids, before, dry_run))


def _of_exports(session: Session, ids: Sequence[int], before: datetime, dry_run: bool) -> Counter[str]:
    last = select(func.max(TimelineEntry.id)).where(TimelineEntry.export_id.in_(ids)).group_by(TimelineEntry.export_id)
    steps = and_(
        TimelineEntry.export_id.in_(ids),
        TimelineEntry.at < before,
        TimelineEntry.id.not_in(session.scalars(last).all()),
    )
    decided = and_(Request.export_id.in_(ids), Request.state.in_((states.DONE, states.CANCELLED)), Request.body != "")
    if dry_run:
        return Counter(
            timeline=_count(session, select(TimelineEntry.id).where(steps)),
            request_texts=_count(session, select(Request.seq).where(decided)),
        )
    return Counter(
        timeline=_changed(session, delete(TimelineEntry).where(steps)),
        request_texts=_changed(session, update(Request).where(decided).values(body="")),
    )


def _rows(query: Select[Any], table: Any, limit: int, dry_run: bool) -> Callable[[Session], Counter[str]]:
    """Delete the rows that a query names; those that another transaction holds are left for the next time."""
    name = table.__tablename__
    [column] = table.__table__.primary_key.columns

    def step(session: Session) -> Counter[str]:
        if dry_run:
            return Counter({name: _count(session, query)})
        ids = session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()
        return Counter({name: _changed(session, delete(table).where(column.in_(ids)))} if ids else {})

    return step


def _delivered(before: datetime) -> Select[int]:
    return select(OutboxSignal.id).where(OutboxSignal.delivered_at < before)


def _old_incidents(company_id: str | None, before: datetime) -> Select[int]:
    return select(Incident.id).where(
        Incident.company_id.is_(None) if company_id is None else Incident.company_id == company_id, Incident.at < before
    )


def _finished_messages(company_id: str, before: datetime) -> Select[str]:
    return select(WebhookDelivery.id).where(
        WebhookDelivery.company_id == company_id,
        WebhookDelivery.finished_at < before,
        WebhookDelivery.state.in_((webhooks.DELIVERED, webhooks.FAILED)),
    )


def _count(session: Session, query: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _changed(session: Session, statement: Delete | Update) -> int:
    done = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", done).rowcount
