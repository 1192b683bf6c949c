"""Rows that are written past the session's unit of work: all that the session itself would write, and its refusals."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm.exc import StaleDataError

from store import queue
from store.changes import write_changes
from store.companies import company
from store.engine import Database
from store.sync_tables import ListSync
from store.tables import Incident
from tests.support import stores

pytestmark = pytest.mark.both_databases


@pytest.fixture
def known(database: Database) -> Database:
    stores.add_company(database)
    return database


def written(database: Database, name: str) -> Any:
    with database.transaction() as session:
        return getattr(company(session, "acme"), name)


def test_a_row_with_a_key_of_two_columns_is_written_alone(known: Database) -> None:
    with known.transaction() as session:
        for kind in ("item", "vendor"):
            session.merge(ListSync(company_id="acme", kind=kind, phase="done", mode="full", entries=1))
    with known.transaction() as session:
        session.get_one(ListSync, ("acme", "item")).entries = 7
        write_changes(session)
    with known.transaction() as session:
        counts = [session.get_one(ListSync, ("acme", kind)).entries for kind in ("item", "vendor")]
    assert counts == [7, 1]


def test_a_row_that_is_gone_is_an_error(known: Database) -> None:
    def change_what_is_gone() -> None:
        with known.transaction() as session:
            row = Incident(company_id="acme", at=stores.Clock().now, code="odd", text="Odd.")
            session.add(row)
            session.flush()
            session.execute(
                delete(Incident).where(Incident.id == row.id), execution_options={"synchronize_session": False}
            )
            row.text = "Odder."
            write_changes(session)

    with pytest.raises(StaleDataError):
        change_what_is_gone()


def test_a_column_that_was_not_read_is_written(known: Database) -> None:
    ticket = "0" * 64
    with known.transaction() as session:
        queue.open_session(session, ticket, "acme", now=stores.Clock().now)
    with known.transaction() as session:
        found = queue.wc_session(session, ticket)
        assert found is not None
        _, owner = found
        owner.mapping = {"customers": {}}
        write_changes(session)
    assert written(known, "mapping") == {"customers": {}}
