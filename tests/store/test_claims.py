"""Several transactions claim at once: none gets what another has, and none waits for another. On PostgreSQL.

A transaction that would have to wait fails at once here, by its lock_timeout. On SQLite there is one writer at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store import exports, kept_answers, outbox, queue, states, webhooks
from store.api_tables import KeptAnswer
from store.companies import lock_company
from store.engine import Database
from store.tables import Request, WebConnectorSession
from store.webhook_tables import Webhook, WebhookDelivery
from tests.support import stores
from tms_api.exporting import require_export

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOLD = timedelta(seconds=15)


@pytest.fixture
def database(database: Database) -> Database:
    stores.add_company(database)
    return database


@contextmanager
def at_once(database: Database, number: int) -> Iterator[list[Session]]:
    """Transactions that are open at the same time; one that would wait for a row fails."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(database.transaction()) for _ in range(number)]
        for session in sessions:
            session.execute(text("set local lock_timeout = '20ms'"))
        yield sessions


def put(database: Database, *workflow_ids: str, signal: str = "tell") -> None:
    with database.transaction() as session:
        for workflow_id in workflow_ids:
            outbox.add_signal(session, workflow_id=workflow_id, signal=signal, payload={}, at=NOW)
            session.flush()


def test_two_takers_of_the_outbox_get_different_signals(database: Database) -> None:
    put(database, *(f"w{number}" for number in range(6)))
    with at_once(database, 3) as (one, two, three):
        taken = [outbox.take(session, 2, now=NOW, hold_starts=HOLD) for session in (one, two, three)]
        assert [row.workflow_id for rows in taken for row in rows] == [f"w{number}" for number in range(6)]


def test_a_start_that_was_taken_is_nobody_elses_until_its_time_is_over(database: Database) -> None:
    put(database, "w", signal=outbox.START)
    with at_once(database, 1) as (one,):
        assert len(outbox.take(one, 9, now=NOW, hold_starts=HOLD)) == 1
    with at_once(database, 2) as (one, two):
        assert outbox.take(one, 9, now=NOW, hold_starts=HOLD) == []
        assert len(outbox.take(two, 9, now=NOW + HOLD, hold_starts=HOLD)) == 1


def test_no_signal_overtakes_one_of_its_workflow_that_another_holds(database: Database) -> None:
    put(database, "a", "b", "a", "b")
    with at_once(database, 2) as (one, two):
        [first] = outbox.take(one, 1, now=NOW, hold_starts=HOLD)
        assert first.workflow_id == "a"
        assert [row.workflow_id for row in outbox.take(two, 9, now=NOW, hold_starts=HOLD)] == ["b", "b"]


def test_a_lease_that_another_is_just_taking_is_not_waited_for(database: Database) -> None:
    def hold(session: Session, holder: str) -> bool:
        return outbox.hold_lease(session, "relay", holder=holder, now=NOW, seconds=10)

    with at_once(database, 1) as (one,):
        assert hold(one, "one")
    with at_once(database, 2) as (one, two):
        assert hold(one, "one")
        assert not hold(two, "two")


def test_of_many_that_take_a_lease_for_the_first_time_one_gets_it(database: Database) -> None:
    barrier = threading.Barrier(6)

    def hold(number: int) -> bool:
        barrier.wait()
        with database.transaction() as session:
            return outbox.hold_lease(session, "new", holder=str(number), now=NOW, seconds=10)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(hold, range(6))) == 1


def _requests(database: Database, company_id: str, number: int) -> None:
    new = exports.NewExport(
        company_id=company_id, kind="invoice", document_id="d", number="1", content_hash="x", document={}
    )
    with database.transaction() as session:
        export = exports.add_export(session, new, state="Queued", at=NOW)
        for one in range(number):
            session.add(
                Request(
                    id=f"{company_id}-{one}", company_id=company_id, export_id=export.id, run_id="r", workflow_id="w",
                    operation="InvoiceAdd", body="<x/>", facts={}, state=states.WAITING, batch_max=queue.BATCH_MAX,
                    available_at=NOW, created_at=NOW,
                )
            )  # fmt: skip


def test_four_bridges_hand_out_each_request_once_and_in_order(database: Database) -> None:
    """The company's row is the lock: they take turns, and each sees what the one before left."""
    _requests(database, "acme", 24)
    barrier = threading.Barrier(4)

    def hand_out(_number: int) -> list[list[int]]:
        barrier.wait()
        taken: list[list[int]] = []
        while True:
            with database.transaction() as session:
                lock_company(session, "acme")
                rows = stores.next_requests(session, "acme", now=NOW, limit=3)
                for row in rows:
                    row.state = states.IN_FLIGHT
                if not rows:
                    return taken
                taken.append([row.seq for row in rows])

    with ThreadPoolExecutor(4) as pool:
        sets = [taken for worker in pool.map(hand_out, range(4)) for taken in worker]
    numbers = sorted(number for one in sets for number in one)
    assert len(set(numbers)) == 24
    assert sorted(sets) == [numbers[start : start + 3] for start in range(0, 24, 3)]


def test_companies_do_not_wait_for_each_other_and_one_company_has_one_at_work(database: Database) -> None:
    stores.add_company(database, "other", username="u2")
    _requests(database, "acme", 2)
    _requests(database, "other", 2)
    with at_once(database, 2) as (one, two):
        for session, company_id in ((one, "acme"), (two, "other")):
            lock_company(session, company_id)
            assert len(stores.next_requests(session, company_id, now=NOW, limit=9)) == 2
    with pytest.raises(OperationalError, match="lock timeout"), at_once(database, 2) as (one, two):
        lock_company(one, "acme")
        lock_company(two, "acme")


def test_an_export_that_is_being_prepared_cannot_be_taken_back_meanwhile(database: Database) -> None:
    """Otherwise it would be called Cancelled, and the queue would hold it all the same."""
    document = stores.an_invoice()
    with database.transaction() as session:
        new = exports.NewExport(
            company_id="acme", kind="invoice", document_id="inv_1", number="1", content_hash="x", document=document
        )
        exports.add_export(session, new, state="Mapped", at=NOW)
    with pytest.raises(OperationalError, match="lock timeout"), at_once(database, 2) as (one, two):
        lock_company(one, "acme")
        assert exports.with_newest_request(one, "acme", "invoice", "inv_1") is not None
        require_export(two, "acme", "invoice", "inv_1", lock=True)


def test_who_waited_for_a_session_sees_what_the_call_before_left(database: Database) -> None:
    """Both rows are read anew after the wait, or a call would decide by how things stood before the other one."""
    with database.transaction() as session:
        queue.open_session(session, "t1", "acme", now=NOW)

    def call_after() -> tuple[str, datetime | None]:
        with database.transaction() as session:
            found = queue.wc_session(session, "t1")
            assert found is not None
            return found[0].state, found[1].last_success_at

    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            found = queue.wc_session(session, "t1")
            assert found is not None
            after = pool.submit(call_after)
            _until_somebody_waits_for_a_lock(database)
            found[0].state, found[1].last_success_at = "finished", NOW
        assert after.result(20) == ("finished", NOW)


def _until_somebody_waits_for_a_lock(database: Database) -> None:
    waiting = text(
        "select count(*) from pg_locks where not granted and pid in (select pid from pg_stat_activity "
        "where datname = current_database())"
    )
    until = time.monotonic() + 10
    with database.glance() as connection:
        while not connection.scalar(waiting):
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.01)


def test_a_locked_company_lets_rows_of_its_own_be_added(database: Database) -> None:
    """A workflow writes an export's row while a session of the company is at work."""
    with at_once(database, 2) as (one, two):
        lock_company(one, "acme")
        new = exports.NewExport(
            company_id="acme", kind="invoice", document_id="d", number="1", content_hash="x", document={}
        )
        assert exports.add_export(two, new, state="Mapped", at=NOW).id


def test_two_starters_get_different_webhook_messages(database: Database) -> None:
    with database.transaction() as session:
        session.add(
            Webhook(
                id="wh", company_id="acme", url="https://tms.example.com/", events=list(webhooks.EVENTS),
                secret="whsec_eA==", disabled_reason="", created_at=NOW, updated_at=NOW,
            )
        )  # fmt: skip
    with database.transaction() as session:
        for number in range(4):
            webhooks.tell(session, "acme", "export.sent", {}, at=NOW, key=str(number))
    with at_once(database, 2) as (one, two):
        first, second = (webhooks.unstarted(session, now=NOW, limit=2) for session in (one, two))
        assert len({row.id for row in [*first, *second]}) == 4
    with at_once(database, 2) as (one, two):
        held = one.get(WebhookDelivery, first[0].id, with_for_update=True)
        assert held not in webhooks.unstarted(two, now=NOW, limit=9)
        assert len(webhooks.unstarted(two, now=NOW, limit=9)) == 3


def test_a_session_that_is_at_work_is_not_swept(database: Database) -> None:
    with database.transaction() as session:
        for ticket in ("a", "b"):
            session.add(
                WebConnectorSession(
                    ticket_hash=ticket, company_id="acme", state="open", started_at=NOW, last_call_at=NOW
                )
            )
    with at_once(database, 2) as (one, two):
        at_work = one.get(WebConnectorSession, "a", with_for_update=True)
        assert at_work is not None
        at_work.last_call_at = NOW + timedelta(hours=3)
        one.flush()
        assert queue.close_abandoned(two, silent_since=NOW + timedelta(hours=1), last_error="x") == 1
    with at_once(database, 1) as (one,):
        assert [found.ticket_hash for found in queue.open_sessions(one, "acme")] == ["a"]
        assert queue.close_abandoned(one, silent_since=NOW + timedelta(hours=1), last_error="x") == 0


def test_two_that_clear_expired_answers_do_not_meet(database: Database) -> None:
    with database.transaction() as session:
        for key in "abcd":
            session.add(KeptAnswer(id=key, request_hash="r", holder="h", held_until=NOW, expires_at=NOW))
    with at_once(database, 2) as (one, two):
        assert kept_answers.forget_expired(one, now=NOW, limit=3) == 3
        assert kept_answers.forget_expired(two, now=NOW, limit=3) == 1
