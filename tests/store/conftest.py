"""Each test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.engine import Database
from tests.support import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new database, not migrated."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'qbd.sqlite'}")
        yield database
        database.close()
        return
    with postgres.database_on(request.getfixturevalue("postgresql")) as url:
        database = Database(url)
        yield database
        database.close()
