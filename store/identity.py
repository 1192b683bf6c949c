"""Which database a new connection has reached: the one that was there before, or one that may lack its last commits.

Looked at on each new connection, before anything else runs on it: a server that takes over has cut all the others.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from store.epoch_tables import Epoch

NAME = "database"
UNREADABLE = "?"
"""In place of what this role may not read; its other parts still tell."""
_KNOWN = f"select identity, started from {Epoch.__tablename__} where name = '{NAME}'"  # noqa: S608 no input
_PARTS = (
    # Another cluster; a standby that took over, or a restore to a point in time; a dump that was put back.
    "select system_identifier::text from pg_control_system()",
    "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
    "select oid::text || '.' || to_regclass('exports')::oid::text from pg_database where datname = current_database()",
)
_STARTED = "select pg_postmaster_start_time()::text"


@dataclass(frozen=True)
class Identity:
    """What a database is: `identity` differs after it was put back, `started` also after a plain restart."""

    identity: str
    started: str | None = None


def changed(connection: Any, path: str | None) -> Identity | None:
    """Say what a new connection has reached; None when it is what the database itself says it was.

    `path` is the file of SQLite; without it the connection is psycopg's, in autocommit mode. A database without the
    table is of an older release, and is not looked at.
    """
    try:
        known = connection.execute(_KNOWN).fetchone()
    except (psycopg.Error, sqlite3.Error):
        return None
    found = _of_file(path) if path is not None else _of_server(connection)
    if found is None or (known is not None and tuple(known) == (found.identity, found.started)):
        return None
    return found


def _of_file(path: str) -> Identity | None:
    with suppress(OSError):
        return Identity(f"file {Path(path).stat().st_ino}")
    return None


def _of_server(connection: Any) -> Identity:
    parts = [_read(connection, question) for question in _PARTS]
    return Identity("/".join(parts), _read(connection, _STARTED))


def _read(connection: Any, question: str) -> str:
    try:
        row = connection.execute(question).fetchone()
    except psycopg.Error:
        return UNREADABLE
    return str(row[0]) if row is not None and row[0] is not None else UNREADABLE


def now() -> datetime:
    """Give the time: a connection is made by no caller who could tell it."""
    return datetime.now(UTC)
