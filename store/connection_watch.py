"""Telling that a Web Connector has stopped calling, and that it calls again: once each, however many look.

Each company's row says when it is to be looked at next, so that a look costs what is due and not what there is: a
company that calls is written once in three of its intervals, and its calls themselves write nothing of this. A company
whose silence was told leaves that index for another one, until it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from store import webhooks
from store.figures import STALE_AFTER_INTERVALS
from store.quiet_hours import last_ended, quiet_until
from store.tables import Company
from store.watch_tables import Watch

NAME = "connections"
LIMIT = 200
"""Companies that one look handles: some ten milliseconds."""
GAP = timedelta(minutes=5)
"""When nobody looked for so long, nobody may have answered Web Connectors either: their time begins again."""
OWNER = "bookkeeper"
NEXT_STEP = (
    "Check that the QuickBooks PC is on and somebody is signed in, that the Web Connector runs and that "
    "Auto-Run is ticked."
)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was told."""

    stale: Sequence[str]
    """Companies whose Web Connector has stopped calling."""
    recovered: Sequence[str]
    is_full: bool
    """More may be due: look again at once."""


def look(session: Session, *, now: datetime, limit: int = LIMIT) -> Look:
    """Write the messages about what has changed since the last look; rows that others hold are passed over."""
    since = _watching_since(session, now)
    recovered = session.execute(called_again(limit)).all()
    for one in recovered:
        seen = one.last_seen_at.isoformat()
        data = {"company_id": one.id, "last_seen_at": seen}
        webhooks.tell(session, one.id, webhooks.EVENT_RECOVERED, data, at=now, key=f"recovered/{seen}")
    due = session.execute(due_by(now, limit)).all()
    next_looks = {row.id: _next_look(row, now, since) for row in due}
    stale = [row for row in due if next_looks[row.id] is None]
    for row in stale:
        seen = row.last_seen_at.isoformat()
        data = {"company_id": row.id, "last_seen_at": seen, "owner": OWNER, "next_step": NEXT_STEP}
        webhooks.tell(session, row.id, webhooks.EVENT_STALE, data, at=now, key=f"stale/{seen}")
    changes: list[dict[str, Any]] = [{"id": row.id, "silent_since": row.last_seen_at} for row in stale]
    if changes:
        session.execute(update(Company), changes)
    changes = [{"id": name, "look_at": at} for name, at in next_looks.items() if at is not None]
    if changes:
        session.execute(update(Company), changes)
    changes = [{"id": one.id, "silent_since": None, "look_at": now} for one in recovered]
    if changes:
        session.execute(update(Company), changes)
    return Look(
        stale=[row.id for row in stale],
        recovered=[row.id for row in recovered],
        is_full=limit in (len(due), len(recovered)),
    )


def due_by(now: datetime, limit: int) -> Select[Any, Any, Any, Any, Any, Any]:
    """Give the companies that are to be looked at, those that wait longest first."""
    columns = (Company.id, Company.paused, Company.problem, Company.last_seen_at)
    query = select(*columns, Company.run_every_minutes, Company.quiet_hours).where(
        Company.silent_since.is_(None), Company.look_at <= now
    )
    # Not the key: a row of another table that names the company may be written meanwhile.
    return query.order_by(Company.look_at).limit(limit).with_for_update(skip_locked=True, key_share=True)


def called_again(limit: int) -> Select[Any, Any]:
    """Give the companies that have called since their silence was told."""
    query = select(Company.id, Company.last_seen_at).where(
        Company.silent_since.is_not(None), Company.last_seen_at > Company.silent_since
    )
    return query.order_by(Company.silent_since).limit(limit).with_for_update(skip_locked=True, key_share=True)


def _next_look(row: Any, now: datetime, since: datetime) -> datetime | None:
    """Say when to look again; None: it is stale now. Pauses, refusals and quiet hours are nobody's silence."""
    patience = STALE_AFTER_INTERVALS * timedelta(minutes=row.run_every_minutes)
    if row.paused or row.problem is not None or row.last_seen_at is None:
        return now + patience
    quiet = quiet_until(row.quiet_hours, now)
    if quiet is not None:
        return quiet + patience
    began = max(row.last_seen_at, since, last_ended(row.quiet_hours, now) or since)
    return began + patience if now - began <= patience else None


def _watching_since(session: Session, now: datetime) -> datetime:
    watch = session.get(Watch, NAME)
    if watch is None:
        watch = Watch(name=NAME, since=now, looked_at=now)
        session.add(watch)
    if now - watch.looked_at > GAP:
        watch.since = now
    watch.looked_at = max(watch.looked_at, now)
    return watch.since
