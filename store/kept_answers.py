"""Answers that are kept for requests with an Idempotency-Key. Safe across processes: the key's row is the lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from store.api_tables import KeptAnswer

FORGOTTEN_AT_ONCE = 100
"""Expired answers that one request clears away at most: more than come in while it runs, and no long wait."""


def claim(
    session: Session,
    key: str,
    *,
    request_hash: str,
    holder: str,
    now: datetime,
    held_until: datetime,
    expires_at: datetime,
) -> KeptAnswer:
    """Begin a request under this key, or give the row of the one that began before: then its `holder` is another.

    Raises IntegrityError when another process begins in the same moment; try again.
    """
    forget_expired(session, now=now, limit=FORGOTTEN_AT_ONCE)
    row = session.get(KeptAnswer, key, with_for_update=True)
    if row is not None and row.expires_at <= now:
        session.delete(row)  # more have expired than were cleared away
        session.flush()
        row = None
    if row is None:
        row = KeptAnswer(id=key, request_hash=request_hash, holder=holder, held_until=held_until, expires_at=expires_at)
        session.add(row)
        session.flush()
    elif row.status is None and row.held_until <= now and row.request_hash == request_hash:
        # Whoever began it is dead: the request is done again.
        row.holder = holder
        row.held_until = held_until
    return row


def forget_expired(session: Session, *, now: datetime, limit: int) -> int:
    """Forget answers whose time is over, at most `limit`; gives how many. Those that another one forgets are left."""
    over = select(KeptAnswer.id).where(KeptAnswer.expires_at <= now).order_by(KeptAnswer.expires_at).limit(limit)
    ids = session.scalars(over.with_for_update(skip_locked=True)).all()
    if ids:
        session.execute(delete(KeptAnswer).where(KeptAnswer.id.in_(ids)))
    return len(ids)


def keep(session: Session, key: str, *, holder: str, status: int, headers: dict[str, Any], body: bytes) -> None:
    """Keep the answer, unless another try took over meanwhile."""
    row = session.get(KeptAnswer, key, with_for_update=True)
    if row is not None and row.holder == holder:
        row.status = status
        row.headers = headers
        row.body = body


def forget(session: Session, key: str, *, holder: str) -> None:
    """Let the request be sent again: it changed nothing."""
    row = session.get(KeptAnswer, key, with_for_update=True)
    if row is not None and row.holder == holder and row.status is None:
        session.delete(row)
