"""Moving everything to another database, as from the SQLite file of a beginning to a PostgreSQL server.

One pass: the old database is held against writers, the new one gets all rows in one transaction, in the order of their
foreign keys, and is read again before that becomes true. So the new one holds everything, or nothing.

A move is no step back (epochs.py): the new database keeps until when it is known to be whole, and its own identity. The
old one is marked as moved and is refused from then on (`epochs.moved_to`). A copy of it from before, which bears no
mark, shows itself as any old backup does.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Row,
    Table,
    TableClause,
    Text,
    cast,
    column,
    delete,
    func,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from store import epochs
from store.engine import Database, DatabaseProblemError
from store.epoch_tables import Epoch
from store.identity import NAME
from store.metadata import METADATA
from store.tables import Lease

BATCH = 100
"""Rows that are written at once; a row may hold an answer of QuickBooks of some megabytes."""
GONE_S = 1.0
"""How long a server may still list a connection that was closed."""
_OWN = frozenset({Epoch.__tablename__})
"""Not copied: what a database says of itself."""
_PASSING = _OWN | {Lease.__tablename__}
"""Rows that may be in a database that nobody has used: a bridge that began on it leaves a lease."""
_OTHERS = text(
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
)


@dataclass
class Content:
    """What a table holds: how many rows, and a sum over the digests of all of them, whatever their order."""

    count: int = 0
    total: int = 0

    def add(self, row: Sequence[Any]) -> None:
        """Count a row in."""
        self.count += 1
        digest = hashlib.sha256(repr(tuple(row)).encode("utf-8", "surrogatepass")).digest()
        self.total = (self.total + int.from_bytes(digest, "big")) % (1 << 256)


def move(source: Database, target: Database, *, now: datetime, tell: Callable[[str], None]) -> Counter[str]:
    """Copy everything and mark the source as moved; gives the rows of each table. `tell` hears a line a table.

    Nothing of ours may run on either database. Raises `DatabaseProblemError` with the next step, and then the target is
    as it was, apart from its tables, and the source can go on.
    """
    if source.shown == target.shown:
        raise DatabaseProblemError(f"Both addresses name the database {source.shown}; give --to another one.")
    source.check()
    if not source.is_at_this_version():
        raise DatabaseProblemError(
            f"The database {source.shown} was migrated by a newer version of this program; use that one's command."
        )
    _require_empty(target)
    target.migrate()
    target.engine.dispose()  # the next connection finds the tables, and notes what this database is
    with _problems_of(source):
        _require_no_others(source)
    with _problems_of(source), _held(source) as reading:
        _require_no_lease(source, reading, now)
        with _problems_of(target), _held(target) as writing:
            moved = _copy_all(reading, writing, tell)
            _go_on_counting(reading, writing)
            _keep_epoch(reading, writing, now)
        # The new one is whole. Should we be killed here, the old one is not marked; Temporal still shows what it lacks.
        epochs.mark_moved(reading, to=target.shown, now=now)
    return moved


def require_alone_on_file(path: Path) -> None:
    """Raise `DatabaseProblemError` when anybody has an SQLite file open; call it before opening it."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            # In this mode it is taken for one alone, which fails while another process only has it open.
            connection.execute("pragma locking_mode = exclusive")
            connection.execute("begin exclusive")
            connection.execute("rollback")
        except sqlite3.OperationalError as error:
            raise DatabaseProblemError(
                f"The database {path} is in use ({error}). Stop everything that uses it (./qbd up, bridge, API, "
                "worker), then run this again."
            ) from error
        except sqlite3.DatabaseError as error:
            raise DatabaseProblemError(f"{path} is not a database of ours: {error}.") from error


@contextmanager
def _problems_of(database: Database) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DatabaseProblemError(
            f"Nothing was moved: the database {database.shown} said: {reason}. The one before can go on."
        ) from error


@contextmanager
def _held(database: Database) -> Iterator[Connection]:
    """Give a transaction that sees one moment and lets nobody else write."""
    with database.engine.connect() as connection:
        if database.is_sqlite:
            with connection.begin():  # takes the write lock
                yield connection
            return
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ")
        with snapshot.begin():
            snapshot.execute(text("set local lock_timeout = '10s'"))
            names = ", ".join(one.name for one in METADATA.sorted_tables)
            snapshot.execute(text(f"lock table {names} in share row exclusive mode"))
            yield snapshot


def _require_no_others(database: Database) -> None:
    """Who has gone is seen for a moment longer, so it is looked again."""
    if database.is_sqlite:
        return
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")  # a transaction would see the same each time
        again = Retrying(
            retry=retry_if_result(bool),
            stop=stop_after_delay(GONE_S),
            wait=wait_fixed(0.1),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome is not None else 0,
        )
        others = again(connection.scalar, _OTHERS)
    if others:
        raise DatabaseProblemError(
            f"{others} other connections to {database.shown} are open. Stop bridge, API, worker and whatever else uses "
            "it, then run this again."
        )


def _require_no_lease(database: Database, connection: Connection, now: datetime) -> None:
    if held := connection.execute(select(Lease.name, Lease.until).where(Lease.until > now)).first():
        raise DatabaseProblemError(
            f"A process of ours still works on {database.shown} (its lease, {held.name}, lasts until "
            f"{held.until:%H:%M:%S} UTC). Stop everything, wait until then, and run this again."
        )


def _require_empty(database: Database) -> None:
    with _problems_of(database), database.engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        for one in METADATA.sorted_tables:
            if one.name in there - _PASSING and connection.execute(select(text("1")).select_from(one).limit(1)).first():
                raise DatabaseProblemError(
                    f"The database {database.shown} is not empty: there are rows in its table {one.name}. Everything "
                    "is moved into an empty one only; make a new one, or name another."
                )


def _copy_all(reading: Connection, writing: Connection, tell: Callable[[str], None]) -> Counter[str]:
    moved: Counter[str] = Counter()
    writing.execute(delete(Lease))
    for one in METADATA.sorted_tables:
        if one.name in _OWN:
            continue
        read = _copy(reading, writing, one)
        written = content_of(writing, one)
        if read != written:
            raise DatabaseProblemError(
                f"Nothing was moved: the table {one.name} had {read.count} rows and has {written.count} after copying, "
                "or they differ. The database before can go on."
            )
        if read.count:
            moved[one.name] = read.count
            tell(f"{read.count:>10}  {one.name}")
    return moved


def _copy(reading: Connection, writing: Connection, one: Table) -> Content:
    content, plain = Content(), _as_it_stands(one)
    names = [column.name for column in one.columns]
    for rows in _rows(reading, one):
        for row in rows:
            content.add(row)
        writing.execute(insert(plain), [dict(zip(names, row, strict=True)) for row in rows])
    return content


def content_of(connection: Connection, one: Table) -> Content:
    """Read a table whole."""
    content = Content()
    for rows in _rows(connection, one):
        for row in rows:
            content.add(row)
    return content


def _rows(connection: Connection, one: Table) -> Iterable[Sequence[Row[Any]]]:
    asked = [cast(each, Text).label(each.name) if isinstance(each.type, JSON) else each for each in one.columns]
    return connection.execute(select(*asked), execution_options={"yield_per": BATCH}).partitions()


def _as_it_stands(one: Table) -> TableClause:
    """Give the table with its JSON as text: so `null` and no value stay apart, and no digit changes."""
    columns = [column(each.name, None if isinstance(each.type, JSON) else each.type) for each in one.columns]
    return table(one.name, *columns)


def _go_on_counting(reading: Connection, writing: Connection) -> None:
    """Let PostgreSQL number new rows after the highest number that was ever given."""
    if writing.dialect.name != "postgresql":
        return  # SQLite looks at the rows
    for one in METADATA.sorted_tables:
        key = one.autoincrement_column
        if key is None:
            continue
        highest = reading.scalar(select(func.max(key))) or 0
        if reading.dialect.name == "postgresql":
            counter = reading.scalar(select(func.pg_get_serial_sequence(one.name, key.name)))
            highest = max(highest, reading.scalar(text(f"select last_value from {counter}")) or 0)  # noqa: S608 no input
        counter = func.pg_get_serial_sequence(one.name, key.name)
        writing.execute(select(func.setval(counter, max(highest, 1), highest > 0)))


def _keep_epoch(reading: Connection, writing: Connection, now: datetime) -> None:
    """Keep until when the database is known to be whole; what it is, it has noted itself."""
    known = reading.execute(select(Epoch.seen_at, Epoch.is_certain).where(Epoch.name == NAME)).first()
    values = {"seen_at": known.seen_at, "is_certain": known.is_certain} if known is not None else {"seen_at": now}
    if not writing.execute(update(Epoch).where(Epoch.name == NAME).values(values)).rowcount:
        writing.execute(insert(Epoch).values(name=NAME, identity=None, started=None, **{"is_certain": False, **values}))
