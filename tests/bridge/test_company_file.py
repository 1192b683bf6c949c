"""The right company file, or nothing: binding anew, restored backups, second Web Connectors (design.md 3.5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qbxml.hresults import HRESULTS
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import queue, states
from store.companies import company
from store.engine import Database
from store.tables import Company
from tests.support import stores
from tests.support.world import World


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def acme(world: World) -> Company:
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        return row


def ask_to_rebind(world: World) -> None:
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        row.rebind_requested_at = world.clock.now


BOLT_IDS = {"owner_id": "{0B17B9B6-86F1-4FCC-B1FF-966DE1813D20}", "file_id": "{0B174FB5-33D9-4815-AC85-BC87A7E7D1EB}"}


def add_bolt(world: World, *, name: str | None, path: str | None) -> None:
    """Another connection of ours."""
    stores.add_company(world.database, "bolt", bound_company_name=name, bound_company_file=path, **BOLT_IDS)


def mark_of_bolt(file: CompanyFile) -> None:
    """Its .qwc was added while this file was open."""
    file.state.data_ext[BOLT_IDS["owner_id"]] = {"FileID": BOLT_IDS["file_id"]}


def another_file(world: World, *, stamped: bool) -> CompanyFile:
    other = freight_company("Next Year Freight", clock=world.clock)
    if stamped:
        other.state.data_ext[stores.OWNER_ID] = {"FileID": stores.FILE_ID}
    return other


def test_a_file_that_another_connection_is_bound_to_is_not_bound_twice_unless_an_operator_says_so(world: World) -> None:
    """The .qwc of one company, added while the file of another is open, bears a good mark: it still sends nothing."""
    file = world.quickbooks
    add_bolt(world, name=file.name.upper(), path="\\\\FILESERVER\\Books\\Ridgeline Freight LLC.qbw")
    mark_of_bolt(file)
    request_id = world.queue(stores.an_invoice("inv_1"))
    report = world.update()
    assert report.outcome == "error"
    assert "already belongs to another connection" in report.status
    assert not file.ledger
    problem = acme(world).problem
    assert problem is not None
    assert problem["code"] == "company_file_taken"
    assert "add the .qwc file again" in problem["next_step"]
    assert acme(world).bound_company_name is None
    ask_to_rebind(world)
    assert world.update().outcome == "ok"
    assert [txn.external_guid for txn in file.ledger] == [world.request(request_id).facts["external_guid"]]
    assert acme(world).problem is None
    assert acme(world).rebind_requested_at is None, "the operator's word counts for one file"


def test_a_file_of_the_same_name_elsewhere_is_another_file(world: World) -> None:
    add_bolt(world, name=world.quickbooks.name, path="D:\\b.QBW")
    world.queue(stores.an_invoice("inv_1"))
    assert world.update().outcome == "ok"
    assert world.quickbooks.ledger


def test_books_that_moved_are_bound_anew_only_when_an_operator_says_so(world: World) -> None:
    """And only to a file to which the .qwc was added; what waits goes there."""
    world.queue(stores.an_invoice("inv_1"))
    world.update()
    old, new = world.quickbooks, another_file(world, stamped=True)
    world.connector.company = new
    request_id = world.queue(stores.an_invoice("inv_2"))
    assert world.update().outcome == "error"
    assert not new.ledger
    ask_to_rebind(world)
    unstamped = another_file(world, stamped=False)
    world.connector.company = unstamped
    assert "add the .qwc file" in world.update().status
    assert not unstamped.ledger
    world.connector.company = new
    assert world.update().outcome == "ok"
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert [txn.external_guid for txn in new.ledger] == [world.request(request_id).facts["external_guid"]]
    assert len(old.ledger) == 1
    assert acme(world).bound_company_name == "Next Year Freight"
    assert acme(world).rebind_requested_at is None


def test_what_was_under_way_to_the_old_file_is_not_sent_to_the_new_one(world: World) -> None:
    """Its absence from the new file proves nothing: a person must look into the old one."""
    request_id = world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML")
    world.update()
    ask_to_rebind(world)
    world.connector.company = new = another_file(world, stamped=True)
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.code == "outcome_unknown"
    assert "bound to before" in outcome.failure.message
    assert not new.ledger
    world.must_hold()


def test_until_the_new_file_is_open_nothing_new_goes_into_the_old_one(world: World) -> None:
    """What is under way to the old file is resolved there; what waits waits, until the operator thinks otherwise."""
    request_id = world.queue(stores.an_invoice("inv_1"))
    world.cuts.before("receiveResponseXML")
    world.update()
    ask_to_rebind(world)
    waiting = world.queue(stores.an_invoice("inv_2"))
    assert world.update().outcome == "ok"
    assert world.update().outcome == "ok"
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert world.request(waiting).state == states.WAITING
    assert len(world.quickbooks.ledger) == 1
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        row.rebind_requested_at = None
    world.update()
    assert len(world.quickbooks.ledger) == 2
    world.must_hold()


@pytest.mark.parametrize("survives", [False, True])
def test_after_a_restore_the_record_of_a_set_is_not_trusted(world: World, survives: bool) -> None:
    """QuickBooks says that the set ran, but the backup is older: it is looked up, and sent again."""
    world.quickbooks.switches.records_survive_restore = survives
    backup = world.quickbooks.snapshot()
    request_id = world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML")
    world.update()
    assert len(world.quickbooks.ledger) == 1
    world.quickbooks.restore(backup)
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert [txn.txn_id for txn in world.quickbooks.ledger] == [outcome.transaction.txn_id]
    assert [message_set.kind for message_set in world.message_sets()] == ["write", "activity", "lookup", "write"]
    assert "file_restored" in world.incidents()
    world.must_hold()


def test_an_old_restore_does_not_stand_in_the_way_of_asking(world: World) -> None:
    """It was long before the set left."""
    world.quickbooks.restore(world.quickbooks.snapshot())
    world.clock.forward(days=30)
    request_id = world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML")
    world.update()
    world.update()
    assert [message_set.kind for message_set in world.message_sets()] == ["write", "activity", "ask"]
    assert world.request(request_id).state == states.DONE
    world.must_hold()


def test_two_computers_are_noticed_and_named_once(world: World) -> None:
    """Both hold the same .qwc; each session tells in the company file's lock whose it is."""
    second = WebConnector(
        world.connector.qwc, stores.PASSWORD, world.quickbooks, http=world.http, host_name="QB-LAPTOP"
    )
    for number in range(4):
        world.queue(stores.an_invoice(f"inv_{number}"))
        world.clock.forward(minutes=15)
        (second if number % 2 else world.connector).run_once()
    assert world.incidents().count("second_web_connector") == 1
    assert len(world.quickbooks.ledger) == 4
    world.must_hold()


def test_a_new_computer_is_no_second_one(world: World) -> None:
    """The old PC was taken away; the next day another one runs the connection."""
    world.queue(stores.an_invoice("inv_1"))
    world.update()
    world.connector.host_name = "QB-NEW"
    world.queue(stores.an_invoice("inv_2"))
    world.clock.forward(hours=20)
    world.update()
    assert "second_web_connector" not in world.incidents()


def test_a_clone_on_the_same_computer_is_noticed_when_both_work(world: World) -> None:
    """The older session goes on after the newer one has begun to work."""
    world.queue(stores.an_invoice("inv_1"))
    bridge = world.dispatcher
    first, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    world.clock.forward(seconds=1)
    second, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    bridge.send_request_xml(second, world.hcp(), world.quickbooks.path, "US", "13", "0")
    assert bridge.send_request_xml(first, world.hcp(), world.quickbooks.path, "US", "13", "0") == ""
    assert world.incidents()[-1] == "second_web_connector"


@pytest.mark.parametrize("hresult", sorted(HRESULTS))
def test_every_hresult_becomes_the_connections_problem_until_a_good_session(world: World, hresult: str) -> None:
    """Cause, owner and next step, whatever the code; `done` is the answer, for any other text would be a path."""
    world.queue(stores.an_invoice())
    ticket, _ = world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    assert world.dispatcher.connection_error(ticket, hresult, "QuickBooks said so") == "done"
    problem = acme(world).problem
    assert problem is not None
    assert problem["code"] == hresult
    assert problem["owner"] in ("bookkeeper", "it", "us")
    assert all(problem[name].strip() for name in ("cause", "explanation", "next_step"))
    assert problem["explanation"] in world.dispatcher.get_last_error(ticket)
    assert world.update().outcome == "ok"
    assert acme(world).problem is None


def test_a_wrong_password_is_the_connections_problem_until_the_right_one_comes(world: World) -> None:
    """The bookkeeper sees why nothing is exported."""
    world.queue(stores.an_invoice())
    assert world.dispatcher.authenticate("qbwc-acme", "wrong") == ["", "nvu"]
    problem = acme(world).problem
    assert problem is not None
    assert problem["code"] == "wrong_password"
    world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    assert acme(world).problem is None


def test_a_0x80040400_delivered_a_second_time_is_not_taken_for_the_next_answer(world: World) -> None:
    """An HRESULT names no set: the set it would fail is looked up before it is split."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]
    with world.database.transaction() as session:
        bad = queue.request(session, ids[0])
        assert bad is not None
        bad.body = bad.body.replace("<RefNumber>", "<Unheard/><RefNumber>")
        bad.batch_max = 1
    bridge, quickbooks = world.dispatcher, world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    bridge.receive_response_xml(ticket, "", "0x80040400", "parse error")
    second = bridge.send_request_xml(ticket, "", world.quickbooks.path, "US", "13", "0")
    answer = quickbooks.process_request(second)
    bridge.receive_response_xml(ticket, "", "0x80040400", "parse error")  # a proxy repeats the first answer
    assert world.outcome(ids[1]) is None
    assert bridge.receive_response_xml(ticket, answer, "", "") == 100
    outcome = world.outcome(ids[1])
    assert outcome is not None
    assert outcome.transaction is not None
    world.must_hold()


def test_a_repeated_0x80040423_does_not_send_a_second_time(world: World) -> None:
    """The set that is out in the older version is asked for before an older one still is tried."""
    request_id = world.queue(stores.an_invoice())
    bridge, quickbooks = world.dispatcher, world.quickbooks.open_session("TMS export")
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    bridge.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    bridge.receive_response_xml(ticket, "", "0x80040423", "unknown version")
    second = bridge.send_request_xml(ticket, "", world.quickbooks.path, "US", "13", "0")
    answer = quickbooks.process_request(second)
    bridge.receive_response_xml(ticket, "", "0x80040423", "unknown version")  # a proxy repeats the first answer
    assert world.request(request_id).state == states.IN_FLIGHT
    assert bridge.receive_response_xml(ticket, answer, "", "") == 100
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


def test_a_late_proof_keeps_a_waiting_document_from_being_sent_again(world: World) -> None:
    """It was looked up too early, and its answer came before it left once more."""
    request_id = world.queue(stores.an_invoice())
    bridge = world.dispatcher
    slow = world.quickbooks.open_session("TMS export")
    first, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    text = bridge.send_request_xml(first, world.hcp(), world.quickbooks.path, "US", "13", "0")
    world.clock.forward(minutes=10)
    second, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    hcp = world.hcp()
    for _ in range(3):  # the file, the set, the books: it is not there
        question = bridge.send_request_xml(second, hcp, world.quickbooks.path, "US", "13", "0")
        answer = world.quickbooks.open_session("TMS export").process_request(question)
        bridge.receive_response_xml(second, answer, "", "")
        hcp = ""
    assert world.request(request_id).state == states.WAITING
    bridge.receive_response_xml(first, slow.process_request(text), "", "")
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    world.update()
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()
