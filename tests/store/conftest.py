"""Databases that are not migrated yet, for tests of the migrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.engine import Database
from tests.support import postgres, stores


@pytest.fixture
def empty(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new database, not migrated."""
    if database_kind == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'qbd.sqlite'}")
        stores.hurry(database)
        yield database
        database.close()
        return
    with postgres.database_on(request.getfixturevalue("postgresql")) as url:
        database = Database(url)
        yield database
        database.close()
