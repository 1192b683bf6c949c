"""Queries over the lists of a company file."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.list_tables import ListEntry


def name_key(full_name: str) -> str:
    """Give the form by which names are compared: QuickBooks ignores case."""
    return full_name.casefold()


def entry(session: Session, company_id: str, kind: str, list_id: str) -> ListEntry | None:
    """Find an entry by its ListID; it may be inactive or gone."""
    return session.get(ListEntry, (company_id, kind, list_id))


def entries_named(session: Session, company_id: str, kind: str, full_name: str) -> Sequence[ListEntry]:
    """Find the entries with this full name that are not gone, without regard to case."""
    query = select(ListEntry).where(
        ListEntry.company_id == company_id,
        ListEntry.kind == kind,
        ListEntry.name_key == name_key(full_name),
        ListEntry.is_gone.is_(False),
    )
    return session.scalars(query.order_by(ListEntry.list_id)).all()


def has_entries(session: Session, company_id: str, kind: str) -> bool:
    """Say whether this list ever came over."""
    query = select(ListEntry.list_id).where(ListEntry.company_id == company_id, ListEntry.kind == kind)
    return session.scalar(query.limit(1)) is not None
