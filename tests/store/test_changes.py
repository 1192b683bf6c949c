"""Rows that are written past the session's unit of work: all that the session itself would write, and its refusals."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import DetachedInstanceError, StaleDataError

from store import outbox, queue
from store.changes import change_row, write_changes
from store.companies import company
from store.engine import Database
from store.sync_tables import ListSync
from store.tables import Company, Incident, WebConnectorSession
from store.within import after_commit, take_back
from tests.support import postgres, stores

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
    ticket = a_session(known)
    with known.transaction() as session:
        _, owner = found(session, ticket)
        owner.mapping = {"customers": {}}
    assert written(known, "mapping") == {"customers": {}}


def a_session(database: Database, ticket: str = "0" * 64) -> str:
    with database.transaction() as session:
        queue.open_session(session, ticket, "acme", now=stores.Clock().now)
    return ticket


def found(session: Session, ticket: str) -> tuple[WebConnectorSession, Company]:
    row = queue.wc_session(session, ticket)
    assert row is not None
    return row


def test_rows_of_several_tables_are_written_together(known: Database) -> None:
    """On PostgreSQL in one statement; what did not change is not written."""
    ticket = a_session(known)
    written_now: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith(("SELECT", "begin")):
            written_now.append(statement)

    with known.transaction() as session:
        wc, owner = found(session, ticket)
        event.listen(known.engine, "before_cursor_execute", note)
        wc.done, wc.host, owner.product, owner.qbxml_version = 3, "PC", "QuickBooks", owner.qbxml_version
        outbox.add_signal(session, workflow_id="w", signal="s", payload={}, at=stores.Clock().now)
    event.remove(known.engine, "before_cursor_execute", note)
    assert len(written_now) == (3 if known.is_sqlite else 1)
    assert not any("qbxml_version" in statement for statement in written_now)
    with known.transaction() as session:
        wc, owner = found(session, ticket)
        assert (wc.done, wc.host, owner.product) == (3, "PC", "QuickBooks")
        assert outbox.count_undelivered(session) == 1


def test_new_rows_of_several_tables_are_written_beside_no_change(known: Database) -> None:
    with known.transaction() as session:
        queue.open_session(session, "0" * 64, "acme", now=stores.Clock().now)
        outbox.add_signal(session, workflow_id="w", signal="s", payload={}, at=stores.Clock().now)
    with known.transaction() as session:
        assert queue.wc_session(session, "0" * 64) is not None
        assert outbox.count_undelivered(session) == 1


def test_signals_of_one_transaction_keep_their_order(known: Database) -> None:
    with known.transaction() as session:
        for number in range(30):
            outbox.add_signal(session, workflow_id="w", signal=str(number), payload={}, at=stores.Clock().now)
    with known.transaction() as session:
        taken = outbox.take(session, 50, now=stores.Clock().now, hold_starts=timedelta(0))
        assert [row.signal for row in taken] == [str(number) for number in range(30)]


def test_one_row_that_is_gone_takes_the_others_along(known: Database) -> None:
    """All of it or nothing, also where it is written in one statement."""
    ticket = a_session(known)

    def change_what_is_gone() -> None:
        with known.transaction() as session:
            wc, owner = found(session, ticket)
            session.execute(delete(WebConnectorSession))
            wc.done, owner.product = 3, "QuickBooks"
            outbox.add_signal(session, workflow_id="w", signal="s", payload={}, at=stores.Clock().now)

    with pytest.raises(StaleDataError):
        change_what_is_gone()
    assert written(known, "product") is None
    with known.transaction() as session:
        assert outbox.count_undelivered(session) == 0


@pytest.mark.parametrize(("before", "is_written"), [("QuickBooks", True), ("another", False), (None, False)])
def test_a_row_is_changed_only_if_it_is_as_it_was_known(known: Database, before: str | None, is_written: bool) -> None:
    with known.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        row.product = "QuickBooks"

    def change() -> None:
        with known.transaction() as session:
            change_row(session, Company, known={"id": "acme", "product": before}, values={"country": "CA"})

    if is_written:
        change()
    else:
        with pytest.raises(StaleDataError):
            change()
    assert written(known, "country") == ("CA" if is_written else "US")


def test_a_column_that_was_not_read_is_an_error_and_not_nothing(known: Database) -> None:
    ticket = a_session(known)
    with known.transaction() as session:
        _, owner = found(session, ticket)
        with pytest.raises(DetachedInstanceError):
            _ = owner.mapping


def test_what_a_transaction_takes_back_is_not_written_and_not_told(known: Database) -> None:
    ticket = a_session(known)
    told: list[str] = []
    with known.transaction() as session:
        wc, _ = found(session, ticket)
        wc.done = 3
        outbox.add_signal(session, workflow_id="w", signal="s", payload={}, at=stores.Clock().now)
        write_changes(session)
        wc.failed = 4
        after_commit(session, lambda: told.append("told"))
        take_back(session)
    with known.transaction() as session:
        wc, _ = found(session, ticket)
        assert (wc.done, wc.failed, outbox.count_undelivered(session), told) == (0, 0, 0, [])


def test_a_second_row_of_a_table_is_refused_where_one_statement_writes_all(postgresql: str) -> None:
    """Rather than one of them is lost."""

    def add_two(session: Session) -> None:
        for number in range(2):
            outbox.add_signal(session, workflow_id="w", signal=str(number), payload={}, at=stores.Clock().now)

    with postgres.database_on(postgresql) as url, closing(Database(url)) as database:
        database.migrate()
        with pytest.raises(ValueError, match="too many values"):
            database.at_once("authenticate", add_two)
        with database.transaction() as session:
            assert outbox.count_undelivered(session) == 0
