"""Reading rows past the session: as objects of their tables' classes that belong to no session.

For what every call of the Web Connector reads. The session's loading takes longer than the database. Such a row is
written by `changes.write_changes`, and by nothing else; a column that was left out cannot be read from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.attributes import instance_state

_T = TypeVar("_T", bound=DeclarativeBase)
_READ = "rows_read"


class Rows(Generic[_T]):
    """How rows of one table become objects; make one per question, as the question itself."""

    def __init__(self, entity: type[_T], *, only: Collection[str] = (), besides: Collection[str] = ()) -> None:
        """Read all columns, or `only` those, and none of `besides`. The key is always read."""
        mapper = inspect(entity)
        keys = {mapper.get_property_by_column(key).key for key in mapper.primary_key}
        wanted = keys | set(only or mapper.column_attrs.keys()) - set(besides)
        read = [attribute for attribute in mapper.column_attrs if attribute.key in wanted]
        self.columns: tuple[ColumnElement[Any], ...] = tuple(attribute.columns[0] for attribute in read)
        self._entity = entity
        self._names = tuple(attribute.key for attribute in read)
        self._keys = tuple(self._names.index(mapper.get_property_by_column(key).key) for key in mapper.primary_key)
        self._unread = tuple(key for key in mapper.column_attrs.keys() if key not in self._names)  # noqa: SIM118
        self._manager = mapper.class_manager

    def __len__(self) -> int:
        return len(self.columns)

    def of(self, session: Session, values: tuple[Any, ...]) -> _T:
        """Give the row of these values, in the order of `columns`. Its changes are written with the session's."""
        row = cast("_T", self._manager.new_instance())
        state = instance_state(row)
        state.dict.update(zip(self._names, values, strict=True))
        state.key = (self._entity, tuple(values[key] for key in self._keys), None)
        state.expired_attributes.update(self._unread)  # they raise DetachedInstanceError, instead of being None
        session.info.setdefault(_READ, []).append(row)
        return row

    def key(self, values: tuple[Any, ...]) -> Any:
        """Give the first column of the key."""
        return values[self._keys[0]]

    def is_there(self, values: tuple[Any, ...]) -> bool:
        """Say whether an outer join found a row."""
        return values[self._keys[0]] is not None


def rows_read(session: Session) -> Iterable[DeclarativeBase]:
    """Give all rows that were read this way in the session's transaction."""
    found: Iterable[DeclarativeBase] = session.info.get(_READ, ())
    return found
