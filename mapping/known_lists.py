"""The lists of a company file held in memory: for tests, and for work that looks at every entry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mapping.lists import CompanyFacts, ListItem, ListKind


class KnownLists:
    """`Lists` over entries that are all at hand. A kind is known when it has an entry or is named in `known`."""

    def __init__(
        self, entries: Iterable[ListItem] = (), facts: CompanyFacts | None = None, known: Iterable[ListKind] = ()
    ) -> None:
        self._facts = facts or CompanyFacts()
        self._known = set(known)
        self._entries: dict[tuple[ListKind, str], ListItem] = {}
        self._named: dict[tuple[ListKind, str], list[ListItem]] = defaultdict(list)
        for entry in entries:
            self._known.add(entry.kind)
            self._entries[entry.kind, entry.list_id] = entry
            if not entry.is_gone:
                self._named[entry.kind, entry.full_name.casefold()].append(entry)

    @property
    def facts(self) -> CompanyFacts:
        """Give the preferences."""
        return self._facts

    def is_known(self, kind: ListKind) -> bool:
        """Say whether this list came over."""
        return kind in self._known

    def by_list_id(self, kind: ListKind, list_id: str) -> ListItem | None:
        """Find an entry, inactive and vanished ones too."""
        return self._entries.get((kind, list_id))

    def by_full_name(self, kind: ListKind, full_name: str) -> Sequence[ListItem]:
        """Find the entries with this full name that have not vanished."""
        return self._named.get((kind, full_name.casefold()), ())

    def active_of(self, kind: ListKind, entry_type: str) -> Sequence[ListItem]:
        """Give the active entries of a type, by their names."""
        found = [entry for entry in self.entries(kind) if entry.type == entry_type and entry.is_active]
        return sorted(found, key=lambda entry: entry.full_name)

    def entries(self, kind: ListKind) -> list[ListItem]:
        """Give the entries of a list that have not vanished."""
        return [entry for entry in self._entries.values() if entry.kind is kind and not entry.is_gone]


NOTHING_KNOWN = KnownLists()
"""Before the first sync: nothing can be checked."""
