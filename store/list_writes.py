"""Writing pages of QuickBooks' lists. Entries that vanish are marked, never deleted: a mapping may point to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Text, cast, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from store.list_tables import ListEntry
from store.lists import name_key
from store.tables import Json
from store.within import connection_of

IDS_MAX = 500
"""Ids in one statement; SQLite takes some ten thousand values."""
SEPARATOR = ":"
"""Between the names of a full name (qbxml.md 5.5)."""


@dataclass(frozen=True, kw_only=True)
class EntryRow:
    """One entry as QuickBooks answered it."""

    list_id: str
    full_name: str
    type: str = ""
    is_active: bool = True
    parent_list_id: str | None = None
    facts: Json
    time_modified: str = ""


@dataclass(frozen=True)
class Counts:
    """How many entries a list has; the gone ones are not among the others."""

    entries: int
    inactive: int
    gone: int


def upsert_page(
    session: Session, company_id: str, kind: str, rows: Sequence[EntryRow], *, generation: int, at: datetime
) -> None:
    """Write a page; a repeated one changes nothing. Entries below a renamed one follow it.

    QuickBooks moves the full names of what is below a renamed entry without touching their TimeModified, so no query
    for changes brings them.
    """
    unique = {row.list_id: row for row in rows}
    if not unique:
        return
    old_names = _names_of(session, company_id, kind, list(unique))
    values = [
        {
            "company_id": company_id,
            "kind": kind,
            "list_id": row.list_id,
            "full_name": row.full_name,
            "name_key": name_key(row.full_name),
            "type": row.type,
            "is_active": row.is_active,
            "is_gone": False,
            "parent_list_id": row.parent_list_id,
            "facts": row.facts,
            "time_modified": row.time_modified,
            "updated_at": at,
            "generation": generation,
        }
        for row in unique.values()
    ]
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    keys = ("company_id", "kind", "list_id")
    insert = dialect.insert(ListEntry.__table__)
    changed = {name: insert.excluded[name] for name in values[0] if name not in keys}
    # One statement for many rows: as one long VALUES it would be compiled anew for each length of a page.
    connection_of(session).execute(insert.on_conflict_do_update(index_elements=list(keys), set_=changed), values)
    for list_id, row in unique.items():
        if old_names.get(list_id, row.full_name) != row.full_name:
            _rename_below(session, company_id, kind, list_id, row.full_name, at=at)


def mark_gone(session: Session, company_id: str, kind: str, list_ids: Sequence[str], *, at: datetime) -> list[str]:
    """Mark entries as deleted; gives the ids of those that were there until now."""
    marked: list[str] = []
    for start in range(0, len(list_ids), IDS_MAX):
        query = select(ListEntry.list_id).where(
            ListEntry.company_id == company_id,
            ListEntry.kind == kind,
            ListEntry.list_id.in_(list_ids[start : start + IDS_MAX]),
            ListEntry.is_gone.is_(False),
        )
        found = list(session.scalars(query))
        session.execute(
            update(ListEntry)
            .where(ListEntry.company_id == company_id, ListEntry.kind == kind, ListEntry.list_id.in_(found))
            .values(is_gone=True, updated_at=at)
            .execution_options(synchronize_session=False)
        )
        marked += found
    return marked


def unseen(session: Session, company_id: str, kind: str, *, generation: int, limit: int) -> list[str]:
    """Give the ids of living entries that a full pass did not see, in a fixed order."""
    query = select(ListEntry.list_id).where(
        ListEntry.company_id == company_id,
        ListEntry.kind == kind,
        ListEntry.generation < generation,
        ListEntry.is_gone.is_(False),
    )
    return list(session.scalars(query.order_by(ListEntry.list_id).limit(limit)))


def keep(session: Session, company_id: str, kind: str, list_ids: Collection[str], *, generation: int) -> None:
    """Count entries as seen by a full pass without touching them: they are in QuickBooks, or may be."""
    every = list(list_ids)
    for start in range(0, len(every), IDS_MAX):
        session.execute(
            update(ListEntry)
            .where(
                ListEntry.company_id == company_id,
                ListEntry.kind == kind,
                ListEntry.list_id.in_(every[start : start + IDS_MAX]),
            )
            .values(generation=generation)
            .execution_options(synchronize_session=False)
        )


def mark_unseen(session: Session, company_id: str, kind: str, *, generation: int, at: datetime) -> None:
    """Mark as gone what a complete full pass of a list that cannot be asked by ListID did not see."""
    session.execute(
        update(ListEntry)
        .where(
            ListEntry.company_id == company_id,
            ListEntry.kind == kind,
            ListEntry.generation < generation,
            ListEntry.is_gone.is_(False),
        )
        .values(is_gone=True, updated_at=at)
        .execution_options(synchronize_session=False)
    )


def has_orphans(session: Session, company_id: str, kind: str, gone: Sequence[str]) -> bool:
    """Say whether living entries stand below vanished ones: a merge moved them, and no query for changes says where."""
    query = select(ListEntry.list_id).where(
        ListEntry.company_id == company_id,
        ListEntry.kind == kind,
        ListEntry.parent_list_id.in_(gone),
        ListEntry.is_gone.is_(False),
    )
    return session.scalar(query.limit(1)) is not None


def kinds_that_mention(session: Session, company_id: str, list_ids: Sequence[str]) -> set[str]:
    """Give the lists with living entries whose facts name one of these entries, such as an item its account."""
    found: set[str] = set()
    for list_id in list_ids:
        query = (
            select(ListEntry.kind)
            .where(
                ListEntry.company_id == company_id,
                ListEntry.is_gone.is_(False),
                cast(ListEntry.facts, Text).contains(f'"{list_id}"'),
            )
            .distinct()
        )
        found |= set(session.scalars(query))
    return found


def count_entries(session: Session, company_id: str, kind: str) -> Counts:
    """Count a list's entries."""
    inactive = cast(ListEntry.is_active.is_(False), Integer)
    query = (
        select(ListEntry.is_gone, func.count(), func.sum(inactive))
        .where(ListEntry.company_id == company_id, ListEntry.kind == kind)
        .group_by(ListEntry.is_gone)
    )
    counted = {bool(is_gone): (count, int(without or 0)) for is_gone, count, without in session.execute(query)}
    entries, not_active = counted.get(False, (0, 0))
    return Counts(entries=entries, inactive=not_active, gone=counted.get(True, (0, 0))[0])


def count_seen(session: Session, company_id: str, kind: str, generation: int) -> int:
    """Count the entries that a full pass saw."""
    query = select(func.count()).where(
        ListEntry.company_id == company_id, ListEntry.kind == kind, ListEntry.generation == generation
    )
    return session.scalar(query) or 0


def _names_of(session: Session, company_id: str, kind: str, list_ids: Sequence[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for start in range(0, len(list_ids), IDS_MAX):
        query = select(ListEntry.list_id, ListEntry.full_name).where(
            ListEntry.company_id == company_id,
            ListEntry.kind == kind,
            ListEntry.list_id.in_(list_ids[start : start + IDS_MAX]),
        )
        for row in session.execute(query):
            names[row.list_id] = row.full_name
    return names


def _rename_below(session: Session, company_id: str, kind: str, list_id: str, full_name: str, *, at: datetime) -> None:
    """By the parents' ids, not by the names: two entries may just have swapped theirs."""
    parents = {list_id: full_name}
    seen = {list_id}
    while parents:
        query = select(ListEntry).where(
            ListEntry.company_id == company_id,
            ListEntry.kind == kind,
            ListEntry.parent_list_id.in_(list(parents)[:IDS_MAX]),
        )
        below: dict[str, str] = {key: parents[key] for key in list(parents)[IDS_MAX:]}
        for entry in session.scalars(query.execution_options(populate_existing=True)):
            if entry.list_id in seen or entry.parent_list_id is None:
                continue
            seen.add(entry.list_id)
            leaf = entry.full_name.rpartition(SEPARATOR)[2]
            entry.full_name = f"{parents[entry.parent_list_id]}{SEPARATOR}{leaf}"
            entry.name_key = name_key(entry.full_name)
            entry.updated_at = at
            below[entry.list_id] = entry.full_name
        session.flush()
        parents = below
