"""Migrations beside running processes: the schema only grows, one migrates at a time, nobody waits long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, event, inspect, text

from store import online
from store.engine import Database, DatabaseProblemError, revisions
from tests.support import stores

pytestmark = pytest.mark.both_databases

REVISIONS = [script.revision for script in ScriptDirectory.from_config(Database._alembic()).walk_revisions()][::-1]
BEFORE_RELEASE = ("0001", "0002")
"""Between these no process ran beside the upgrade: 0002 took two columns away that nothing read."""
PAIRS = [pair for pair in pairwise(REVISIONS) if pair != BEFORE_RELEASE]


def upgrade(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        config = database._alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def schema(database: Database) -> MetaData:
    found = MetaData()
    found.reflect(database.engine)
    return found


def length(kind: Any) -> float:
    return getattr(kind, "length", None) or float("inf")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes built the ordinary way, so that a single revision can be run inside a transaction."""
    monkeypatch.setattr(online, "create_index", lambda *_args, **_options: None)
    monkeypatch.setattr(online, "drop_index", lambda *_args, **_options: None)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_the_schema_only_grows(empty: Database, plain: None, old: str, new: str) -> None:
    """What an old process reads is there, and what it writes is taken: new columns are nullable or have a default."""
    upgrade(empty, old)
    before = schema(empty)
    upgrade(empty, new)
    after = schema(empty)
    for table in before.tables.values():
        grown = after.tables[table.name]
        for column in table.columns:
            now = grown.columns[column.name]
            assert type(now.type) is type(column.type), column
            assert length(now.type) >= length(column.type), column
            assert now.nullable or not column.nullable, column
            assert (now.server_default is not None) >= (column.server_default is not None), column
        for column in grown.columns:
            if column.name not in table.columns:
                assert column.nullable or column.server_default is not None, f"{column} is asked of old processes"
    uniques = {
        name: {tuple(one["column_names"]) for one in inspect(empty.engine).get_unique_constraints(name)}
        for name in before.tables
    }
    for table in before.tables.values():
        known = {
            tuple(column.name for column in one.columns) for one in table.constraints if hasattr(one, "columns")
        } | {tuple(column.name for column in table.primary_key)}
        assert uniques[table.name] <= known, f"{table.name} refuses rows that an old process may write"


def test_the_statements_of_an_old_process_work_after_the_upgrade(empty: Database, plain: None) -> None:
    """Each table takes a row that only knows the columns of the revision before, and gives it back."""
    upgrade(empty, REVISIONS[-2])
    before = schema(empty)
    upgrade(empty, "head")
    values: dict[str, Any] = {"INTEGER": 1, "BIGINT": 1, "BOOLEAN": False, "JSON": {}, "BYTEA": b"", "BLOB": b""}
    with empty.engine.begin() as connection:
        for table in before.sorted_tables:
            if table.name == "alembic_version":
                continue
            row = {
                column.name: "x"
                if (kind := str(column.type).partition("(")[0].split()[0]) in ("VARCHAR", "TEXT")
                else values.get(kind, stores.NEVER_DUE)
                for column in table.columns
                if not column.nullable
            }
            connection.execute(table.insert().values(row))
            [found] = connection.execute(table.select()).mappings()
            assert {name: found[name] for name in row if name != "id"}


def test_the_files_are_named_after_their_revisions() -> None:
    """Every process looks at the names only."""
    assert list(revisions()) == REVISIONS


def test_a_database_that_is_newer_than_the_program_is_used_and_left_alone(database: Database) -> None:
    """An old process that starts again during an upgrade."""
    with database.engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    database.check()
    database.migrate()
    with database.engine.begin() as connection:
        assert connection.scalar(text("select version_num from alembic_version")) == "9999"
        connection.execute(text(f"update alembic_version set version_num = '{REVISIONS[-1]}'"))


def test_a_program_that_is_newer_than_the_database_says_so_in_one_line(empty: Database, plain: None) -> None:
    upgrade(empty, REVISIONS[-2])
    with pytest.raises(DatabaseProblemError) as caught:
        empty.check()
    assert f"is at migration {REVISIONS[-2]}, this program needs {REVISIONS[-1]}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_that_migrate_at_once_both_end_well(empty: Database) -> None:
    other = Database(empty.url.render_as_string(hide_password=False))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Database.migrate, (empty, other)))
    empty.check()
    other.close()


@pytest.fixture
def at_five(empty: Database) -> Database:
    """A PostgreSQL database before the revision that builds indexes."""
    upgrade(empty, "0005")
    return empty


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
class TestOnPostgresql:
    def test_indexes_are_built_beside_a_writer(self, at_five: Database) -> None:
        """Writers go on: no index takes a lock that keeps them out, and a half-built one is built anew."""
        with at_five.engine.begin() as connection:
            connection.execute(text("create index ix_exports_company_id on exports (company_id, id)"))
            connection.execute(
                text("update pg_index set indisvalid = false where indexrelid = 'ix_exports_company_id'::regclass")
            )
        statements: list[str] = []
        event.listen(at_five.engine, "before_cursor_execute", lambda *a: statements.append(" ".join(a[2].split())))
        at_five.migrate()
        at_five.check()
        built = [one for one in statements if one.lower().startswith(("create index", "drop index"))]
        assert built[0].lower() == "drop index concurrently if exists ix_exports_company_id"
        assert all(" CONCURRENTLY " in one.upper() for one in built)
        with at_five.engine.connect() as connection:
            assert connection.scalar(text("select count(*) from pg_index where not indisvalid")) == 0

    def test_a_lock_that_is_held_is_waited_for_in_short_tries(
        self, at_five: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So no reader queues behind the migration; when the lock is free, it goes on."""
        monkeypatch.setattr(online, "LOCK_TIMEOUT_S", 0.05)
        tries: list[bool] = []
        with at_five.engine.connect() as holder:
            held = holder.begin()
            holder.execute(text("lock table exports in access exclusive mode"))

            def is_passing(_error: Any) -> bool:
                tries.append(True)
                if len(tries) == 2:
                    held.rollback()
                return True

            monkeypatch.setattr(online, "is_passing", is_passing)
            at_five.migrate()
        assert len(tries) == 2
        at_five.check()
