"""What is noted of polls: together, the newest of each company, and never over what somebody else saw later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import SQLAlchemyError

from store import sightings
from store.companies import company
from store.engine import Database
from store.sightings import Sighting, Sightings
from tests.support import stores

NOW = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
pytestmark = pytest.mark.both_databases


def seen(company_id: str, *, minutes: int = 0, address: str = "192.0.2.1", version: str = "") -> Sighting:
    return Sighting(company_id=company_id, address=address, version=version, at=NOW + timedelta(minutes=minutes))


def noted(database: Database, company_id: str) -> tuple[datetime | None, str | None, str | None]:
    with database.transaction() as session:
        row = company(session, company_id)
        assert row is not None
        return row.last_seen_at, row.last_address, row.web_connector_version


def test_the_newest_of_each_company_is_written_and_a_known_version_stays(database: Database) -> None:
    stores.add_company(database, "one")
    stores.add_company(database, "two")
    gathered = Sightings()
    gathered.keep(seen("two", version="34.0"))
    gathered.keep(seen("two", minutes=1, address="192.0.2.2"))
    gathered.keep(seen("one", minutes=3))
    gathered.keep(seen("one", minutes=2, address="192.0.2.9"))
    assert gathered.write(database) == 2
    assert noted(database, "one") == (NOW + timedelta(minutes=3), "192.0.2.1", None)
    assert noted(database, "two") == (NOW + timedelta(minutes=1), "192.0.2.2", "34.0")
    assert gathered.write(database) == 0


def test_what_was_seen_later_by_another_bridge_stays(database: Database) -> None:
    stores.add_company(database, "acme")
    gathered = Sightings()
    gathered.keep(seen("acme"))
    with database.transaction() as session:
        sightings.note(session.connection(), seen("acme", minutes=5, version="33.0"))
    gathered.write(database)
    assert noted(database, "acme") == (NOW + timedelta(minutes=5), "192.0.2.1", "33.0")


def test_more_than_one_statement_takes_are_all_written(database: Database) -> None:
    names = [f"c{number:03d}" for number in range(sightings.AT_ONCE + 1)]
    gathered = Sightings()
    for name in names:
        stores.add_company(database, name, lists_are_here=False)
        gathered.keep(seen(name))
    assert gathered.write(database) == len(names)
    assert noted(database, names[0])[0] == noted(database, names[-1])[0] == NOW


def test_nothing_is_forgotten_while_the_database_is_away(database: Database, tmp_path: object) -> None:
    stores.add_company(database, "acme")
    gathered = Sightings()
    gathered.keep(seen("acme"))
    with pytest.raises(SQLAlchemyError):
        gathered.write(Database(f"sqlite:///{tmp_path}/nowhere/there.sqlite"))
    assert gathered.write(database) == 1
    assert noted(database, "acme")[0] == NOW


def test_a_version_that_comes_back_behind_a_newer_note_is_not_lost(database: Database) -> None:
    """As after a write that failed: the Web Connector told its version only in the earlier of two calls."""
    stores.add_company(database, "acme")
    gathered = Sightings()
    gathered.keep(seen("acme", minutes=1, address="192.0.2.2"))
    gathered.keep(seen("acme", version="34.0"))
    gathered.write(database)
    assert noted(database, "acme") == (NOW + timedelta(minutes=1), "192.0.2.2", "34.0")
