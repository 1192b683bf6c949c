"""A database that fails: at any statement, at a commit whose end nobody learns, and when its disk is full.

The failures are the driver's own, raised where the driver would, so that whoever calls the database meets what it
would meet.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext

from store.engine import Database

IO_ERROR = "disk I/O error"
FULL = "database or disk is full"
_GROWS = re.compile(r"\s*(insert|update|with)\b", re.IGNORECASE)
SERVER_GONE = "server closed the connection unexpectedly"


class Storage:
    """What the disk under a database does. Everything is well until something is ordered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements: int | None = None
        self._commits: tuple[int, bool] | None = None
        self._is_full = False
        self.struck = 0
        """How many failures were really met."""
        for engine in database.engines:
            event.listen(engine, "do_execute", self._on_execute)
            event.listen(engine, "do_execute_no_params", self._on_execute)
            event.listen(engine, "connect", self._on_connect)
            event.listen(engine, "handle_error", self._on_error)
            self._watch_commits(engine)

    def fail(self, nth: int) -> None:
        """Fail the nth statement from now on."""
        self._statements = nth

    def lose_commit(self, nth: int, *, is_done: bool) -> None:
        """Break the connection at the nth commit from now on: it `is_done` or not, and the caller cannot know."""
        self._commits = (nth, is_done)

    def fill(self) -> None:
        """Let the disk be full: what is there stays readable, nothing grows."""
        self._is_full = True
        self._reopen()

    def calm(self) -> None:
        """Let everything be well again."""
        self._statements = self._commits = None
        if self._is_full:
            self._is_full = False
            self._reopen()

    def _reopen(self) -> None:
        for engine in self._database.engines:
            engine.dispose()

    def _error(self, text: str) -> Exception:
        self.struck += 1
        if self._database.is_sqlite:
            return sqlite3.OperationalError(text)
        return psycopg.OperationalError(text)

    def _on_execute(self, _cursor: Any, statement: str, *_: Any) -> None:
        if self._is_full and not self._database.is_sqlite and _GROWS.match(statement):
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        if self._statements is not None:
            self._statements -= 1
            if self._statements <= 0:
                self._statements = None
                raise self._error(IO_ERROR)

    def _on_error(self, context: ExceptionContext) -> None:
        error = context.original_exception
        self.struck += isinstance(error, psycopg.errors.DiskFull) or FULL in str(error)

    def _on_connect(self, connection: Any, _record: Any) -> None:
        if self._is_full and self._database.is_sqlite:
            [pages] = connection.execute("pragma page_count").fetchone()
            connection.execute(f"pragma max_page_count = {pages}")

    def _watch_commits(self, engine: Engine) -> None:
        do_commit: Callable[[Any], None] = engine.dialect.do_commit

        def commit(dbapi_connection: Any) -> None:
            if self._commits is None:
                return do_commit(dbapi_connection)
            left, is_done = self._commits
            self._commits = None if left <= 1 else (left - 1, is_done)
            if left > 1:
                return do_commit(dbapi_connection)
            if is_done:
                do_commit(dbapi_connection)
            raise self._error(SERVER_GONE)

        engine.dialect.do_commit = commit  # type: ignore[method-assign]


class Snapshots:
    """Copies of a SQLite database as it was at an instant, and putting one in its place."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._path = Path(database.url.database or "")

    def take(self) -> bytes:
        """Give the database as it is now."""
        with contextlib.closing(sqlite3.connect(self._path)) as source:
            return source.serialize()

    def put_back(self, kept: bytes) -> None:
        """Put the copy in place of the file, as a person would; whoever has the old one open goes on with that."""
        beside = self._path.with_suffix(".kept")
        beside.write_bytes(kept)
        for log in ("-wal", "-shm"):
            self._path.with_name(self._path.name + log).unlink(missing_ok=True)
        beside.replace(self._path)
        for engine in self._database.engines:
            engine.dispose()
