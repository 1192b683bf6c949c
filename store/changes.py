"""Writing changed rows past the session's unit of work, which sorts and compares and takes longer than the database.

For what every call of the Web Connector changes: rows of `rows.py`, whose keys stay, and new ones that nobody reads
in the same transaction. On PostgreSQL all of it is one statement, and so one way to the server and back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.exc import StaleDataError

from store.rows import rows_read
from store.within import connection_of

_GATHERED = "rows_to_write"
_SHAPES_MAX = 500
"""Choices of tables and columns that are written together. A bridge has some dozens."""


class _Shape(NamedTuple):
    """What decides on the text of a statement: the table and the columns."""

    table: Table
    columns: tuple[str, ...]
    """Those that are written."""
    known: tuple[str, ...] = ()
    """Those that a row which is there is found by: its key, and others whose values must be what they were."""


def add_row(session: Session, entity: type[DeclarativeBase], values: Mapping[str, Any]) -> None:
    """Add a row when the changes are written: at the end of the transaction at the latest."""
    session.info.setdefault(_GATHERED, []).append((_Shape(cast("Table", entity.__table__), tuple(values)), values))


def change_row(
    session: Session, entity: type[DeclarativeBase], *, known: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Change a row when the changes are written, if it still is as it is `known`, its key included."""
    shape = _Shape(cast("Table", entity.__table__), tuple(values), tuple(known))
    session.info.setdefault(_GATHERED, []).append((shape, {**values, **_as_known(known)}))


def write_changes(session: Session) -> None:
    """Write what has changed in rows of `rows.py`, what is to be added, and what the session itself has to write.

    Raises `StaleDataError`, as the session does, when a row is not there any more, or not as it was known.
    """
    session.flush()
    writes: dict[_Shape, list[Mapping[str, Any]]] = defaultdict(list)
    for shape, values in session.info.pop(_GATHERED, ()):
        writes[shape].append(values)
    for row in rows_read(session):
        state = instance_state(row)
        before, now = state.committed_state, state.dict
        values = {name: now[name] for name in sorted(before) if before[name] != now[name]}
        if values:
            key = state.mapper.primary_key
            shape = _Shape(cast("Table", state.mapper.local_table), tuple(values), tuple(column.name for column in key))
            writes[shape].append({**values, **_as_known(dict(zip(shape.known, state.identity or (), strict=True)))})
        before.clear()
    if writes:
        _write(connection_of(session), writes)


def _write(connection: Connection, writes: Mapping[_Shape, Sequence[Mapping[str, Any]]]) -> None:
    alone = [shape for shape, rows in writes.items() if len(rows) == 1]
    if len(alone) > 1 and connection.dialect.name == "postgresql":
        values = {
            f"w{number}_{name}": value for number, shape in enumerate(alone) for name, value in writes[shape][0].items()
        }
        counts = connection.execute(_together(tuple(alone)), values).one()
        _require([shape for shape in alone if shape.known], counts, 1)
    else:
        for shape in alone:
            _write_each(connection, shape, writes[shape])
    for shape, rows in writes.items():
        if len(rows) > 1:
            _write_each(connection, shape, rows)


def _write_each(connection: Connection, shape: _Shape, rows: Sequence[Mapping[str, Any]]) -> None:
    named = [{f"w0_{name}": value for name, value in row.items()} for row in rows]
    done = connection.execute(_alone(shape), named if len(named) > 1 else named[0])
    if shape.known:
        _require([shape], [done.rowcount], len(rows))


def _require(shapes: Sequence[_Shape], counts: Sequence[int], expected: int) -> None:
    for shape, count in zip(shapes, counts, strict=True):
        if count != expected:
            raise StaleDataError(f"a row of {shape.table} that was to be changed is not there as it was")


@lru_cache(_SHAPES_MAX)
def _alone(shape: _Shape) -> Insert | Update:
    return _statement(shape, 0)


@lru_cache(_SHAPES_MAX)
def _together(shapes: tuple[_Shape, ...]) -> Select[Any]:
    """Give one statement that writes a row of each shape and counts those that were there to be changed."""
    adds = [_statement(shape, number).cte(f"w{number}") for number, shape in enumerate(shapes) if not shape.known]
    changes = [
        _statement(shape, number).returning(true().label("done")).cte(f"w{number}")
        for number, shape in enumerate(shapes)
        if shape.known
    ]
    counts: list[ColumnElement[Any]] = [select(func.count()).select_from(one).scalar_subquery() for one in changes]
    return select(*counts or [true()]).add_cte(*adds, *changes)


def _as_known(known: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a column's value before from the one after."""
    return {f"known_{name}": value for name, value in known.items()}


def _statement(shape: _Shape, number: int) -> Insert | Update:
    columns = shape.table.c

    def given(name: str, prefix: str = "") -> Any:
        return bindparam(f"w{number}_{prefix}{name}", type_=columns[name].type)

    values = {name: given(name) for name in shape.columns}
    if not shape.known:
        return insert(shape.table).values(values).inline()
    conditions = []
    for name in shape.known:
        column, value = columns[name], given(name, "known_")
        # Only "=" finds a row by an index on PostgreSQL; NULL is a value that may be known.
        conditions.append(column == value if column.primary_key else column.is_not_distinct_from(value))
    return update(shape.table).where(*conditions).values(values)
