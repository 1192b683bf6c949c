"""Queries over the lists of a company file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, case, literal, not_, or_, select
from sqlalchemy.orm import Session

from store import step_queries
from store.list_tables import ListEntry

WORD_STARTS = (" ", ":", "-", "(", "&", "/", ".")
"""What a word may stand behind."""

ASKED_AT_ONCE = 1_000
"""Ids in one question: databases limit how many values a statement may have."""


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


def complete_kinds(session: Session, company_id: str) -> frozenset[str]:
    """Give the lists over which a full pass ever came to its end."""
    return frozenset(session.connection().scalars(step_queries.complete_kinds(), {"company": company_id}))


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a page of a search ended: its last entry."""

    rank: int
    name_key: str
    list_id: str


def search(
    session: Session,
    company_id: str,
    *,
    kind: str | None,
    text: str,
    is_active: bool | None,
    after: Position | None,
    limit: int,
) -> Sequence[tuple[ListEntry, int]]:
    """Find entries that are not gone and hold every word of `text`, without case; each with its rank.

    What begins with the text comes first (rank 0), then what has a word that begins with it (1), then the rest (2).
    """
    words = name_key(text).split()
    query = select(ListEntry).where(ListEntry.company_id == company_id, ListEntry.is_gone.is_(False))
    if kind is not None:
        query = query.where(ListEntry.kind == kind)
    if is_active is not None:
        query = query.where(ListEntry.is_active.is_(is_active))
    key = ListEntry.name_key
    for word in words:
        query = query.where(key.contains(word, autoescape=True))
    if not words:
        return _page(session, query, literal(0), after, limit)
    # The bound lets the index begin there in any order of letters; what it would leave out is found by the rest.
    whole = and_(key >= " ".join(words), key.startswith(" ".join(words), autoescape=True))
    found: list[tuple[ListEntry, int]] = []
    if after is None or after.rank == 0:
        # In the order of an index: the database stops at the page's end instead of sorting all.
        found += _page(session, query.where(whole), literal(0), after, limit)
    if len(found) < limit:
        # One look at the list for both of the others: for what nothing matches, reading it all is what takes time.
        begins = or_(*(key.contains(f"{before}{words[0]}", autoescape=True) for before in WORD_STARTS))
        rank = case((begins, 1), else_=2)
        later = after if after is not None and after.rank > 0 else None
        found += _page(session, query.where(not_(whole)), rank, later, limit - len(found))
    return found


def _page(
    session: Session, query: Select[Any], rank: ColumnElement[int], after: Position | None, limit: int
) -> list[tuple[ListEntry, int]]:
    key = ListEntry.name_key
    has_ranks = not isinstance(rank, BindParameter)
    if after is not None:
        behind = or_(key > after.name_key, and_(key == after.name_key, ListEntry.list_id > after.list_id))
        if has_ranks:
            query = query.where(or_(rank > after.rank, and_(rank == after.rank, behind)))
        else:
            query = query.where(key >= after.name_key, behind)  # the first is where an index can begin
    order = (rank, key, ListEntry.list_id) if has_ranks else (key, ListEntry.list_id)
    return [(row, found) for row, found in session.execute(query.add_columns(rank).order_by(*order).limit(limit))]


def active_of(session: Session, company_id: str, kind: str, entry_type: str) -> Sequence[ListEntry]:
    """Give the active entries of a type that are not gone, by their names."""
    query = select(ListEntry).where(
        ListEntry.company_id == company_id,
        ListEntry.kind == kind,
        ListEntry.type == entry_type,
        ListEntry.is_active,
        ListEntry.is_gone.is_(False),
    )
    return session.scalars(query.order_by(ListEntry.full_name)).all()


def all_entries(session: Session, company_id: str, kinds: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """Give what rules need of every entry of a company, or of some of its lists, gone ones too, one by one.

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
    if kinds is not None:
        query = query.where(ListEntry.kind.in_(kinds))
    names = [str(column.key) for column in query.selected_columns]
    for row in session.execute(query):
        yield dict(zip(names, row, strict=True))


@dataclass(frozen=True, slots=True)
class EntryName:
    """An entry, as much of it as a search by likeness needs."""

    list_id: str
    full_name: str


def entry_names(session: Session, company_id: str, kind: str) -> list[EntryName]:
    """Give the names of a list's entries that are not gone; of 50,000, in a fraction of the time of all."""
    query = select(ListEntry.list_id, ListEntry.full_name).where(
        ListEntry.company_id == company_id,
        ListEntry.kind == kind,
        ListEntry.is_gone.is_(False),
    )
    return [EntryName(list_id, full_name) for list_id, full_name in session.execute(query)]


def unusable(session: Session, company_id: str) -> set[tuple[str, str]]:
    """Give kind and ListID of every entry that is inactive or gone: what links to one of them needs a look."""
    query = select(ListEntry.kind, ListEntry.list_id).where(
        ListEntry.company_id == company_id, or_(ListEntry.is_gone, not_(ListEntry.is_active))
    )
    return {(kind, list_id) for kind, list_id in session.execute(query)}


def entries_by_id(session: Session, company_id: str, kind: str, list_ids: Collection[str]) -> Sequence[ListEntry]:
    """Find many entries of a list, those that are there; one question for a thousand."""
    query = select(ListEntry).where(ListEntry.company_id == company_id, ListEntry.kind == kind)
    wanted = list(list_ids)
    return [
        row
        for start in range(0, len(wanted), ASKED_AT_ONCE)
        for row in session.scalars(query.where(ListEntry.list_id.in_(wanted[start : start + ASKED_AT_ONCE])))
    ]
