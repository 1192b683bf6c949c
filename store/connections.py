"""How each kind of database is opened: what every new connection is told, and how transactions begin."""

from __future__ import annotations

import select
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import InvalidatePoolError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

LOCK_WAIT_S = 10
"""How long a writer waits for another one on SQLite; QBWC itself waits about 100 s (web-connector.md 2.2)."""
CONNECT_S = 10
"""How long a PostgreSQL that does not even refuse is waited for, unless its address says otherwise."""
_DRIVER = "sqlite+immediate"
Met = Callable[[Any], None]
"""Told each new connection of the driver, in autocommit mode."""


class ImmediateSqlite(SQLiteDialect_pysqlite):
    """SQLite whose transactions hold the write lock from their start.

    An event of the engine could do the same, at the price of a look for listeners at every statement.
    """

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin. Two deferred transactions that both turn into writers would end one with "database is locked"."""
        dbapi_connection.execute("begin immediate")


def open_sqlite(url: URL, *, waits: bool, size: int, commits_each: bool, met: Met) -> Engine:
    """Give a pool of at least `size` connections; `waits`: for the disk, at each commit.

    With `commits_each` nothing begins a transaction, so each statement is one. Each new connection has `met` its
    database before anything else runs on it.
    """
    registry.register("sqlite.immediate", __name__, ImmediateSqlite.__name__)
    driver = "sqlite" if commits_each else _DRIVER
    engine = create_engine(url.set(drivername=driver), pool_size=size, max_overflow=size)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would be a deferred one
        cursor = connection.cursor()
        cursor.execute(f"pragma busy_timeout = {LOCK_WAIT_S * 1000}")
        _write_ahead(cursor)
        cursor.execute(f"pragma synchronous = {'full' if waits else 'normal'}")
        cursor.execute("pragma foreign_keys = on")
        cursor.close()
        met(connection)

    return engine


@retry(
    retry=retry_if_exception_type(sqlite3.OperationalError),
    wait=wait_fixed(0.05),
    stop=stop_after_delay(LOCK_WAIT_S),
    reraise=True,
)
def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Turn it on where it is not. Two that do so to a new file at once do not wait for each other by themselves."""
    [mode] = cursor.execute("pragma journal_mode").fetchone()
    if mode != "wal":
        cursor.execute("pragma journal_mode = wal")


def open_postgresql(
    url: URL, *, waits: bool, size: int, commits_each: bool, met: Met, plans_once: bool = False
) -> Engine:
    """Give the same for PostgreSQL.

    With `plans_once` a statement that comes again is planned for all values, not each time for its own. That is for
    processes whose every question finds its rows by an index whatever is asked (tests/store/test_indexes.py).
    """
    more: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if commits_each else {}
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(CONNECT_S)})
    engine = create_engine(url, pool_size=size, max_overflow=size, connect_args={"cursor_factory": PlainCursor}, **more)
    settings = ["synchronous_commit = off"] * (not waits) + ["plan_cache_mode = force_generic_plan"] * plans_once

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        for setting in settings:
            connection.execute(f"set {setting}")
        met(connection)
        connection.autocommit = commits_each

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, _record: Any, _proxy: Any) -> None:
        """Notice what a server that went away has closed; a ping would be a round trip each time.

        An idle connection has nothing to say: when its socket is readable, it holds the end of the stream, or the
        sentence that comes before it.
        """
        idle = select.poll()
        idle.register(connection.fileno(), select.POLLIN)
        if idle.poll(0):
            raise InvalidatePoolError

    return engine


class PlainCursor(psycopg.Cursor[Any]):
    """psycopg's cursor, which otherwise describes every column at every question: for us a fifth of all its work.

    SQLAlchemy looks at the columns of a statement once.
    """

    @property
    def description(self) -> Any:
        """Give the columns as PEP 249 has them; None where there are none."""
        found = self.pgresult
        return _Columns(found) if found is not None and found.nfields else None


class _Columns(Sequence[tuple[str, int, None, None, None, None, None]]):
    """What a result says of its columns, asked when it is looked at."""

    def __init__(self, result: PGresult) -> None:
        self._result = result

    def __len__(self) -> int:
        return self._result.nfields

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        name = (self._result.fname(number) or b"").decode()
        return name, self._result.ftype(number), None, None, None, None, None
