"""Signals that wait for Temporal, and the lease that lets one relay at a time deliver them in order.

Two locks, for two questions. Who delivers: the lease, for signals of one workflow must not overtake each other on two
ways. What is free: rows that another transaction holds are passed over (FOR UPDATE SKIP LOCKED), never waited for.
SQLite holds the whole database for a writer anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, Update, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.changes import add_row
from store.tables import Lease, OutboxSignal, UtcDateTime
from store.within import connection_of

NOTE_MAX = 500
START = "(start)"
"""In place of a signal's name: the workflow is started."""
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when a lease ran that nobody holds."""


def add_signal(
    session: Session,
    *,
    workflow_id: str,
    signal: str,
    payload: dict[str, Any],
    at: datetime,
    traceparent: str | None = None,
) -> None:
    """Put a signal into the outbox, in the caller's transaction; `traceparent` names what caused it."""
    values = {"workflow_id": workflow_id, "signal": signal, "payload": payload, "created_at": at, "available_at": at}
    add_row(session, OutboxSignal, values | {"note": "", "traceparent": traceparent})


def add_start(
    session: Session, *, workflow_id: str, start: dict[str, Any], at: datetime, traceparent: str | None = None
) -> None:
    """Put the start of a workflow into the outbox, in the caller's transaction; `start` is a `WorkflowStart`."""
    add_signal(session, workflow_id=workflow_id, signal=START, payload=start, at=at, traceparent=traceparent)


def waits_to_start(session: Session, workflow_id: str) -> bool:
    """Say whether the start of a workflow is not delivered yet."""
    query = select(OutboxSignal.id).where(
        OutboxSignal.workflow_id == workflow_id, OutboxSignal.signal == START, OutboxSignal.delivered_at.is_(None)
    )
    return session.scalar(query.limit(1)) is not None


def withdraw_start(session: Session, workflow_id: str, *, now: datetime) -> bool:
    """Take back a start that no relay has in hand; False when there is none, or one has."""
    query = select(OutboxSignal).where(
        OutboxSignal.workflow_id == workflow_id, OutboxSignal.signal == START, OutboxSignal.delivered_at.is_(None)
    )
    rows = session.scalars(query.with_for_update()).all()
    if not rows or any(row.available_at > now for row in rows):
        return False
    for row in rows:
        row.delivered_at = now
        row.note = "taken back"
    return True


def take(session: Session, limit: int, *, now: datetime, hold_starts: timedelta) -> Sequence[OutboxSignal]:
    """Give the oldest signals that Temporal has not taken and that may go now; the caller has the lease.

    Starts among them are held: until that time has passed, nobody else delivers them or takes them back. What another
    transaction holds is passed over, and the later signals of its workflow with it.
    """
    free = session.scalars(_free(), {"now": now, "limit": limit}).all()
    if not free:
        return []
    rows = _without_gaps(session, free)
    for row in rows:
        if row.signal == START:
            row.available_at = now + hold_starts
    return rows


@cache
def _free() -> Select[OutboxSignal]:
    """In order per workflow: while one of its signals waits, or its start is on its way, the later ones wait, too."""
    now = bindparam("now", type_=UtcDateTime())
    held = select(OutboxSignal.workflow_id).where(OutboxSignal.delivered_at.is_(None), OutboxSignal.available_at > now)
    query = select(OutboxSignal).where(
        OutboxSignal.delivered_at.is_(None), OutboxSignal.available_at <= now, OutboxSignal.workflow_id.not_in(held)
    )
    query = query.order_by(OutboxSignal.id).limit(bindparam("limit", type_=Integer()))
    return query.with_for_update(skip_locked=True)


def _without_gaps(session: Session, free: Sequence[OutboxSignal]) -> Sequence[OutboxSignal]:
    """Leave out the workflows whose oldest waiting signal is not among these: a later one must not overtake it."""
    workflows = {row.workflow_id for row in free}
    ids = {row.id for row in free}
    heads = {first for first in session.scalars(_oldest(), {"workflows": list(workflows)}) if first in ids}
    whole = {row.workflow_id for row in free if row.id in heads}
    return [row for row in free if row.workflow_id in whole]


@cache
def _oldest() -> Select[int]:
    """The oldest waiting signal of each workflow."""
    query = select(func.min(OutboxSignal.id)).where(
        OutboxSignal.delivered_at.is_(None), OutboxSignal.workflow_id.in_(bindparam("workflows", expanding=True))
    )
    return query.group_by(OutboxSignal.workflow_id)


def postpone(session: Session, workflow_ids: Sequence[str], *, until: datetime) -> None:
    """Let all signals of these workflows wait, in their order, so that they do not hold up the others."""
    query = select(OutboxSignal).where(OutboxSignal.delivered_at.is_(None), OutboxSignal.workflow_id.in_(workflow_ids))
    for row in session.scalars(query):
        row.available_at = until


def count_undelivered(session: Session) -> int:
    """Count them."""
    return session.scalar(select(func.count()).where(OutboxSignal.delivered_at.is_(None))) or 0


def mark_delivered(session: Session, signal_ids: Sequence[int], *, at: datetime, note: str = "") -> None:
    """Note that Temporal took them (or, in `note`, why nobody needs them any more). One statement."""
    if signal_ids:
        values = {"ids": list(signal_ids), "at": at, "why": note[:NOTE_MAX]}
        session.connection().execute(_mark_delivered(), values)


@cache
def _mark_delivered() -> Update:
    table = OutboxSignal.__table__
    change = update(table).where(table.c.id.in_(bindparam("ids", expanding=True)))  # type: ignore[arg-type]
    return change.values(delivered_at=bindparam("at"), note=bindparam("why"))


def workflows_of(session: Session, signal_ids: Sequence[int]) -> Sequence[str]:
    """Give the workflows that these signals are for, each once."""
    query = select(OutboxSignal.workflow_id).where(OutboxSignal.id.in_(signal_ids)).distinct()
    return session.scalars(query).all()


def hold_lease(session: Session, name: str, *, holder: str, now: datetime, seconds: float) -> bool:
    """Take or keep the lease; False while another holder's has not run out, or another one is just taking it."""
    lease = session.scalar(_lease(), {"name": name})
    if lease is None and session.scalar(select(Lease.name).where(Lease.name == name)) is None:
        # The first one ever: of two that come at once, the second finds the row when the first is through.
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        new = dialect.insert(Lease.__table__).values(name=name, holder=holder, until=LONG_AGO)
        connection_of(session).execute(new.on_conflict_do_nothing())
        lease = session.scalar(_lease(), {"name": name})
    if lease is None:
        return False
    if lease.holder != holder and lease.until > now:
        return False
    if lease.holder == holder and lease.until > now + timedelta(seconds=seconds / 2):
        return True  # kept without a write: the relay asks several times a second
    lease.holder = holder
    lease.until = now + timedelta(seconds=seconds)
    return True


@cache
def _lease() -> Select[Lease]:
    query = select(Lease).where(Lease.name == bindparam("name")).with_for_update(skip_locked=True)
    return query.execution_options(populate_existing=True)


def drop_lease(session: Session, name: str, *, holder: str) -> None:
    """Let the next one begin at once."""
    lease = session.get(Lease, name, with_for_update=True)
    if lease is not None and lease.holder == holder:
        lease.until = LONG_AGO
