"""SQLite with transactions that hold the write lock from their start."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

DRIVER = "sqlite+immediate"


class ImmediateSqlite(SQLiteDialect_pysqlite):
    """Begins as SQLAlchemy says, where the driver would begin by itself, later, or not at all.

    An event of the engine could do the same, at the price of a look for listeners at every statement.
    """

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin. Two deferred transactions that both turn into writers would end one with "database is locked"."""
        dbapi_connection.execute("begin immediate")


def install() -> None:
    """Make `DRIVER` known; again changes nothing."""
    registry.register("sqlite.immediate", __name__, ImmediateSqlite.__name__)
