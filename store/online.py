"""Changes of the schema beside running processes: one at a time, without long locks, indexes built concurrently.

The schema only grows (tests/store/test_migrations.py): what a process of the revision before reads and writes goes on.
A lock that is not granted soon is given up, so that nobody queues behind the migration; it is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

MIGRATION_LOCK = 0x5142_4447
"""The advisory lock of whoever migrates; any number that nobody else uses in this database."""
LOCK_TIMEOUT_S = 3
TRIES = 20
WAIT_S = 0.5
NOT_AVAILABLE = ("55P03", "40P01")
"""SQLSTATE of a lock that was not granted in time, and of a deadlock that PostgreSQL ended."""

_INVALID = text(
    "select 1 from pg_index join pg_class on pg_class.oid = indexrelid "
    "where relname = :name and pg_table_is_visible(pg_class.oid) and not indisvalid"
)


@contextmanager
def one_at_a_time(engine: Engine) -> Iterator[None]:
    """Hold the right to migrate; another one waits until it is through. Ends with the connection if we die."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Asked again and again: a statement that waits would be waited for by an index that is built concurrently.
        while not connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK}):
            time.sleep(WAIT_S)
        try:
            yield
        finally:
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})


def no_long_waits(connection: Connection) -> None:
    """Let a statement of this connection fail when it does not get a lock soon."""
    connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    connection.commit()


def is_passing(error: OperationalError) -> bool:
    """Say whether somebody only held a lock for too long."""
    return getattr(error.orig, "sqlstate", None) in NOT_AVAILABLE


def create_index(name: str, table: str, columns: list[str], *, where: str | None = None) -> None:
    """Add an index in a migration, without keeping writers out; one that was left half-built is built anew."""
    condition = text(where) if where else None
    if op.get_context().dialect.name != "postgresql":
        op.create_index(name, table, columns, if_not_exists=True, sqlite_where=condition)
        return
    with op.get_context().autocommit_block():
        _drop_half_built(name)
        op.create_index(
            name, table, columns, if_not_exists=True, postgresql_concurrently=True, postgresql_where=condition
        )


def drop_index(name: str, table: str) -> None:
    """Remove an index in a migration, without keeping anybody out."""
    if op.get_context().dialect.name != "postgresql":
        op.drop_index(name, table, if_exists=True)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _drop_half_built(name: str) -> None:
    if op.get_bind().scalar(_INVALID, {"name": name}):
        op.execute(f"drop index concurrently if exists {name}")
