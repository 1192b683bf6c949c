"""QuickBooks answers an Add oddly: the session asks, looks up and ends, and nothing is doubled or lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qbwc_bridge.session import Limits
from simulator.faults import OddCode
from store import queue, states
from store.companies import company
from store.engine import Database
from tests.support import stores
from tests.support.world import World

CALLS_MAX = 20


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def kinds(world: World) -> list[str]:
    return [message_set.kind for message_set in world.message_sets()]


@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize("code", ["0", "510", "1000", "left_out"])
def test_an_odd_answer_to_one_of_three_is_looked_up_and_the_session_ends(
    world: World, code: OddCode, is_written: bool
) -> None:
    """The stored answer that an ask brings is the write's own, byte for byte, and is taken for what it is."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
    odd = str(world.request(ids[1]).facts["ref_number"])
    world.quickbooks.faults.odd_answer(code, is_written=is_written, ref_number=odd)
    report = world.update()
    assert (report.outcome, kinds(world)) == ("ok", ["write", "activity", "ask", "lookup"])
    assert len(report.calls) <= CALLS_MAX
    assert world.request(ids[1]).state == (states.DONE if is_written else states.WAITING)
    world.update()
    assert [world.request(request_id).state for request_id in ids] == [states.DONE] * 3
    assert len(world.quickbooks.ledger) == 3
    world.must_hold()


@pytest.mark.parametrize("code", ["0", "510", "1000", "left_out"])
def test_an_add_that_is_never_answered_otherwise_ends_as_failed(world: World, code: OddCode) -> None:
    """It is tried again in later sessions, further and further apart, and each of them is short."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.odd_answer(code, is_written=False, times=1000)
    for _ in range(3 * Limits().losses_max):
        world.clock.forward(hours=6)
        assert len(world.update().calls) <= CALLS_MAX
        if world.request(request_id).state == states.DONE:
            break
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.code == "lost_too_often"
    assert not world.quickbooks.ledger


def test_the_answer_of_a_write_that_is_delivered_again_after_the_ask_left_changes_nothing(world: World) -> None:
    """It is what the ask will bring, so it does no harm; the ask's own answer is then the repeated one."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.odd_answer("1000", is_written=True)
    bridge, path = world.dispatcher, world.quickbooks.path
    quickbooks = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    answer, hcp = "", world.hcp()
    for _ in range(3):
        first = answer
        answer = quickbooks.process_request(bridge.send_request_xml(ticket, hcp, path, "US", "13", "0"))
        hcp = ""
        if len(kinds(world)) < 3:
            assert 0 <= bridge.receive_response_xml(ticket, answer, "", "") < 100
    write = next(one for one in world.message_sets() if one.kind == "write")
    assert answer == write.response
    assert answer != first
    replies = [bridge.receive_response_xml(ticket, answer, "", "") for _ in range(3)]
    assert len(set(replies)) == 1
    found = quickbooks.process_request(bridge.send_request_xml(ticket, "", path, "US", "13", "0"))
    assert bridge.receive_response_xml(ticket, answer, "", "") == replies[0]
    assert bridge.receive_response_xml(ticket, found, "", "") == 100
    assert world.request(request_id).state == states.DONE
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


def test_the_same_question_about_nothing_does_not_keep_a_paused_session_going(world: World) -> None:
    """Two probes have the same answer, byte for byte: the second is no repeated first."""
    bridge, path = world.dispatcher, world.quickbooks.path
    world.queue(stores.an_invoice("inv_1"))
    quickbooks = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    with world.database.transaction() as session:
        acme = company(session, "acme")
        assert acme is not None
        acme.paused = True
    probe = quickbooks.process_request(bridge.send_request_xml(ticket, world.hcp(), path, "US", "13", "0"))
    with world.database.transaction() as session:
        acme = company(session, "acme")
        assert acme is not None
        acme.paused = False
    assert bridge.receive_response_xml(ticket, probe, "", "") < 100
    with world.database.transaction() as session:
        acme = company(session, "acme")
        assert acme is not None
        acme.paused = True
    again = quickbooks.process_request(bridge.send_request_xml(ticket, "", path, "US", "13", "0"))
    assert again == probe
    assert bridge.receive_response_xml(ticket, again, "", "") == 100


def test_a_session_ends_with_its_budget_also_while_a_set_is_unresolved(world: World) -> None:
    """Long sessions freeze the Web Connector; what is open is asked for in the next one (web-connector.md 5.1, 27)."""
    request_id = world.queue(stores.an_invoice())
    bridge, path = world.dispatcher, world.quickbooks.path
    quickbooks = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    world.quickbooks.faults.odd_answer("1000", is_written=True)
    answer = quickbooks.process_request(bridge.send_request_xml(ticket, world.hcp(), path, "US", "13", "0"))
    world.clock.forward(seconds=Limits().session_budget_s + 1)
    assert bridge.receive_response_xml(ticket, answer, "", "") == 100
    assert world.request(request_id).state == states.IN_FLIGHT
    world.update()
    assert world.request(request_id).state == states.DONE
    world.must_hold()


def test_a_slow_start_of_quickbooks_still_gets_a_document_each_session(world: World) -> None:
    """Where each session takes its whole budget to open the file, the look-up comes without the first question."""
    request_id = world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML")
    world.update()
    bridge, path = world.dispatcher, world.quickbooks.path
    for _ in range(5):
        world.clock.forward(minutes=15)
        found = bridge.authenticate("qbwc-acme", stores.PASSWORD)
        if found[1] == "none":
            break
        world.clock.forward(seconds=Limits().session_budget_s + 1)
        quickbooks = world.quickbooks.open_session("TMS export")
        answer = quickbooks.process_request(bridge.send_request_xml(found[0], world.hcp(), path, "US", "13", "0"))
        assert bridge.receive_response_xml(found[0], answer, "", "") == 100
    assert world.request(request_id).state == states.DONE
    with world.database.transaction() as session:
        assert queue.unresolved_write_set(session, "acme") is None
    world.must_hold()
