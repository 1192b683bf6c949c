"""Finds list entries without walking the lists: a company file may hold 50,000 customers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .records import ListObject

if TYPE_CHECKING:
    from .records import CompanyState

LISTS = ("customers", "vendors", "items", "accounts", "terms", "classes", "tax_codes", "templates")
_ENTITIES = "entities"


class Index:
    """Follows the lists of a file as they grow; whoever changes names or takes entries away says `forget`."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}
        self._by_id: dict[str, ListObject] = {}
        self._names: set[tuple[str, str]] = set()
        self._below: dict[str, list[ListObject]] = {}
        self._ordered: dict[str, list[ListObject]] = {}

    def forget(self) -> None:
        """Names changed or entries went away: look at everything anew."""
        self._known.clear()
        self._by_id.clear()
        self._names.clear()
        self._below.clear()
        self._ordered.clear()

    def entry(self, state: "CompanyState", list_id: str) -> ListObject | None:
        """The entry with this ListID."""
        self._follow(state)
        return self._by_id.get(list_id)

    def is_taken(self, state: "CompanyState", name: str, full_name: str) -> bool:
        """Whether a list uses this full name; customers and vendors share one name space (qbxml.md 7.10)."""
        self._follow(state)
        return (_space(name), full_name.lower()) in self._names

    def below(self, state: "CompanyState", list_id: str) -> Iterator[ListObject]:
        """The entries under an entry, at any depth."""
        self._follow(state)
        for child in self._below.get(list_id, ()):
            yield child
            yield from self.below(state, child.list_id)

    def in_order(self, state: "CompanyState", name: str) -> Sequence[ListObject]:
        """A list by name, what is below an entry right after it."""
        self._follow(state)
        if name not in self._ordered:
            self._ordered[name] = sorted(getattr(state, name), key=_order)
        return self._ordered[name]

    def _follow(self, state: "CompanyState") -> None:
        for name in LISTS:
            entries: list[ListObject] = getattr(state, name)
            identity, count = self._known.get(name, (id(entries), 0))
            if identity != id(entries) or count > len(entries):
                self.forget()
                return self._follow(state)
            if count == len(entries) and name in self._known:
                continue
            self._ordered.pop(name, None)
            for entry in entries[count:]:
                self._by_id[entry.list_id] = entry
                self._names.add((_space(name), entry.full_name.lower()))
                if entry.parent:
                    self._below.setdefault(entry.parent, []).append(entry)
            self._known[name] = (id(entries), len(entries))
        return None


def _space(name: str) -> str:
    return _ENTITIES if name in ("customers", "vendors") else name


def _order(entry: ListObject) -> list[str]:
    return entry.full_name.lower().split(":")
