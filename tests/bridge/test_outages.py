"""Our own parts fail: a full disk, a locked or restarting database. The answer is legal, nothing is half-done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from simulator.report import UpdateReport
from store import states
from store.engine import Database
from tests.support import postgres, stores
from tests.support.world import World

OTHERS = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""What only a database in a file can do."""


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def counts(world: World) -> dict[str, int]:
    """How many rows each table has that a call of the Web Connector writes."""
    tables = ("requests", "message_sets", "outbox", "web_connector_sessions", "incidents")
    with world.database.engine.connect() as connection:
        return {name: connection.execute(text(f"select count(*) from {name}")).scalar_one() for name in tables}


def all_arrive(world: World, ids: list[str]) -> None:
    for _ in range(4):
        world.update()
    assert [world.request(request_id).state for request_id in ids] == [states.DONE] * len(ids)
    assert len(world.quickbooks.ledger) == len(ids)
    world.must_hold()


class FullDisk:
    """Lets the database file grow no further from a chosen call on."""

    def __init__(self, world: World) -> None:
        self._engine = world.database.engine
        self.is_full = False
        event.listen(self._engine, "begin", self._on_begin)

    def _on_begin(self, connection: Any) -> None:
        pages = connection.exec_driver_sql("pragma page_count").scalar_one()
        # Less than one more page: whatever needs a new one is told that the disk is full.
        connection.exec_driver_sql(f"pragma max_page_count = {pages if self.is_full else 1_000_000}")


@pytest.mark.parametrize("method", ["sendRequestXML", "receiveResponseXML"])
@ON_SQLITE
def test_a_full_disk_ends_the_run_politely_and_loses_nothing(world: World, method: str) -> None:
    """SQLite says that the disk is full in the middle of a step: the step leaves nothing behind."""
    # Documents long enough that each set needs pages of its own.
    ids = [world.queue(stores.an_invoice(f"inv_{number}", memo="x" * 4000)) for number in range(5)]
    disk = FullDisk(world)
    seen: dict[str, Any] = {}

    def fill(request: Any) -> None:
        if request.headers["SOAPAction"].endswith(f'{method}"'):
            disk.is_full = True
            seen["before"] = counts(world)

    def free(response: Any) -> None:
        if response.request.headers["SOAPAction"].endswith(f'{method}"'):
            seen["after"], seen["status"] = counts(world), response.status_code
            disk.is_full = False

    world.http.event_hooks = {"request": [fill], "response": [free]}
    report: UpdateReport = world.update()
    world.http.event_hooks = {"request": [], "response": []}
    assert seen["status"] == 200
    assert report.outcome == "error", report
    assert seen["after"] == seen["before"]
    all_arrive(world, ids)


@ON_SQLITE
def test_a_locked_database_ends_the_run_politely_and_loses_nothing(world: World, tmp_path: Path) -> None:
    """Another program holds the file for longer than we wait."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]
    for engine in world.database.engines:
        event.listen(engine, "connect", lambda c, _r: c.execute("pragma busy_timeout = 50"))
        engine.dispose()
    with closing(sqlite3.connect(tmp_path / "qbd.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        report = world.update()
        assert (report.outcome, report.methods[-1]) == ("busy", "authenticate")
        other.execute("rollback")
    all_arrive(world, ids)


@pytest.mark.parametrize("at", ["authenticate", "sendRequestXML", "receiveResponseXML", "closeConnection"])
def test_a_database_that_loses_its_connections_between_two_calls_is_found_again(
    postgresql: str, clock: stores.Clock, at: str
) -> None:
    """PostgreSQL ends every connection, as when it restarts: the session goes on with new ones."""
    with postgres.database_on(postgresql) as url:
        database = Database(url)
        database.migrate()
        world = World(database, clock)
        ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]

        def cut(request: Any) -> None:
            if request.headers["SOAPAction"].endswith(f'{at}"'):
                with pytest.raises(Exception, match="terminat"), database.engine.connect() as connection:
                    connection.execute(text(OTHERS))

        world.http.event_hooks = {"request": [cut], "response": []}
        assert world.update().outcome == "ok"
        world.http.event_hooks = {"request": [], "response": []}
        all_arrive(world, ids)
        world.close()
        database.close()


def test_a_database_that_goes_away_inside_a_step_leaves_nothing_of_it(postgresql: str, clock: stores.Clock) -> None:
    """The connection breaks before the commit: the Web Connector gets a legal answer, and the next run begins anew."""
    left = ["receiveResponseXML: before commit", "sendRequestXML: before commit"]  # a sign-in is one statement
    with postgres.database_on(postgresql) as url:

        def kill(point: str) -> None:
            if [point] != left[-1:]:
                return
            left.pop()
            other = Database(url)
            with other.transaction() as session:
                session.execute(text(f"{OTHERS} and pid <> pg_backend_pid()"))
            other.close()

        database = Database(url, passing=kill)
        database.migrate()
        world = World(database, clock)
        ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]
        outcomes = [world.update().outcome for _ in range(2)]
        assert not left
        assert outcomes == ["error", "error"]
        all_arrive(world, ids)
        world.close()
        database.close()
