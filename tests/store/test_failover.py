"""A standby without the last commits takes over, on real servers: the first connection to it tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import make_url

from store import companies, epochs
from store.engine import Database
from tests.support import postgres, stores

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def primary() -> Iterator[postgres.Server]:
    found = postgres.binaries()
    if found is None:
        pytest.skip("no PostgreSQL is installed")
    server = postgres.Server(found)
    server.start()
    yield server
    server.close()


def doubted(database: Database) -> list[str]:
    with database.transaction() as session:
        return [one.company_id for one in epochs.in_doubt(session, limit=9)]


def test_a_standby_that_takes_over_puts_all_companies_in_doubt(primary: postgres.Server) -> None:
    """It never saw the last company; of the other, nothing is written before it was looked up. A restart alone asks."""
    with postgres.database_on(primary.url) as url:
        made = Database(url)
        made.migrate()
        made.close()
        database = Database(url)
        stores.add_company(database, "first")
        assert doubted(database) == []
        standby = primary.follower()  # and from here on it hears nothing
        stores.add_company(database, "lost")
        database.close()
        primary.stop()
        try:
            standby.start()
            standby.promote()
            after = Database(make_url(url).set(port=standby.port).render_as_string(hide_password=False))
            assert doubted(after) == ["first"]
            with after.transaction() as session:
                assert companies.company(session, "lost") is None
                assert [one.code for one in companies.incidents(session, "first")] == [epochs.STEPPED_BACK]
                [doubt] = epochs.in_doubt(session, limit=9)
                epochs.settle(session, doubt, new_id=stores.counter("SET"))
                assert epochs.is_over(session, seen_at=datetime.now(UTC))
            after.close()
            standby.stop("fast")
            standby.start()
            again = Database(after.url.render_as_string(hide_password=False))
            assert doubted(again) == ["first"]  # the disk may be older: Temporal is asked, and people are not told
            with again.transaction() as session:
                assert len(companies.incidents(session, "first")) == 1
            again.close()
        finally:
            standby.close()
            primary.start()
