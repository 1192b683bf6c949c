"""Sessions of the Web Connector from sign-in to the last word, over the real SOAP layer and a real database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qbwc_bridge.session import Limits
from simulator.sample_company import freight_company
from store import queue, states
from store.companies import company
from store.engine import Database
from tests.support import stores
from tests.support.world import OUTCOME, SENT, World

pytestmark = pytest.mark.both_databases


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def test_an_invoice_and_a_bill_arrive_with_their_txn_ids(world: World) -> None:
    """Both are in the ledger once, and the outcome names them."""
    invoice = world.queue(stores.an_invoice())
    bill = world.queue(stores.a_bill())
    report = world.update()
    assert report.outcome == "ok"
    assert report.status == "2 exported"
    for request_id in (invoice, bill):
        outcome = world.outcome(request_id)
        assert outcome is not None
        assert outcome.transaction is not None
        assert outcome.transaction.txn_id in {txn.txn_id for txn in world.quickbooks.ledger}
    assert [s.signal for s in world.signals()] == [SENT, SENT, OUTCOME, OUTCOME]
    world.must_hold()


def test_a_hundred_waiting_exports_take_at_most_sixteen_calls(world: World) -> None:
    """The budget of design.md section 6."""
    for number in range(100):
        world.queue(stores.an_invoice(f"inv_{number}"))
    report = world.update()
    assert report.count <= 16, report.methods
    assert len(world.quickbooks.ledger) == 100
    world.must_hold()


def test_nothing_to_do_is_none_and_opens_no_session(world: World) -> None:
    """An idle poll is three calls and QuickBooks stays closed."""
    report = world.update()
    assert report.outcome == "none"
    assert report.methods[:3] == ["serverVersion", "clientVersion", "authenticate"]
    assert world.message_sets() == []
    with world.database.transaction() as session:
        assert company(session, "acme").last_seen_at == world.clock.now  # type: ignore[union-attr]


def test_the_version_of_the_web_connector_is_known_from_its_first_call(world: World) -> None:
    """It names no company there, but keeps a cookie to authenticate; without the cookie the last one stands."""
    assert world.update().outcome == "none"
    with world.database.transaction() as session:
        told = company(session, "acme").web_connector_version  # type: ignore[union-attr]
    assert told == world.connector.product_version
    world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    with world.database.transaction() as session:
        assert company(session, "acme").web_connector_version == told  # type: ignore[union-attr]


def test_a_wrong_password_is_nvu_and_noted(world: World) -> None:
    """The Web Connector says QBWC1040; the operator sees it."""
    world.queue(stores.an_invoice())
    world.connector.password = "wrong"
    report = world.update()
    assert report.outcome == "nvu"
    assert world.incidents() == ["wrong_password"]
    assert not world.quickbooks.ledger


def test_a_paused_company_gets_nothing(world: World) -> None:
    """Its queue waits."""
    request_id = world.queue(stores.an_invoice())
    with world.database.transaction() as session:
        company(session, "acme").paused = True  # type: ignore[union-attr]
    assert world.update().outcome == "none"
    assert world.request(request_id).state == states.WAITING


def test_in_quiet_hours_nothing_leaves_and_afterwards_everything_does(world: World) -> None:
    """The Web Connector is seen and sent away; a session that was open when they began gets nothing new."""
    request_id = world.queue(stores.an_invoice())
    hours = {"from": "09:00", "until": "11:00", "time_zone": "UTC"}
    with world.database.transaction() as session:
        company(session, "acme").quiet_hours = hours  # type: ignore[union-attr]
    assert world.update().outcome == "none"
    assert world.request(request_id).state == states.WAITING
    with world.database.transaction() as session:
        assert company(session, "acme").last_seen_at == world.clock.now  # type: ignore[union-attr]
    world.clock.forward(minutes=45)
    assert world.update().outcome == "ok"
    assert world.request(request_id).state == states.DONE

    second = world.queue(stores.an_invoice("inv_2"))
    ticket, _ = world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    with world.database.transaction() as session:
        company(session, "acme").quiet_hours = hours | {"until": "23:00"}  # type: ignore[union-attr]
    handed = world.dispatcher.send_request_xml(ticket, world.hcp(), "C:\\x.qbw", "US", "16", "0")
    assert "InvoiceAdd" not in handed
    assert world.request(second).state == states.WAITING


def test_another_company_file_gets_no_byte_of_business_data(world: World) -> None:
    """The reason names both files; everything stays queued; the right file heals it."""
    world.queue(stores.an_invoice("inv_1"))
    assert world.update().outcome == "ok"
    request_id = world.queue(stores.an_invoice("inv_2"))
    other = freight_company("Somebody Else Inc", clock=world.clock)
    right, world.connector.company = world.connector.company, other
    report = world.update()
    assert report.outcome == "error"
    assert "Ridgeline Freight LLC" in report.status
    assert "Somebody Else Inc" in report.status
    assert not other.ledger
    assert world.request(request_id).state == states.WAITING
    with world.database.transaction() as session:
        assert company(session, "acme").problem["code"] == "wrong_company_file"  # type: ignore[union-attr,index]
    world.connector.company = right
    assert world.update().outcome == "ok"
    with world.database.transaction() as session:
        assert company(session, "acme").problem is None  # type: ignore[union-attr]
    world.must_hold()


def test_a_refused_reference_fails_that_export_and_no_other(world: World) -> None:
    """One bad document never blocks another."""
    bad = stores.an_invoice("inv_bad")
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        customers = {**row.mapping["customers"], "cus_gone": {"full_name": "No Such Customer"}}
        row.mapping = {**row.mapping, "customers": customers}
    bad["customer"] = {"id": "cus_gone", "name": "Gone"}
    bad_id = world.queue(bad)
    good_id = world.queue(stores.an_invoice("inv_good"))
    report = world.update()
    assert report.status == "1 exported, 1 need attention"
    outcome = world.outcome(bad_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert "3140" in outcome.failure.code
    assert "No Such Customer" in outcome.failure.message
    assert outcome.failure.next_step
    good = world.outcome(good_id)
    assert good is not None
    assert good.transaction is not None
    world.must_hold()


def test_a_locked_record_goes_back_to_the_queue_and_arrives_in_a_later_session(world: World) -> None:
    """A lock is not a failure."""
    request_id = world.queue(stores.an_invoice())
    number = world.request(request_id).facts["ref_number"]
    world.quickbooks.faults.lock(number, times=1)
    world.update()
    row = world.request(request_id)
    assert row.state == states.WAITING
    assert row.postponed == 1
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    world.must_hold()


def test_a_lock_that_never_goes_away_fails_in_the_end(database: Database, clock: stores.Clock) -> None:
    """After the limit of sessions a person is asked."""
    world = World(database, clock, limits=Limits(postpone_max=2))
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.lock(world.request(request_id).facts["ref_number"], times=99)
    for _ in range(4):
        world.clock.forward(hours=8)
        world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.owner == "bookkeeper"
    world.close()


def test_a_document_that_quickbooks_cannot_parse_fails_alone(world: World) -> None:
    """0x80040400 splits the set until the culprit stands alone; the others arrive (design.md 3.6)."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(7)]
    poison = ids[3]
    with world.database.transaction() as session:
        row = queue.request(session, poison)
        assert row is not None
        row.body = row.body.replace("<CustomerRef>", "<Unheard/><CustomerRef>")
    report = world.update()
    assert report.outcome == "ok"
    outcome = world.outcome(poison)
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.owner == "us"
    assert len(world.quickbooks.ledger) == 6
    world.must_hold()


def test_quickbooks_not_reachable_becomes_the_connections_problem(world: World) -> None:
    """connectionError is answered `done` once, never a path."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.modal_dialog(times=1)
    report = world.update()
    assert report.methods.count("connectionError") == 1
    with world.database.transaction() as session:
        problem = company(session, "acme").problem  # type: ignore[union-attr]
    assert problem is not None
    assert problem["next_step"]
    assert world.request(request_id).state == states.WAITING
    assert world.update().outcome == "ok"
    world.must_hold()


def test_a_session_ends_at_its_time_budget_and_the_rest_goes_next(database: Database, clock: stores.Clock) -> None:
    """Long sessions freeze the Web Connector's scheduler."""
    world = World(database, clock, limits=Limits(batch_size=1, session_budget_s=0))
    for number in range(3):
        world.queue(stores.an_invoice(f"inv_{number}"))
    world.connector.company.faults  # noqa: B018 the slow part is the clock
    original = world.connector.http.post

    def slow(*args: object, **kwargs: object) -> object:
        world.clock.forward(seconds=1)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    world.connector.http.post = slow  # type: ignore[method-assign,assignment]
    assert world.update().outcome == "ok"
    assert len(world.quickbooks.ledger) == 1
    world.update()
    assert len(world.quickbooks.ledger) == 2
    world.must_hold()
    world.close()


def test_unknown_tickets_get_legal_answers(world: World) -> None:
    """web-connector.md 5.1, 13."""
    bridge = world.dispatcher
    assert bridge.send_request_xml("nobody", "", "", "US", "13", "0") == ""
    assert bridge.receive_response_xml("nobody", "<x/>", "", "") == -1
    assert bridge.connection_error("nobody", "0x80040408", "x") == "done"
    assert "not known" in bridge.get_last_error("nobody")
    assert bridge.close_connection("") == "OK"
    assert world.incidents() == ["unknown_ticket"]


def test_web_connectors_that_are_too_old_are_told_which_version_to_get(world: World) -> None:
    """Versions are compared as numbers."""
    assert world.dispatcher.client_version("1.5.0.1") == "O:2.1"
    assert world.dispatcher.client_version("2.1.0.30") == ""
    assert world.dispatcher.client_version("34.0.10010.76") == ""
    assert world.dispatcher.client_version("") == ""
