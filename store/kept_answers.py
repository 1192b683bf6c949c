"""Answers that are kept for requests with an Idempotency-Key. Safe across processes: the key's row is the lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from store.api_tables import KeptAnswer


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
    session.execute(delete(KeptAnswer).where(KeptAnswer.expires_at <= now))
    row = session.get(KeptAnswer, key, with_for_update=True)
    if row is None:
        row = KeptAnswer(id=key, request_hash=request_hash, holder=holder, held_until=held_until, expires_at=expires_at)
        session.add(row)
        session.flush()
    elif row.status is None and row.held_until <= now and row.request_hash == request_hash:
        # Whoever began it is dead: the request is done again.
        row.holder = holder
        row.held_until = held_until
    return row


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
