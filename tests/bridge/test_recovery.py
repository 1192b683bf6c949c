"""Whatever dies between us and QuickBooks: ask, look, and only then send again (design.md 3.4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.sample_company import freight_company
from store import queue, states
from store.companies import company
from store.engine import Database
from tests.support import stores
from tests.support.world import OUTCOME, World
from workflows.contracts import Failure, Outcome, PrepareInput


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def arrived(world: World, request_id: str) -> bool:
    outcome = world.outcome(request_id)
    return outcome is not None and outcome.transaction is not None


def kinds(world: World) -> list[str]:
    return [message_set.kind for message_set in world.message_sets()]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["sendRequestXML", "receiveResponseXML"])
def test_a_connection_cut_at_a_call_neither_loses_nor_doubles(world: World, when: str, method: str) -> None:
    """Cut before or after each call of the loop: after the next sessions everything is there once."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
    getattr(world.cuts, when)(method)
    assert world.update().outcome == "failed"
    for _ in range(3):
        world.update()
    assert all(arrived(world, request_id) for request_id in ids)
    assert len(world.quickbooks.ledger) == 3
    world.must_hold()


def test_a_lost_answer_is_asked_for_and_not_sent_again(world: World) -> None:
    """The second session hands out an empty set with the same id; nothing runs twice."""
    request_id = world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML")
    world.update()
    assert len(world.quickbooks.ledger) == 1
    world.update()
    assert kinds(world) == ["write", "activity", "ask"]
    assert arrived(world, request_id)
    world.must_hold()


def test_nothing_new_leaves_while_a_set_is_unresolved(world: World) -> None:
    """The new document goes in a set of its own, after the answer to the old one."""
    world.queue(stores.an_invoice("inv_1"))
    world.cuts.before("receiveResponseXML")
    world.update()
    world.queue(stores.an_invoice("inv_2"))
    world.update()
    assert kinds(world) == ["write", "activity", "ask", "write"]
    world.must_hold()


@pytest.mark.parametrize("hresult", ["0x80010108", None])
@pytest.mark.parametrize("commits", [0, 1, 2, 3])
def test_a_crash_after_some_commits_is_looked_up_and_only_the_absent_are_sent_again(
    world: World, commits: int, hresult: str | None
) -> None:
    """QuickBooks died in the middle and kept no record: each request is decided by itself."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
    faults = world.quickbooks.faults
    if commits == 0:
        faults.crash_before_commit(hresult)
    elif commits == 3:
        faults.crash_after_commit_before_record(hresult)
    else:
        faults.crash_after(commits, hresult)
    world.update()
    assert len(world.quickbooks.ledger) == commits
    world.update()
    world.update()
    assert all(arrived(world, request_id) for request_id in ids)
    assert len(world.quickbooks.ledger) == 3
    assert "lookup" in kinds(world)
    world.must_hold()


def test_an_invoice_whose_number_a_user_changed_is_still_found(world: World) -> None:
    """The look-up by entity finds it by our GUID."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.crash_after_commit_before_record(None)
    world.update()
    posted = world.quickbooks.ledger[0]
    world.quickbooks.edit_transaction(posted.txn_id, ref_number="CHANGED")
    world.update()
    assert arrived(world, request_id)
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


def test_send_request_twice_on_one_ticket_hands_out_nothing_new(world: World) -> None:
    """A lost reply on the same ticket takes the same way (web-connector.md 5.1, 14)."""
    world.queue(stores.an_invoice("inv_1"))
    world.queue(stores.an_invoice("inv_2"))
    bridge = world.dispatcher
    session = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    hcp = world.hcp()
    first = bridge.send_request_xml(ticket, hcp, world.quickbooks.path, "US", "13", "0")
    second = bridge.send_request_xml(ticket, "", world.quickbooks.path, "US", "13", "0")
    session.process_request(first)
    progress = bridge.receive_response_xml(ticket, session.process_request(second), "", "")
    assert progress < 100
    third = bridge.send_request_xml(ticket, "", world.quickbooks.path, "US", "13", "0")
    assert "InvoiceAdd" in first
    assert "InvoiceAdd" not in second + third
    assert bridge.receive_response_xml(ticket, session.process_request(third), "", "") == 100
    assert len(world.quickbooks.ledger) == 2
    world.must_hold()


def test_a_repeated_answer_gets_the_same_progress_and_changes_nothing(world: World) -> None:
    """Matched by ids, never by position."""
    world.queue(stores.an_invoice())
    bridge = world.dispatcher
    session = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    answer = session.process_request(text)
    replies = [bridge.receive_response_xml(ticket, answer, "", "") for _ in range(3)]
    assert replies == [100, 100, 100]
    assert len(world.signals(OUTCOME)) == 1


def test_a_late_answer_of_a_superseded_session_resolves_the_unknown(world: World) -> None:
    """The newest session wins, the old answer still counts."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    session = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    answer = session.process_request(text)
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD) == ["", "busy"]
    world.clock.forward(minutes=10)
    bridge.authenticate("qbwc-acme", stores.PASSWORD)
    bridge.receive_response_xml(ticket, answer, "", "")
    assert arrived(world, request_id)
    world.must_hold()


def test_a_broken_answer_loses_nothing(world: World) -> None:
    """It is noted for the operator, and the outcome is asked for."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    session = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    session.process_request(text)
    assert bridge.receive_response_xml(ticket, "<QBXML><broken", "", "") == -1
    assert "could not be read" in bridge.get_last_error(ticket)
    assert world.incidents()[-1] == "unreadable_answer"
    assert world.request(request_id).state == states.IN_FLIGHT
    world.update()
    assert arrived(world, request_id)
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


def test_a_foreign_request_id_is_not_used_and_reported(world: World) -> None:
    """The answer to a request that was never sent decides nothing."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    session = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    answer = session.process_request(text).replace(f'requestID="{request_id}.1"', 'requestID="SOMEBODY.1"')
    assert 0 <= bridge.receive_response_xml(ticket, answer, "", "") < 100
    assert world.incidents()[-1] == "foreign_answer"
    assert world.request(request_id).state == states.IN_FLIGHT
    world.update()
    assert arrived(world, request_id)
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


def test_an_answer_about_another_companys_request_is_refused_and_reported(world: World) -> None:
    """Whether it comes in time or late: it decides nothing, for neither company."""
    stores.add_company(world.database, "bolt")
    prepared = world.activities.prepare_export(
        PrepareInput(company_id="bolt", document=stores.an_invoice("theirs"), run_id="run-bolt")
    )
    assert prepared.request_id is not None
    ours = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    session = world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    answer = session.process_request(text)
    forged = answer.replace(f'requestID="{ours}.1"', f'requestID="{prepared.request_id}.1"')
    bridge.receive_response_xml(ticket, forged, "", "")
    assert world.incidents() == ["company_file", "foreign_answer"]
    assert world.request(ours).state == states.IN_FLIGHT
    assert bridge.receive_response_xml(ticket, answer, "", "") == 100
    bridge.receive_response_xml(ticket, forged, "", "")
    assert world.incidents() == ["company_file", "foreign_answer", "foreign_answer"]
    assert world.request(prepared.request_id).state == states.WAITING
    assert arrived(world, ours)


def test_an_hresult_delivered_twice_decides_only_what_it_was_the_answer_to(world: World) -> None:
    """The second delivery of a failed question is not taken for the answer to the write."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    bridge.send_request_xml(ticket, "", world.quickbooks.path, "US", "13", "0")
    for _ in range(2):
        bridge.receive_response_xml(ticket, "", "0x80040400", "could not be parsed")
    assert world.request(request_id).state == states.IN_FLIGHT
    assert world.outcome(request_id) is None


def test_a_document_that_kills_quickbooks_each_time_fails_alone_in_the_end(world: World) -> None:
    """Its mates arrive, and it is not tried for ever (design.md 3.6)."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
    killer = world.request(ids[1]).facts["ref_number"]
    session_type = type(world.quickbooks.open_session("TMS export"))
    original = session_type.process_request

    def deadly(session: object, text: str) -> str:
        if f"<RefNumber>{killer}</RefNumber>" in text and "InvoiceAdd" in text:
            world.quickbooks.faults.crash_before_commit(None)
        return original(session, text)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_type, "process_request", deadly)
        for _ in range(40):
            world.update()
    assert arrived(world, ids[0])
    assert arrived(world, ids[2])
    outcome = world.outcome(ids[1])
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.code == "lost_too_often"
    world.must_hold()


def test_a_late_answer_after_an_undecided_end_is_kept_as_proof(world: World) -> None:
    """The next attempt finds the transaction instead of sending it again."""
    document = stores.an_invoice()
    request_id = world.queue(document)
    bridge = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    answer = world.quickbooks.open_session("TMS export").process_request(text)
    with world.database.transaction() as session:
        row = queue.request(session, request_id)
        assert row is not None
        row.state = states.DONE
        failure = Failure(code="outcome_unknown", message="", explanation="", owner="bookkeeper", next_step="")
        row.outcome = Outcome(request_id=request_id, key="end", failure=failure).model_dump(mode="json")
        open_set = queue.unresolved_write_set(session, "acme")
        assert open_set is not None
        open_set.state = states.ANSWERED
    bridge.receive_response_xml(ticket, answer, "", "")
    assert world.incidents()[-1] == "late_proof"
    prepared = world.activities.prepare_export(PrepareInput(company_id="acme", document=document, run_id="again"))
    assert prepared.transaction is not None
    assert prepared.transaction.txn_id == world.quickbooks.ledger[0].txn_id


def test_a_late_answer_about_a_document_that_was_sent_again_is_reported(world: World) -> None:
    """Somebody must look for two transactions."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    world.clock.forward(minutes=10)
    world.update()
    assert arrived(world, request_id)
    late = world.quickbooks.open_session("another application").process_request(text)
    bridge.receive_response_xml(ticket, late, "", "")
    assert world.incidents()[-1] == "possible_duplicate"


def test_an_unknown_qbxml_version_is_lowered_in_the_same_session(world: World) -> None:
    """0x80040423 costs a round trip, not the session."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    versions = []
    hcp = world.hcp()
    for number in range(4):
        text = bridge.send_request_xml(ticket, hcp, world.quickbooks.path, "US", "13", "0")
        hcp = ""
        versions.append(text.split('qbxml version="')[1].split('"')[0])
        # Each in words of its own: the same words twice could be one answer that came twice.
        bridge.receive_response_xml(ticket, "", "0x80040423", f"version not supported ({number})")
    assert versions == ["13.0", "12.0", "11.0", "10.0"]
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None


def test_a_corrected_document_takes_the_place_of_one_that_has_not_left(world: World) -> None:
    """A direct start with another content neither sends the old one nor both."""
    first = world.queue(stores.an_invoice())
    corrected = world.queue(stores.an_invoice(memo="corrected"))
    assert world.request(first).state == states.CANCELLED
    world.update()
    assert [txn.memo for txn in world.quickbooks.ledger] != [None]
    assert arrived(world, corrected)
    changed = stores.an_invoice(memo="changed once more")
    prepared = world.activities.prepare_export(PrepareInput(company_id="acme", document=changed, run_id="late"))
    assert prepared.failure is not None
    assert prepared.failure.code == "content_differs"
    assert len(world.quickbooks.ledger) == 1


def test_the_first_session_binds_only_to_a_file_with_our_stamp(world: World) -> None:
    """Another company that happens to be open gets nothing and is not bound."""
    request_id = world.queue(stores.an_invoice())
    right = world.connector.company
    world.connector.company = freight_company("Somebody Else Inc", clock=world.clock)
    assert world.update().outcome == "error"
    assert not world.connector.company.ledger
    world.connector.company = right
    world.update()
    assert arrived(world, request_id)


def test_a_pause_in_the_middle_lets_nothing_more_out(world: World) -> None:
    """What is out is finished, new work waits."""
    world.queue(stores.an_invoice("inv_1"))
    bridge = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    waiting = world.queue(stores.an_invoice("inv_2"))
    with world.database.transaction() as session:
        company(session, "acme").paused = True  # type: ignore[union-attr]
    answer = world.quickbooks.open_session("TMS export").process_request(text)
    assert bridge.receive_response_xml(ticket, answer, "", "") == 100
    assert world.request(waiting).state == states.WAITING
