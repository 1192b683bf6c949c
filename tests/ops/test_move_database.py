"""Moving everything to another database: all of it or nothing, and the old one is not used any more."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from ops.beginnings import BeginningAnewError, unknown_to_database
from ops.database import open_database
from ops.move_database import run_move
from ops.problems import ProblemError
from ops.settings import Settings, load_settings
from store import companies, epochs, exports
from store.engine import Database, DatabaseProblemError
from store.metadata import METADATA
from store.moving import content_of
from store.tables import Company, Export, Lease
from tests.bridge.test_epoch import Site
from tests.bridge.test_relay import Exported
from tests.support import postgres, stores
from workflows import contracts

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation that has begun on SQLite, with a company that exports."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    settings = load_settings({"QBD_DATA_DIR": str(folder)})
    settings.embedded_file.write_bytes(stores.migrated_file())
    with closing(Database(settings.database)) as database:
        stores.hurry(database)
        fill(database)
    return settings


def fill(database: Database) -> None:
    stores.add_company(database, preferences=None, quiet_hours={"from": "22:00", "zone": "Umlaut ä, \\u0000 and 1.50"})
    with database.transaction() as session:
        for number in range(7):
            row = exports.add_export(session, an_export(f"inv_{number}"), state="Queued", at=NOW)
            exports.add_timeline(session, row.id, at=NOW, state="Queued", text="It waits", key=f"k{number}")
        epochs.epoch(session, now=NOW).seen_at = NOW - timedelta(minutes=3)
    with database.engine.begin() as connection:
        # JSON as other writers leave it: `null`, and none at all.
        connection.execute(text("update exports set error = 'null' where document_id = 'inv_1'"))
        connection.execute(text("update exports set error = null where document_id = 'inv_2'"))
        connection.execute(text("delete from timeline where id = 3"))


def an_export(document_id: str) -> exports.NewExport:
    return exports.NewExport(
        company_id="acme",
        kind="invoice",
        document_id=document_id,
        number=document_id,
        content_hash="x",
        document=stores.an_invoice(document_id),
    )


@pytest.fixture
def target(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a new database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.sqlite3'}"
    else:
        with postgres.database_on(request.getfixturevalue("postgresql")) as url:
            yield url


def moved(settings: Settings, target: str) -> list[str]:
    lines: list[str] = []
    run_move(settings, source=None, target=target, tell=lines.append)
    return lines


def all_of(database: Database) -> dict[str, Any]:
    with database.engine.connect() as connection:
        return {one.name: content_of(connection, one) for one in METADATA.sorted_tables if one.name != "epochs"}


@pytest.mark.both_databases
def test_everything_is_moved_and_the_new_database_goes_on_where_the_old_one_was(
    settings: Settings, target: str
) -> None:
    with closing(Database(settings.database)) as old:
        before = all_of(old)
    lines = moved(settings, target)
    assert any(line.split() == ["7", "exports"] for line in lines)
    with closing(Database(target)) as new:
        new.check()
        assert all_of(new) == before
        with new.transaction() as session:
            assert epochs.in_doubt(session, limit=9) == []  # a move is no step back
            row = epochs.epoch(session, now=NOW)
            assert row.identity is not None
            assert (row.seen_at, row.is_certain) == (NOW - timedelta(minutes=3), False)
            added = exports.add_export(session, an_export("inv_after"), state="Mapped", at=NOW)
            exports.add_timeline(session, added.id, at=NOW, state="Mapped", text="Accepted", key="after")
            assert added.id == 8
            owner = session.get_one(Company, "acme")
            assert owner.quiet_hours == {"from": "22:00", "zone": "Umlaut ä, \\u0000 and 1.50"}
            wanted = select(Export.document_id).where(Export.error.is_(None)).order_by(Export.id)
            assert "inv_2" in session.scalars(wanted).all()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_old_database_is_refused_and_an_old_copy_of_it_is_a_step_back(
    settings: Settings, target: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite3"
    shutil.copy(settings.embedded_file, copy)
    moved(settings, target)
    with pytest.raises(DatabaseProblemError, match=r"was moved to sqlite:.*new\.sqlite3 on .* Set QBD_DATABASE_URL"):
        open_database(settings)
    with closing(Database(f"sqlite:///{copy}")) as old, old.transaction() as session:
        assert [one.company_id for one in epochs.in_doubt(session, limit=9)] == ["acme"]
        assert [one.code for one in companies.incidents(session, "acme")] == [epochs.STEPPED_BACK]
    with pytest.raises(DatabaseProblemError, match="was moved to"):
        moved(settings, f"sqlite:///{tmp_path / 'another.sqlite3'}")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_nothing_is_moved_while_anybody_uses_the_old_database(settings: Settings, target: str) -> None:
    with closing(sqlite3.connect(settings.embedded_file)) as other:
        other.execute("select count(*) from exports").fetchone()
        with pytest.raises(DatabaseProblemError, match=r"is in use .* Stop everything"):
            moved(settings, target)
    with closing(Database(settings.database)) as database, database.transaction() as session:
        session.add(Lease(name="relay", holder="killed", until=datetime.now(UTC) + timedelta(seconds=15)))
    with pytest.raises(DatabaseProblemError, match="its lease, relay, lasts until"):
        moved(settings, target)
    with closing(open_database(settings)) as database:
        assert all_of(database)["exports"].count == 7  # it can go on


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_server_is_moved_from_as_well_and_its_numbers_go_on(target: str, postgresql: str, tmp_path: Path) -> None:
    """Not while somebody is connected; and a number that was given once is not given again."""
    with closing(Database(target)) as old:
        old.migrate()
        fill(old)
        before = all_of(old)
        with old.engine.begin() as connection:
            connection.execute(text("delete from timeline where id > 5"))
    settings = load_settings({"QBD_DATA_DIR": str(tmp_path / "none")})
    with postgres.database_on(postgresql) as another:
        with closing(Database(target)) as user, user.engine.connect() as connection:
            connection.execute(text("select 1"))
            with pytest.raises(DatabaseProblemError, match=r"1 other connections to .* Stop bridge, API, worker"):
                run_move(settings, source=target, target=another, tell=lambda _line: None)
        run_move(settings, source=target, target=another, tell=lambda _line: None)
        with closing(Database(another)) as new:
            assert all_of(new)["exports"] == before["exports"]
            with new.transaction() as session:
                exports.add_timeline(session, 1, at=NOW, state="Sent", text="Sent", key="later")
                session.flush()
                numbers = session.scalars(text("select id from timeline order by id")).all()
            assert numbers[-2:] == [5, 8]


@pytest.mark.both_databases
def test_a_target_that_is_not_empty_is_refused_and_stays_as_it_is(settings: Settings, target: str) -> None:
    with closing(Database(target)) as other:
        other.migrate()
        stores.add_company(other, "somebody-else")
    with pytest.raises(DatabaseProblemError, match="is not empty: there are rows in its table companies"):
        moved(settings, target)
    with closing(Database(target)) as other, other.transaction() as session:
        assert session.scalars(select(Company.id)).all() == ["somebody-else"]
    open_database(settings).close()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_cannot_be_stored_there_moves_nothing(settings: Settings, target: str) -> None:
    """A text of SQLite with a character that PostgreSQL does not hold: one sentence, and both are as before."""
    with closing(Database(settings.database)) as database, database.engine.begin() as connection:
        connection.execute(text("update timeline set text = 'a' || char(0) || 'b' where id = 5"))
    with pytest.raises(DatabaseProblemError, match=r"Nothing was moved: .* can go on"):
        moved(settings, target)
    with closing(Database(target)) as new:
        assert all_of(new)["companies"].count == 0
    open_database(settings).close()


def test_it_says_what_is_missing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"Where to\?"):
        run_move(settings, source=None, target=None, tell=print)
    with pytest.raises(ProblemError, match="There is no database"):
        run_move(settings, source=f"sqlite:///{tmp_path / 'none.db'}", target="sqlite:////x.db", tell=print)
    with pytest.raises(DatabaseProblemError, match="Both addresses name"):
        run_move(settings, source=None, target=settings.database, tell=print)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_empty_database_beside_a_full_file_is_not_begun_on(settings: Settings, target: str) -> None:
    """Until the file was moved, was put elsewhere, or the database that was named has a company."""
    there = load_settings({"QBD_DATA_DIR": str(settings.data_dir), "QBD_DATABASE_URL": target})
    with closing(Database(target)) as new:
        new.migrate()
    with pytest.raises(BeginningAnewError, match=r"is empty, while .*qbd\.sqlite3 holds 7 exports of 1 companies"):
        open_database(there)
    run_move(there, source=None, target=None, tell=lambda _line: None)
    open_database(there).close()
    with closing(Database(target)) as new, new.engine.begin() as connection:
        for one in reversed(METADATA.sorted_tables):
            connection.execute(one.delete())
    open_database(there).close()  # the file bears the mark that it was moved


async def test_what_was_successful_long_ago_becomes_so_again_in_an_empty_database(
    temporal: WorkflowEnvironment, database: Database
) -> None:
    """Begun anew by mistake: its run is older than what is compared, and the start of the posted document finds it."""
    site = Site(database, temporal.client)
    empty = site.keep()
    async with site.working():
        site.post("old")
        await site.becomes("old", "Queued")
        await site.update()
        await site.becomes("old", "Successful")
        site.put_back(empty)
        with database.transaction() as session:
            epochs.epoch(session, now=site.clock()).seen_at = datetime.now(UTC) + timedelta(days=20)
        site.post("old")
        assert site.state("old") == "Mapped"
        await site.becomes("old", "Successful")
        assert not site.is_in_doubt()  # so it was the start that told it
        with database.transaction() as session:
            row = exports.find_export(session, site.company, "invoice", "old")
            assert row is not None
            assert row.quickbooks is not None
            assert [row.quickbooks["txn_id"]] == [one.txn_id for one in site.quickbooks.ledger]
    assert site.numbers() == ["OLD"]


async def test_exports_that_only_temporal_knows_are_told(temporal: WorkflowEnvironment, database: Database) -> None:
    document = stores.an_invoice(f"lost_{uuid.uuid4().hex[:8]}")
    start = contracts.export_start("acme", document, number="L-1")
    workflow_id = contracts.export_workflow_id("acme", "invoice", document["id"])
    queue = uuid.uuid4().hex
    async with Worker(temporal.client, task_queue=queue, workflows=[Exported]):
        await temporal.client.execute_workflow(start.workflow_type, start.argument, id=workflow_id, task_queue=queue)
    told = None
    while told is None:  # Temporal lists it a moment later
        told = await unknown_to_database(database, temporal.client)
    assert "knows no company, while Temporal's namespace default knows exports such as export/" in told
    assert "./qbd move-database" in told
    stores.add_company(database)
    assert await unknown_to_database(database, temporal.client) is None
