"""Queries over what was changed in a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from store.mapping_tables import MappingChange

KEPT = 100
"""Changes of a company that are kept; older ones are forgotten as new ones come."""
ENTRIES_MAX = 10_000
"""A change of more entries than this is noted, but not kept entry by entry."""


def record(
    session: Session, company_id: str, *, at: datetime, author: str, entries: Sequence[dict[str, Any]]
) -> MappingChange:
    """Note a change; `entries` hold `section`, `key`, `before` and `after`."""
    row = MappingChange(
        company_id=company_id,
        at=at,
        author=author[:100],
        entries=list(entries) if len(entries) <= ENTRIES_MAX else [],
        entry_count=len(entries),
    )
    session.add(row)
    session.flush()
    oldest = (
        select(MappingChange.id)
        .where(MappingChange.company_id == company_id)
        .order_by(MappingChange.id.desc())
        .offset(KEPT)
        .limit(1)
    )
    last_to_forget = session.scalar(oldest)
    if last_to_forget is not None:
        session.execute(
            delete(MappingChange).where(MappingChange.company_id == company_id, MappingChange.id <= last_to_forget)
        )
    return row


def newest(session: Session, company_id: str, *, limit: int) -> Sequence[MappingChange]:
    """Give the newest changes, newest first."""
    query = select(MappingChange).where(MappingChange.company_id == company_id)
    return session.scalars(query.order_by(MappingChange.id.desc()).limit(limit)).all()


def change(session: Session, company_id: str, change_id: int) -> MappingChange | None:
    """Find a change of this company."""
    found = session.get(MappingChange, change_id)
    return found if found is not None and found.company_id == company_id else None
