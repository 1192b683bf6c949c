"""The storage that fails on demand really fails, as its driver would."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from store.engine import Database
from tests.scenario.storage import Snapshots, Storage
from tests.support import stores


def _companies(database: Database) -> set[str]:
    with database.transaction() as session:
        return set(session.execute(text("select id from companies")).scalars())


def test_a_statement_fails_once(database: Database) -> None:
    storage = Storage(database)
    storage.fail(1)
    with pytest.raises(OperationalError, match="I/O"):
        stores.add_company(database)
    assert (_companies(database), storage.struck) == (set(), 1)
    stores.add_company(database)


@pytest.mark.parametrize("is_done", [True, False])
def test_the_end_of_a_commit_is_not_known(database: Database, is_done: bool) -> None:
    storage = Storage(database)
    storage.lose_commit(1, is_done=is_done)
    with pytest.raises(OperationalError, match="unexpectedly"):
        stores.add_company(database)
    assert _companies(database) == ({"acme"} if is_done else set())


def test_a_full_disk_keeps_what_it_has(database: Database) -> None:
    storage = Storage(database)
    storage.fill()
    with pytest.raises(OperationalError, match=r"full|No space"):
        for number in range(500):
            stores.add_company(database, f"acme{number}")
    kept = _companies(database)
    storage.calm()
    stores.add_company(database, "bolt")
    assert _companies(database) == {*kept, "bolt"}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_database_is_set_back(database: Database) -> None:
    stores.add_company(database, "acme")
    snapshots = Snapshots(database)
    kept = snapshots.take()
    stores.add_company(database, "bolt")
    snapshots.put_back(kept)
    assert _companies(database) == {"acme"}
    stores.add_company(database, "bolt")
