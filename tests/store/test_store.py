"""What the store promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from activities.exports import ExportActivities
from store import exports, outbox, queue, secrets, states
from store.companies import lock_company
from store.engine import Database, DatabaseProblemError
from store.polls import Polls
from store.tables import Company, Request
from tests.support import stores
from workflows.contracts import CancelInput

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def add_export(database: Database, document_id: str = "inv_1") -> int:
    new = exports.NewExport(
        company_id="acme", kind="invoice", document_id=document_id, number="1", content_hash="x", document={}
    )
    with database.transaction() as session:
        return exports.add_export(session, new, state="Mapped", at=NOW).id


def add_request(database: Database, export_id: int, request_id: str, **fields: object) -> None:
    values: dict[str, object] = {
        "id": request_id,
        "company_id": "acme",
        "export_id": export_id,
        "run_id": request_id,
        "workflow_id": "w",
        "operation": "InvoiceAdd",
        "body": "<x/>",
        "facts": {},
        "state": states.WAITING,
        "batch_max": queue.BATCH_MAX,
        "available_at": NOW,
        "created_at": NOW,
        **fields,
    }
    with database.transaction() as session:
        session.add(Request(**values))


def test_a_database_that_is_not_migrated_is_refused_in_one_line(empty: Database) -> None:
    with pytest.raises(DatabaseProblemError) as caught:
        empty.check()
    assert "./qbd migrate" in str(caught.value)
    assert "\n" not in str(caught.value)
    empty.migrate()
    empty.check()
    empty.migrate()


def test_the_migrations_give_exactly_the_tables_of_the_code(empty: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from store.metadata import METADATA

    empty.migrate()
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, METADATA) == []


def test_a_document_has_one_export(database: Database) -> None:
    stores.add_company(database)
    add_export(database)
    with pytest.raises(IntegrityError):
        add_export(database)


def test_times_come_back_aware_and_in_utc_and_naive_ones_are_refused(database: Database) -> None:
    east = timezone(timedelta(hours=3))
    stores.add_company(database, created_at=datetime(2026, 1, 1, 3, tzinfo=east))
    with database.transaction() as session:
        assert session.scalar(select(Company.created_at)) == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(StatementError, match="without zone"):
        stores.add_company(database, "other", created_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_timeline_entry_is_written_once(database: Database) -> None:
    stores.add_company(database)
    export_id = add_export(database)
    for _ in range(2):
        with database.transaction() as session:
            exports.add_timeline(session, export_id, at=NOW, state="Queued", text="waits", key="run/queued")
    with database.transaction() as session:
        assert len(exports.timeline(session, export_id)) == 1


def test_the_queue_gives_the_oldest_that_may_go(database: Database) -> None:
    stores.add_company(database)
    export_id = add_export(database)
    add_request(database, export_id, "A", available_at=NOW + timedelta(hours=1))
    add_request(database, export_id, "B")
    add_request(database, export_id, "C", state=states.DONE)
    add_request(database, export_id, "D")
    with database.transaction() as session:
        assert [r.id for r in stores.next_requests(session, "acme", now=NOW, limit=10)] == ["B", "D"]
        assert [r.id for r in stores.next_requests(session, "acme", now=NOW, limit=1)] == ["B"]
        assert queue.count_waiting(session, "acme") == 3
        assert queue.count_waiting(session, "acme", now=NOW) == 2
        for now, is_waiting in ((NOW, True), (NOW - timedelta(days=1), False)):
            seen = Polls().look(session.connection(), "qbwc-acme", address="127.0.0.1", now=now)
            assert seen is not None
            assert seen.is_waiting is is_waiting


def test_a_number_is_taken_by_another_document_of_the_company_without_regard_to_case(database: Database) -> None:
    stores.add_company(database)
    with database.transaction() as session:
        exports.reserve_ref_number(
            session, company_id="acme", kind="invoice", party_id="", ref_number="Ab-1", document_id="one"
        )

    def is_taken(document_id: str, number: str) -> bool:
        with database.transaction() as session:
            taken = exports.numbers_of_others(
                session, company_id="acme", kind="invoice", party_id="", document_id=document_id
            )
            return taken(number)

    assert is_taken("two", "AB-1")
    assert not is_taken("one", "AB-1")
    assert not is_taken("two", "AB-2")


def test_a_lease_has_one_holder_until_it_runs_out(database: Database) -> None:
    def hold(holder: str, at: datetime) -> bool:
        with database.transaction() as session:
            return outbox.hold_lease(session, "relay", holder=holder, now=at, seconds=10)

    assert hold("a", NOW)
    assert not hold("b", NOW)
    assert hold("a", NOW + timedelta(seconds=9))
    assert hold("b", NOW + timedelta(seconds=30))
    with database.transaction() as session:
        outbox.drop_lease(session, "relay", holder="b")
    assert hold("a", NOW + timedelta(seconds=30))


def test_secrets_are_long_and_only_their_hashes_are_kept() -> None:
    password = secrets.new_password()
    stored = secrets.hash_password(password)
    assert password not in stored
    assert secrets.password_matches(password, stored)
    assert not secrets.password_matches(password + "x", stored)
    assert not secrets.password_matches(password, None)
    assert len(secrets.new_ticket()) >= 32
    assert len({secrets.new_ticket() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("url", "said"),
    [("nonsense", "is not a database address"), ("mysql://x/y", "SQLite or PostgreSQL")],
)
def test_a_wrong_address_is_one_clear_line(url: str, said: str) -> None:
    with pytest.raises(DatabaseProblemError, match=said):
        Database(url)


def test_a_cancel_waits_for_a_hand_out_of_the_same_company_and_then_comes_too_late(database: Database) -> None:
    """A request that left is never called cancelled, whichever process moves first."""
    stores.add_company(database)
    export_id = add_export(database)
    add_request(database, export_id, "A")
    activities = ExportActivities(database, clock=lambda: NOW, new_id=lambda: "X")
    results: list[bool] = []

    def cancel() -> None:
        results.append(activities.cancel_request(CancelInput(request_id="A", run_id="A")).cancelled)

    canceller = threading.Thread(target=cancel)
    with database.transaction() as session:
        lock_company(session, "acme")
        handed_out = queue.request(session, "A")
        assert handed_out is not None
        handed_out.state = states.IN_FLIGHT
        session.flush()
        canceller.start()
        canceller.join(0.3)
        assert canceller.is_alive(), "it decided while the request was being handed out"
    canceller.join(20)
    assert results == [False]
    with database.transaction() as session:
        left = queue.request(session, "A")
        assert left is not None
        assert left.state == states.IN_FLIGHT
