"""The lists of one company file, served from the store: what rules look things up in (`mapping.lists.Lists`)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from mapping.lists import CompanyFacts, ListItem, ListKind
from store import lists
from store.companies import company
from store.list_tables import ListEntry


class CompanyLists:
    """Implements `mapping.lists.Lists` within one transaction; nothing is read before it is asked for."""

    def __init__(self, session: Session, company_id: str) -> None:
        self._session = session
        self._company_id = company_id
        self._known: dict[ListKind, bool] = {}

    @property
    def facts(self) -> CompanyFacts:
        """Give the preferences; all None before the first session."""
        row = company(self._session, self._company_id)
        return CompanyFacts.model_validate(row.preferences or {}) if row is not None else CompanyFacts()

    def is_known(self, kind: ListKind) -> bool:
        """Say whether this list came over completely; half a list would call the other half missing."""
        if kind not in self._known:
            self._known[kind] = lists.is_complete(self._session, self._company_id, kind)
        return self._known[kind]

    def by_list_id(self, kind: ListKind, list_id: str) -> ListItem | None:
        """Find an entry, inactive and vanished ones too."""
        row = lists.entry(self._session, self._company_id, kind, list_id)
        return _item(row) if row is not None else None

    def by_full_name(self, kind: ListKind, full_name: str) -> Sequence[ListItem]:
        """Find the entries with this full name that have not vanished, without regard to case."""
        return [_item(row) for row in lists.entries_named(self._session, self._company_id, kind, full_name)]


def _item(row: ListEntry) -> ListItem:
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
