"""The lists of a company file as the store has them, for the pure rules of `mapping`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from sqlalchemy.orm import Session

from mapping.known_lists import KnownLists
from mapping.lists import CompanyFacts, ListItem, ListKind
from mapping.suggestions import NameIndex
from store import lists
from store.companies import company
from store.list_tables import ListEntry


class StoreLists:
    """`mapping.lists.Lists` over one transaction; each entry is looked up when it is asked for, once."""

    def __init__(self, session: Session, company_id: str) -> None:
        self._session = session
        self._company_id = company_id
        self._known: frozenset[str] | None = None
        self._told: CompanyFacts | None = None

    @property
    def facts(self) -> CompanyFacts:
        """Give the preferences; nothing is known of them before the first session."""
        if self._told is None:
            self._told = _facts(self._session, self._company_id)
        return self._told

    def is_known(self, kind: ListKind) -> bool:
        """Say whether this list came over completely; half a list would call the other half missing."""
        if self._known is None:
            self._known = lists.complete_kinds(self._session, self._company_id)
        return kind in self._known

    def by_list_id(self, kind: ListKind, list_id: str) -> ListItem | None:
        """Find an entry, inactive and vanished ones too."""
        row = lists.entry(self._session, self._company_id, kind, list_id)
        return None if row is None else item_of(row)

    def by_full_name(self, kind: ListKind, full_name: str) -> Sequence[ListItem]:
        """Find the entries with this full name that have not vanished."""
        return [item_of(row) for row in lists.entries_named(self._session, self._company_id, kind, full_name)]

    def active_of(self, kind: ListKind, entry_type: str) -> Sequence[ListItem]:
        """Give the active entries of a type, by their names."""
        return [item_of(row) for row in lists.active_of(self._session, self._company_id, kind, entry_type)]


def loaded_lists(
    session: Session, company_id: str, kinds: Collection[ListKind] | None = None, more: Iterable[ListItem] = ()
) -> KnownLists:
    """Read lists whole (None: all), for work that looks at thousands of entries: one query instead of one each."""
    rows = lists.all_entries(session, company_id, kinds)
    entries = (ListItem(**{**row, "kind": ListKind(row["kind"])}) for row in rows)
    return KnownLists(chain(entries, more), _facts(session, company_id))


def lists_near(
    session: Session, company_id: str, kinds: Collection[ListKind], names: Collection[str]
) -> list[ListItem]:
    """Read of long lists what is called like one of these names, with what stands above it; short ones whole."""
    found: dict[str, ListItem] = {}
    for kind in kinds:
        index = NameIndex(lists.entry_names(session, company_id, kind), wanted=names)
        near = index.all() if index.is_short else [one for name in names for one in index.near(name)]
        wanted = list(dict.fromkeys(one.list_id for one in near))
        while wanted:
            rows = lists.entries_by_id(session, company_id, kind, wanted)
            found |= {row.list_id: item_of(row) for row in rows}
            wanted = list({row.parent_list_id for row in rows if row.parent_list_id} - set(found))
    return list(found.values())


def _facts(session: Session, company_id: str) -> CompanyFacts:
    row = company(session, company_id)
    return CompanyFacts.model_validate((row.preferences if row is not None else None) or {})


def item_of(row: ListEntry) -> ListItem:
    """Give a row as the rules see it."""
    return ListItem(
        kind=ListKind(row.kind),
        list_id=row.list_id,
        full_name=row.full_name,
        type=row.type,
        is_active=row.is_active,
        is_gone=row.is_gone,
        parent_list_id=row.parent_list_id,
        facts=row.facts,
    )
