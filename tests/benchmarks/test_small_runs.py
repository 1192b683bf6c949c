"""The benchmarks in tiny sizes, and the budgets that are counts: those hold on every machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import counts, filling, growth, queue_length, report, wire
from benchmarks.report import Figure
from benchmarks.surroundings import SQLITE, Place, place
from store.engine import Database
from store.tables import Company
from tests.support import stores


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(SQLITE, tmp_path / "bench") as found:
        yield found


@pytest.fixture
def quick_database(tmp_path: Path) -> Iterator[Database]:
    yield from stores.sqlite(tmp_path)


def test_counted_budgets_are_kept(here: Place) -> None:
    """Calls for 100 exports, statements of an idle poll, statements and commits of a session."""
    found = {figure.what: figure for figure in counts.measure(here)}
    assert len(found) == 5
    assert all(figure.is_met for figure in found.values()), report.as_text(list(found.values()))
    assert found["SOAP calls for 100 waiting exports"].value == 14


def test_an_idle_poll_waits_for_no_disk_and_opens_no_transaction(quick_database: Database) -> None:
    """It is one look and one note, on the way that commits each statement by itself."""
    filling.add_companies(quick_database, 2)
    dispatcher = queue_length.dispatcher_over(quick_database)
    with queue_length.noted(quick_database) as seen:
        assert dispatcher.authenticate("qbwc-c000001", filling.PASSWORD) == ["", "none"]
    assert [statement.split()[0] for statement, _ in seen] == ["SELECT", "UPDATE"]
    with quick_database.transaction() as session:
        polled = session.get(Company, "c000001")
        other = session.get(Company, "c000000")
        assert polled is not None
        assert polled.last_seen_at is not None
        assert other is not None
        assert other.last_seen_at is None


def test_what_a_session_writes_waits_for_the_disk(quick_database: Database, tmp_path: Path) -> None:
    """The light way may lose a note; the ordinary one keeps SQLite's full synchronisation."""
    database = Database(f"sqlite:///{tmp_path / 'durable.sqlite'}")
    with database.transaction() as session:
        assert session.connection().exec_driver_sql("pragma synchronous").scalar_one() == 2
    with database.glance() as connection:
        assert connection.exec_driver_sql("pragma synchronous").scalar_one() == 1
    database.close()


@pytest.mark.both_databases
def test_a_transaction_that_does_not_wait_leaves_the_next_one_waiting(database: Database, tmp_path: Path) -> None:
    """One thread has them in turns; what holds for one must not hold for the other."""
    asked, waits, not_ = "show synchronous_commit", "on", "off"
    if database.is_sqlite:  # the one of the tests never waits
        database = Database(f"sqlite:///{tmp_path / 'durable.sqlite'}")
        asked, waits, not_ = "pragma synchronous", "2", "1"
    with closing(database):
        for expected in (waits, not_, waits, not_, not_, waits):
            with database.transaction(waits=expected == waits) as session:
                assert str(session.connection().exec_driver_sql(asked).scalar_one()) == expected


def test_the_next_set_of_a_longer_queue_reads_no_more(here: Place) -> None:
    """One hundred waiting requests or three thousand."""
    [read, _] = queue_length.next_set(here, lengths=(100, 3000), rounds=1)
    assert read.is_met, read


def test_a_poll_among_more_companies_reads_no_more(here: Place) -> None:
    """One company or three hundred."""
    [read] = growth.companies(here, counts=(1, 300))
    assert read.value <= growth.FLAT, read


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_wire_benchmarks_run_and_end_their_processes(here: Place) -> None:
    """Real processes: sessions and polls are counted, and nothing is left running."""
    [sessions] = wire.durable_sessions(here, sessions=5)
    assert sessions.raw["done"] == 6
    assert sessions.raw["calls_each"] == 6
    polls = wire.idle_polls(here, seconds=1)
    assert all(figure.value > 0 for figure in polls)


def test_the_command_writes_json_and_the_table_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured once can be written into the page later; a missed budget is exit code 1."""
    figures = [
        Figure(what="kept one", database="sqlite", value=14, at_most=16, raw={"ms_each": 0.5}),
        Figure(what="missed one", database="sqlite", value=90, unit="/s", at_least=100),
    ]
    stored, page = tmp_path / "run.json", tmp_path / "page.md"
    stored.write_text(json.dumps(report.as_json(figures, {"processors": 2})))
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["qbd bench", "--from-json", str(stored), "--write-docs"])
    assert command.main() == 1
    assert "MISSED" in capsys.readouterr().out
    written = page.read_text()
    assert written.startswith("before")
    assert written.endswith("after\n")
    assert "old" not in written
    assert "| kept one | sqlite | 14 | <= 16 | kept | ms each 0.5 |" in written
