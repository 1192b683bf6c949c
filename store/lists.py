"""Queries over the lists of a company file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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


def has_active(session: Session, company_id: str, kind: str, entry_type: str) -> bool:
    """Say whether a list has an active entry of a type that is not gone."""
    query = select(ListEntry.list_id).where(
        ListEntry.company_id == company_id,
        ListEntry.kind == kind,
        ListEntry.type == entry_type,
        ListEntry.is_active,
        ListEntry.is_gone.is_(False),
    )
    return session.scalar(query.limit(1)) is not None


def all_entries(session: Session, company_id: str) -> Iterator[dict[str, Any]]:
    """Give what rules need of every entry of a company, gone ones too, one by one.

    As columns: 50,000 rows as objects of the session would cost more than the work itself.
    """
    query = select(
        ListEntry.kind,
        ListEntry.list_id,
        ListEntry.full_name,
        ListEntry.type,
        ListEntry.is_active,
        ListEntry.is_gone,
        ListEntry.parent_list_id,
        ListEntry.facts,
    ).where(ListEntry.company_id == company_id)
    for row in session.execute(query):
        yield dict(row._mapping)
