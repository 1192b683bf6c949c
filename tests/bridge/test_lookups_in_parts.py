"""A question that QuickBooks cannot read takes nothing down but its own document (design.md 3.4, 3.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from simulator.errors import QuickBooksError
from simulator.session import Session
from store import states
from store.engine import Database
from tests.support import stores
from tests.support.world import World

CANNOT_READ = ("0x80040400", "QuickBooks found an error when parsing the provided XML text stream.")


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


@pytest.fixture
def fail_documents(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let every question in which a text stands fail as a whole."""
    original = Session.process_request

    def choose(*texts: str, fault: tuple[str, str] = CANNOT_READ) -> None:
        def process(session: Session, text: str) -> str:
            if "QueryRq" in text and any(one in text for one in texts):
                raise QuickBooksError(*fault)
            return original(session, text)

        monkeypatch.setattr(Session, "process_request", process)

    return choose


def lost(world: World, count: int) -> list[str]:
    """Documents that are written, and of which QuickBooks has no record: only a look-up can find them."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(count)]
    world.quickbooks.faults.crash_after_commit_before_record(None)
    world.update()
    return ids


def kinds(world: World) -> list[str]:
    return [message_set.kind for message_set in world.message_sets()]


def codes(world: World, ids: list[str]) -> list[str]:
    """How each ended: with the failure's code, or "" for Successful."""
    outcomes = [world.outcome(request_id) for request_id in ids]
    return ["open" if one is None else one.failure.code if one.failure else "" for one in outcomes]


@pytest.mark.parametrize("culprit", [0, 6, 19])
def test_one_unreadable_question_of_twenty_leaves_only_its_document_undecided(
    world: World, fail_documents: Callable[..., None], culprit: int
) -> None:
    """In one session, in a handful of documents: halves, down to the culprit and its own questions."""
    ids = lost(world, 20)
    number = world.request(ids[culprit]).facts["ref_number"]
    fail_documents(f"<RefNumber>{number}</RefNumber>")
    world.quickbooks.edit_transaction(world.quickbooks.ledger[culprit].txn_id, external_guid=None)
    report = world.update()
    assert report.outcome == "ok"
    expected = ["" for _ in ids]
    expected[culprit] = "outcome_unknown"
    assert codes(world, ids) == expected
    assert kinds(world).count("lookup") <= 16
    assert len(world.quickbooks.ledger) == 20


def test_a_document_whose_number_cannot_be_asked_for_is_found_by_its_customer(
    world: World, fail_documents: Callable[..., None]
) -> None:
    """What is found decides, whatever the other questions met."""
    ids = lost(world, 4)
    fail_documents(f"<RefNumber>{world.request(ids[2]).facts['ref_number']}</RefNumber>")
    world.update()
    assert codes(world, ids) == ["", "", "", ""]
    world.must_hold()


@pytest.mark.parametrize("code", [3120, 1000])
def test_a_customer_who_cannot_be_asked_for_hides_nothing_that_the_number_finds(world: World, code: int) -> None:
    """One query of the look-up is answered with an error; the others with rows."""
    ids = lost(world, 3)
    original = world.quickbooks.faults.on_post
    seen: list[str] = []

    def refuse(name: str | None) -> None:
        if name == "InvoiceQueryRq":
            seen.append(name)
            if len(seen) == 2:  # the first by entity
                world.quickbooks.faults.refuse_query("InvoiceQueryRq", code, "It cannot be asked for.")
        original(name)

    world.quickbooks.faults.on_post = refuse  # type: ignore[method-assign]
    world.update()
    assert codes(world, ids) == ["", "", ""]
    world.must_hold()


def test_where_no_question_can_be_read_every_document_is_a_persons_and_in_one_session(
    world: World, fail_documents: Callable[..., None]
) -> None:
    """It ends, and soon."""
    ids = lost(world, 3)
    fail_documents("InvoiceQueryRq")
    report = world.update()
    assert codes(world, ids) == ["outcome_unknown"] * 3
    assert report.outcome == "ok"


def test_a_question_that_quickbooks_dies_over_is_alone_after_some_sessions(
    world: World, fail_documents: Callable[..., None]
) -> None:
    """Each session halves what the one before died over; the neighbours are ruled on."""
    ids = lost(world, 6)
    number = world.request(ids[4]).facts["ref_number"]
    world.quickbooks.edit_transaction(world.quickbooks.ledger[4].txn_id, external_guid=None)
    fail_documents(f"<RefNumber>{number}</RefNumber>", fault=("0x80010108", "The object invoked has disconnected."))
    for _ in range(12):
        world.update()
    assert codes(world, ids) == ["", "", "", "", "outcome_unknown", ""]
    assert len(world.quickbooks.ledger) == 6


def test_an_unreadable_answer_to_a_look_up_is_split_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken XML about one document: the others are ruled on in the same session."""
    ids = lost(world, 5)
    number = world.request(ids[3]).facts["ref_number"]
    world.quickbooks.edit_transaction(world.quickbooks.ledger[3].txn_id, external_guid=None)
    original = Session.process_request

    def broken(session: Session, text: str) -> str:
        answer = original(session, text)
        return answer[:-20] if f"<RefNumber>{number}</RefNumber>" in text and "QueryRq" in text else answer

    monkeypatch.setattr(Session, "process_request", broken)
    assert world.update().outcome == "ok"
    assert codes(world, ids) == ["", "", "", "outcome_unknown", ""]


@pytest.mark.parametrize("name", ["CompanyActivityQueryRq"])
def test_a_question_about_the_file_that_cannot_be_read_is_done_without(world: World, name: str) -> None:
    """Nothing is known of restores then, and the set is looked up."""
    ids = lost(world, 2)
    world.quickbooks.faults.fail_queries(name, *CANNOT_READ, times=5)
    world.update()
    assert codes(world, ids) == ["", ""]
    assert "ask" not in kinds(world)
    world.must_hold()


def test_the_parts_of_a_look_up_can_be_asked_by_any_bridge(world: World, fail_documents: Callable[..., None]) -> None:
    """Which part was looked up stands in the database: each call is served by a process of its own."""
    ids = lost(world, 4)
    fail_documents(f"<RefNumber>{world.request(ids[1]).facts['ref_number']}</RefNumber>")
    new_id = stores.counter("OTHER")

    def another() -> Dispatcher:
        return Dispatcher(world.database, limits=Limits(), clock=world.clock, new_id=new_id)

    world.clock.forward(minutes=15)
    ticket, _ = another().authenticate("qbwc-acme", stores.PASSWORD)
    quickbooks, hcp, progress = world.quickbooks.open_session("TMS export"), world.hcp(), 0
    while progress < 100:
        text = another().send_request_xml(ticket, hcp, world.quickbooks.path, "US", "13", "0")
        hcp = ""
        try:
            progress = another().receive_response_xml(ticket, quickbooks.process_request(text), "", "")
        except QuickBooksError as error:
            progress = another().receive_response_xml(ticket, "", error.hresult, error.message)
        assert progress >= 0
    assert codes(world, ids) == [""] * 4
    assert world.request(ids[0]).state == states.DONE
    world.must_hold()
