"""The queue of a restored database: what had left since the backup is found in QuickBooks, what had not is sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import epochs, queue, states
from store.engine import Database
from tests.support import stores
from tests.support.world import World

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True),  # the backup is a copy of the file
]


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def copy(source: str, target: str) -> None:
    one, other = sqlite3.connect(source), sqlite3.connect(target)
    one.backup(other)
    one.close()
    other.close()


def test_a_restored_queue_doubles_nothing(world: World, database: Database, tmp_path: Path) -> None:
    """More requests than one look-up holds; half of them had left after the backup. Each is in QuickBooks once."""
    count = 6
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(count)]
    file, kept = str(database.url.database), str(tmp_path / "backup")
    copy(file, kept)
    backup_at = world.clock.now
    world.clock.forward(minutes=1)
    with database.transaction() as session:  # the second half is held back, as by a short session
        for request_id in ids[count // 2 :]:
            found = queue.request(session, request_id)
            assert found is not None
            found.state = states.CANCELLED
    assert world.update().outcome == "ok"
    assert len(world.quickbooks.ledger) == count // 2
    database.engine.dispose()
    copy(kept, file)
    world.clock.forward(minutes=30)
    with database.transaction() as session:
        sizes = epochs.hold_back(session, "acme", since=backup_at, new_id=stores.counter("LOST"), set_size=4)
        assert sizes == [4, 2]
    for _ in range(4):
        assert world.update().outcome in ("ok", "none")
        world.clock.forward(minutes=15)
    assert len(world.quickbooks.ledger) == count
    assert len({txn.ref_number for txn in world.quickbooks.ledger}) == count
    for request_id in ids:
        outcome = world.outcome(request_id)
        assert outcome is not None
        assert outcome.transaction is not None
