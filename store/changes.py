"""Writing changed rows past the session's unit of work, which sorts and compares and takes longer than the database.

For what every call of the Web Connector changes: rows of `rows.py`, whose keys stay, and new ones that nobody reads
in the same transaction. On PostgreSQL all of it is one statement, and so one way to the server and back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from psycopg.errors import DivisionByZero
from sqlalchemy import (
    Connection,
    Insert,
    Integer,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.exc import DataError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.exc import StaleDataError

from store.rows import rows_read
from store.within import connection_of

_GATHERED = "rows_to_write"
_GONE = "a row that was to be changed is not there as it was"
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
    writes = _gathered(session)
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


def write_gathered(session: Session, connection: Connection) -> None:
    """Write what was gathered by `add_row` and `change_row`, a row a table at most, in one statement on PostgreSQL.

    It takes effect as a whole, so the connection may be one that commits each. Raises `StaleDataError` when a row is
    not as it was known, and ValueError for a second row of a table.
    """
    writes = _gathered(session)
    if writes:
        _write_together(connection, writes)


def _gathered(session: Session) -> defaultdict[_Shape, list[Mapping[str, Any]]]:
    writes: defaultdict[_Shape, list[Mapping[str, Any]]] = defaultdict(list)
    for shape, values in session.info.pop(_GATHERED, ()):
        writes[shape].append(values)
    return writes


def _write(connection: Connection, writes: Mapping[_Shape, Sequence[Mapping[str, Any]]]) -> None:
    together = {shape: rows for shape, rows in writes.items() if len(rows) == 1}
    if len(together) == 1 or connection.dialect.name != "postgresql":
        together = {}
    if together:
        _write_together(connection, together)
    for shape, rows in writes.items():
        if shape not in together:
            _write_alike(connection, shape, rows)


def _write_together(connection: Connection, writes: Mapping[_Shape, Sequence[Mapping[str, Any]]]) -> None:
    values = {f"w{number}_{name}": value for number, [row] in enumerate(writes.values()) for name, value in row.items()}
    try:
        connection.execute(_together(tuple(writes)), values)
    except DataError as error:
        if not isinstance(error.orig, DivisionByZero):
            raise
        raise StaleDataError(_GONE) from error


def _write_alike(connection: Connection, shape: _Shape, rows: Sequence[Mapping[str, Any]]) -> None:
    named = [{f"w0_{name}": value for name, value in row.items()} for row in rows]
    done = connection.execute(_alone(shape), named if len(named) > 1 else named[0])
    if shape.known and done.rowcount != len(rows):
        raise StaleDataError(_GONE)


@lru_cache(_SHAPES_MAX)
def _alone(shape: _Shape) -> Insert | Update:
    return _statement(shape, 0)


@lru_cache(_SHAPES_MAX)
def _together(shapes: tuple[_Shape, ...]) -> Select[int]:
    """Give one statement that writes a row of each shape, or nothing at all.

    A statement takes back what its parts did only if it fails: where a row to be changed is not found, it divides by
    zero.
    """
    adds = [_statement(shape, number).cte(f"w{number}") for number, shape in enumerate(shapes) if not shape.known]
    changes = [
        _statement(shape, number).returning(true().label("done")).cte(f"w{number}")
        for number, shape in enumerate(shapes)
        if shape.known
    ]
    counts = [select(func.count()).select_from(one).scalar_subquery() for one in changes]
    are_found = case((and_(true(), *(count == 1 for count in counts)), 1), else_=0)
    return select(literal_column("1", Integer) // are_found).add_cte(*changes, *adds)


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
