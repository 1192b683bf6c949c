"""Before the first Add of a document it is looked for: somebody may have typed it in, and seldom quite the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simulator.by_hand import SAME, Typed
from store import states
from store.companies import company
from store.engine import Database
from store.tables import Export
from tests.support import stores
from tests.support.world import World
from workflows.contracts import Failure, PrepareInput

TYPED = {
    "the same": SAME,
    "another date": Typed(days=3),
    "a job of the customer": Typed(is_for_job=True),
    "a cent off": Typed(cents=1),
    "another total": Typed(cents=500),
    "number without its prefix": Typed(ref_number="1"),
    "another number": Typed(ref_number="A-77"),
}
OTHER_DOCUMENT = "another number"


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    look(world, True)
    yield world
    world.close()


def look(world: World, is_on: bool) -> None:
    with world.database.transaction() as session:
        acme = company(session, "acme")
        assert acme is not None
        acme.look_before_adding = is_on


def kinds(world: World) -> list[str]:
    return [message_set.kind for message_set in world.message_sets()]


def failure(world: World, request_id: str) -> Failure:
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    return outcome.failure


def again(world: World, document: dict[str, Any], run: str, *, confirmed_absent: bool = False) -> str:
    """The document is exported once more by another run, as after a failure."""
    prepared = world.activities.prepare_export(
        PrepareInput(company_id="acme", document=document, run_id=run, confirmed_absent=confirmed_absent)
    )
    assert prepared.request_id is not None, prepared
    return prepared.request_id


@pytest.mark.parametrize("document", [stores.an_invoice(), stores.a_bill()], ids=["invoice", "bill"])
@pytest.mark.parametrize("typed", TYPED)
def test_what_a_person_typed_is_found_before_the_first_add(world: World, typed: str, document: dict[str, Any]) -> None:
    request_id = world.queue(document)
    by_hand = world.quickbooks.type_like(world.request(request_id).body, TYPED[typed])
    report = world.update()
    assert report.outcome == "ok"
    if typed == OTHER_DOCUMENT:
        assert kinds(world) == ["look", "write"]
        assert len(world.quickbooks.ledger) == 2
        return
    assert kinds(world)[0] == "look"
    found = failure(world, request_id)
    assert (found.code, found.owner) == ("found_in_quickbooks", "bookkeeper")
    assert [one.txn_id for one in found.candidates] == [by_hand.txn_id]
    assert [one.txn_id for one in world.quickbooks.ledger] == [by_hand.txn_id]


def test_what_nobody_typed_is_written_in_the_same_session(world: World) -> None:
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
    assert world.update().outcome == "ok"
    assert kinds(world) == ["look", "write"]
    assert [world.request(request_id).state for request_id in ids] == [states.DONE] * 3
    world.must_hold()


def test_a_hundred_waiting_exports_take_no_more_than_sixteen_calls(world: World) -> None:
    """The look for the next batch travels with the write of this one."""
    for number in range(100):
        world.queue(stores.an_invoice(f"inv_{number}"))
    report = world.update()
    assert kinds(world) == ["look"] + ["write"] * 5
    assert len(report.calls) <= 16, report.calls
    assert len(world.quickbooks.ledger) == 100
    world.must_hold()


def test_what_is_found_behind_a_write_stays_out_of_the_next_one(world: World) -> None:
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(30)]
    world.quickbooks.type_like(world.request(ids[25]).body, Typed(days=1))
    assert world.update().outcome == "ok"
    assert kinds(world) == ["look", "write", "write"]
    assert failure(world, ids[25]).code == "found_in_quickbooks"
    assert len(world.quickbooks.ledger) == 30


def test_a_session_writes_only_what_it_looked_for_itself(world: World) -> None:
    """What an earlier session looked for may have been typed since."""
    request_id = world.queue(stores.an_invoice())
    bridge, path = world.dispatcher, world.quickbooks.path
    quickbooks = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    answer = quickbooks.process_request(bridge.send_request_xml(ticket, world.hcp(), path, "US", "13", "0"))
    assert bridge.receive_response_xml(ticket, answer, "", "") < 100
    bridge.connection_error(ticket, "0x80040408", "QuickBooks was closed")
    quickbooks.close()
    world.quickbooks.type_like(world.request(request_id).body)
    world.update()
    assert failure(world, request_id).code == "found_in_quickbooks"
    assert len(world.quickbooks.ledger) == 1


def test_the_own_export_of_another_document_is_no_find(world: World) -> None:
    """Two carriers of the TMS that are one vendor in QuickBooks may have bills with the same number."""
    first = stores.a_bill("bill_1", number="1001")
    second = stores.a_bill("bill_2", number="1001", carrier={"id": "car_8", "name": "Acme Carrier"})
    with world.database.transaction() as session:
        acme = company(session, "acme")
        assert acme is not None
        carriers = {**acme.mapping["carriers"], "car_8": acme.mapping["carriers"]["car_7"]}
        acme.mapping = {**acme.mapping, "carriers": carriers}
    one = world.queue(first)
    world.update()
    outcome = world.outcome(one)
    assert outcome is not None
    assert outcome.transaction is not None
    with world.database.transaction() as session:
        row = session.query(Export).filter_by(document_id="bill_1").one()
        row.quickbooks = outcome.transaction.model_dump(mode="json")
    two = world.queue(second)
    world.update()
    outcome = world.outcome(two)
    assert outcome is not None
    assert outcome.transaction is not None, outcome
    assert len(world.quickbooks.ledger) == 2


def test_without_the_setting_nothing_is_looked_for(world: World) -> None:
    look(world, False)
    world.queue(stores.an_invoice())
    world.update()
    assert kinds(world) == ["write"]


def test_a_look_that_quickbooks_cannot_read_takes_no_neighbour_down(world: World) -> None:
    """Only the culprit is not sent, and it is told; the session goes on."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(5)]
    culprit = str(world.request(ids[3]).facts["ref_number"])
    world.quickbooks.faults.choke_on(f"<RefNumber>{culprit}</RefNumber>")
    world.update()
    assert failure(world, ids[3]).code == "look_failed"
    others = [request_id for request_id in ids if request_id != ids[3]]
    assert [world.request(request_id).state for request_id in others] == [states.DONE] * 4
    assert len(world.quickbooks.ledger) == 4
    world.must_hold()


def test_after_a_wrong_word_it_is_found_by_its_guid_whatever_the_setting(world: World) -> None:
    """Somebody says that it is not in QuickBooks, although it is: the look finds it, and nothing is sent."""
    look(world, False)
    request_id = unknown(world)
    look(world, False)
    second = again(world, stores.an_invoice(), "run-2", confirmed_absent=True)
    world.update()
    outcome = world.outcome(second)
    assert outcome is not None
    assert outcome.transaction is not None, outcome
    assert [txn.txn_id for txn in world.quickbooks.ledger] == [outcome.transaction.txn_id]
    assert world.request(request_id).attempt == 1
    assert world.request(second).attempt == 0


def unknown(world: World) -> str:
    """An invoice that arrived, and of which no look-up could say so; its number was changed in QuickBooks since."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.lose_record()
    world.cuts.before("receiveResponseXML")
    world.update()
    [there] = world.quickbooks.ledger
    guid, there.external_guid = there.external_guid, None
    for _ in range(2):
        world.update()
        if world.request(request_id).state == states.DONE:
            break
    there.external_guid = guid
    there.ref_number = "CHANGED"
    assert failure(world, request_id).code == "outcome_unknown"
    assert [one.txn_id for one in failure(world, request_id).candidates] == [there.txn_id]
    return request_id


@pytest.mark.parametrize("typed", ["another date", "a job of the customer", "a cent off"])
def test_while_the_outcome_is_unknown_what_a_person_typed_almost_the_same_is_not_doubled(
    world: World, typed: str
) -> None:
    request_id = world.queue(stores.an_invoice())
    bridge, path = world.dispatcher, world.quickbooks.path
    look(world, False)
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    assert bridge.send_request_xml(ticket, world.hcp(), path, "US", "13", "0")  # and the PC loses its power
    by_hand = world.quickbooks.type_like(world.request(request_id).body, TYPED[typed])
    world.clock.forward(hours=2)
    for _ in range(2):
        world.update()
    found = failure(world, request_id)
    assert found.code == "outcome_unknown"
    assert [one.txn_id for one in found.candidates] == [by_hand.txn_id]
    assert len(world.quickbooks.ledger) == 1
