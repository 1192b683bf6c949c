"""The books themselves: first contact, copies of the file, two connections in one file, restored backups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from qbwc_bridge import books_check
from simulator.copies import archive_path, copy_of
from store import list_syncs, states
from store.companies import company
from store.engine import Database
from store.tables import Company, Export
from tests.support import stores
from tests.support.world import World
from workflows.contracts import ExportState, RecordInput


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def change(world: World, **fields: object) -> None:
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        for name, value in fields.items():
            setattr(row, name, value)


def acme(world: World) -> Company:
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        return row


def problem_code(world: World) -> str | None:
    problem = acme(world).problem
    return str(problem["code"]) if problem is not None else None


def export(world: World, document_id: str) -> str:
    """Export one invoice until its workflow has recorded it; gives the request's id."""
    request_id = world.queue(stores.an_invoice(document_id))
    assert world.update().outcome == "ok"
    record(world, request_id, document_id)
    return request_id


def record(world: World, request_id: str, document_id: str) -> None:
    """Write what the workflow would write when it hears of the outcome."""
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    world.activities.record_state(
        RecordInput(
            company_id="acme",
            kind="invoice",
            document_id=document_id,
            run_id=world.request(request_id).run_id,
            state=ExportState.SUCCESSFUL,
            text="It is in QuickBooks",
            key="end",
            transaction=outcome.transaction,
        )
    )


def missing(world: World) -> list[str]:
    with world.database.transaction() as session:
        query = select(Export.document_id).where(Export.missing_since.is_not(None)).order_by(Export.id)
        return list(session.scalars(query))


def kinds(world: World) -> list[str]:
    return [message_set.kind for message_set in world.message_sets()]


def test_a_file_at_first_contact_gets_nothing_before_a_person_said_that_it_is_the_right_one(world: World) -> None:
    change(world, confirm_first_file=True)
    request_id = world.queue(stores.an_invoice())
    report = world.update()
    assert "Nobody has said yet that this is the right company file" in report.status
    question = acme(world).file_question
    assert question is not None
    assert question | {"at": ""} == {
        "code": "company_file_unconfirmed",
        "name": "Ridgeline Freight LLC",
        "path": world.quickbooks.path,
        "release": "QuickBooks Enterprise Solutions 24.0",
        "resembles": False,
        "at": "",
        "answer": None,
    }
    assert problem_code(world) == "company_file_unconfirmed"
    assert acme(world).bound_company_name is None
    assert world.request(request_id).state == states.WAITING
    assert "write" not in kinds(world)
    change(world, file_question=None, bound_company_name="Ridgeline Freight LLC", bound_company_file=question["path"])
    assert world.update().outcome == "ok"
    assert len(world.quickbooks.ledger) == 1
    assert problem_code(world) is None


def test_the_lists_of_an_unconfirmed_file_come_over_and_the_problem_stays(
    database: Database, clock: stores.Clock
) -> None:
    """Set-up goes on meanwhile; nothing of the business is read or written."""
    world = World(database, clock, lists_are_here=False)
    change(world, confirm_first_file=True)
    with database.transaction() as session:
        list_syncs.request_sync(session, "acme", at=clock.now, full=True)
    world.queue(stores.an_invoice())
    world.update()
    assert set(kinds(world)) == {"list"}
    assert problem_code(world) == "company_file_unconfirmed"
    assert not world.quickbooks.ledger
    world.close()


def test_a_file_that_was_said_to_be_the_wrong_one_stays_refused_until_another_is_open(world: World) -> None:
    change(world, confirm_first_file=True)
    world.queue(stores.an_invoice())
    world.update()
    question = acme(world).file_question
    assert question is not None
    change(world, file_question={**question, "answer": "no"})
    assert "somebody said that it is not the company file" in world.update().status
    assert problem_code(world) == "wrong_company_file"
    other = copy_of(world.quickbooks, "D:\\Books\\Acme Brokerage.qbw")
    other.state.name = "Acme Brokerage Inc."
    world.connector.company = other
    world.update()
    question = acme(world).file_question
    assert question is not None
    assert (question["name"], question["resembles"], question["answer"]) == ("Acme Brokerage Inc.", True, None)


@pytest.mark.parametrize(
    ("path", "outcome"), [("c:/quickbooks/Ridgeline Freight LLC.QBW", "ok"), ("D:\\a.qbw", "error")]
)
def test_a_path_in_the_settings_is_the_only_file_that_binds(world: World, path: str, outcome: str) -> None:
    change(world, confirm_first_file=True, company_file=path)
    world.connector.opened_as = path if outcome == "ok" else None
    world.queue(stores.an_invoice())
    ticket, _ = world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    text = world.dispatcher.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    assert bool(text) == (outcome == "ok")
    assert problem_code(world) == (None if outcome == "ok" else "wrong_company_file")


def test_a_copy_of_an_older_state_gets_nothing_until_a_person_decides(world: World) -> None:
    """Last year's archive: the name and the mark are right, what we sent last is not in it."""
    backup = world.quickbooks.snapshot()
    export(world, "inv_1")
    original = world.quickbooks
    archive = copy_of(original, archive_path(original), backup=backup)
    world.connector.company = archive
    waiting = world.queue(stores.an_invoice("inv_2"))
    report = world.update()
    assert report.outcome == "error"
    assert "It may be a copy of the company file" in report.status
    assert problem_code(world) == "company_file_moved"
    assert not archive.ledger
    assert world.request(waiting).state == states.WAITING
    assert missing(world) == [], "a copy says nothing of our books"
    assert world.update().outcome == "error", "and so at each session"
    world.connector.company = original
    assert world.update().outcome == "ok"
    assert (acme(world).file_question, problem_code(world), len(original.ledger)) == (None, None, 2)
    world.connector.company = archive
    world.queue(stores.an_invoice("inv_3"))
    assert world.update().outcome == "error", "back again likewise"
    assert not archive.ledger


def test_nothing_is_concluded_in_a_copy_about_a_set_whose_answer_was_lost(world: World) -> None:
    """Its absence from the copy proves nothing: it would be sent again there, and be twice in the end."""
    export(world, "inv_1")
    original = world.quickbooks
    backup = original.snapshot()
    export(world, "inv_2")
    request_id = world.queue(stores.an_invoice("inv_3"))
    world.cuts.before("receiveResponseXML", 2)  # the first one tells that the books are the right ones
    world.update()
    world.connector.company = archive = copy_of(original, archive_path(original), backup=backup)
    world.update()
    world.update()
    assert world.request(request_id).state == states.IN_FLIGHT
    assert len(archive.ledger) == 1
    world.connector.company = original
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert len(original.ledger) == 3
    world.must_hold()


@pytest.mark.parametrize("is_copy", [True, False])
def test_a_young_copy_does_not_decide_about_a_document_whose_answer_was_lost(world: World, is_copy: bool) -> None:
    """It holds all that we know of, and not that document: only a file that holds it, too, is known as the same one."""
    export(world, "inv_1")
    original, backup = world.quickbooks, world.quickbooks.snapshot()
    request_id = world.queue(stores.an_invoice("inv_2"))
    original.faults.crash_after_commit_before_record()
    world.update()
    assert len(original.ledger) == 2
    path = archive_path(original)
    world.connector.company = other = copy_of(original, path, backup=backup if is_copy else None)
    world.clock.forward(hours=2)
    world.update()
    world.update()
    assert (problem_code(world) == "company_file_moved") is is_copy
    assert len(other.ledger) == (1 if is_copy else 2)
    world.connector.company = original if is_copy else other
    world.update()
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert len(world.connector.company.ledger) == 2


def test_books_that_moved_with_all_that_we_sent_are_the_same_books(world: World) -> None:
    export(world, "inv_1")
    world.connector.company = moved = copy_of(world.quickbooks, "D:\\New PC\\Ridgeline Freight LLC.qbw")
    world.quickbooks = moved
    export(world, "inv_2")
    assert len(moved.ledger) == 2
    assert acme(world).bound_company_file == moved.path
    assert world.incidents().count("company_file") == 2, "one when it was bound, one when it moved"


def test_a_path_that_is_spelled_in_turns_is_told_once(world: World) -> None:
    """One PC opens it by a drive letter, another by the share, a program writes slashes."""
    path = world.quickbooks.path
    ways = (path, "\\\\FILESERVER\\Books\\Ridgeline Freight LLC.qbw", path.replace("\\", "/").upper())
    for number in range(9):
        world.connector.opened_as = ways[number % 3]
        export(world, f"inv_{number}")
    assert len(world.quickbooks.ledger) == 9
    assert world.incidents() == ["company_file", "company_file"]
    assert problem_code(world) is None


def test_a_path_that_changes_before_anything_was_sent_is_a_persons_question(world: World) -> None:
    """Nothing of ours is in the books, so nothing can prove that they are the same."""
    world.queue(stores.an_invoice())
    ticket, _ = world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    world.dispatcher.send_request_xml(ticket, world.hcp(), "C:\\other.qbw", "US", "13", "0")
    world.clock.forward(minutes=90)
    assert world.update().outcome == "error"
    assert problem_code(world) == "company_file_moved"
    assert not world.quickbooks.ledger


def test_a_restored_backup_while_nothing_is_unresolved_is_told_with_what_is_missing(world: World) -> None:
    export(world, "inv_1")
    backup = world.quickbooks.snapshot()
    export(world, "inv_2")
    export(world, "inv_3")
    world.quickbooks.restore(backup)
    export(world, "inv_4")
    assert missing(world) == ["inv_2", "inv_3"]
    assert world.incidents()[-2:] == ["file_restored", "exports_missing"]
    assert problem_code(world) is None, "new documents go on"
    world.queue(stores.an_invoice("inv_5"))
    world.update()
    world.update()
    assert world.incidents().count("exports_missing") == 1
    assert kinds(world).count("check") == 5, "one a session with something of ours, and one that read all"


def test_what_is_missing_is_found_again_when_the_right_file_is_put_back(world: World) -> None:
    export(world, "inv_1")
    backup = world.quickbooks.snapshot()
    export(world, "inv_2")
    right = world.quickbooks.snapshot()
    world.quickbooks.restore(backup)
    export(world, "inv_3")
    assert missing(world) == ["inv_2"]
    world.quickbooks.state = type(world.quickbooks.state).model_validate_json(right)
    world.queue(stores.an_invoice("inv_4"))
    world.update()
    assert missing(world) == ["inv_3"]
    assert "exports_found" in world.incidents()


def test_an_invoice_that_somebody_deleted_is_told_too(world: World) -> None:
    for number in range(3):
        export(world, f"inv_{number}")
    world.quickbooks.delete_transaction(world.quickbooks.ledger[1].txn_id)
    export(world, "inv_9")
    assert missing(world) == ["inv_1"]


def test_all_that_was_sent_is_read_over_several_sessions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_check, "CHUNK", 2)
    backup = world.quickbooks.snapshot()
    for number in range(15):
        export(world, f"inv_{number:02}")
    world.quickbooks.restore(backup)
    world.queue(stores.an_invoice("inv_15"))
    world.update()
    assert len(missing(world)) == 10, "five questions a session"
    assert "exports_missing" not in world.incidents()
    world.queue(stores.an_invoice("inv_16"))
    world.update()
    assert len(missing(world)) == 15
    assert world.incidents().count("exports_missing") == 1


BOLT_IDS = {"owner_id": "{0B17B9B6-86F1-4FCC-B1FF-966DE1813D20}", "file_id": "{0B174FB5-33D9-4815-AC85-BC87A7E7D1EB}"}


@pytest.mark.parametrize(
    ("name", "path", "taken"),
    [
        ("Ridgeline Freight LLC", "\\\\SERVER\\Books\\Ridgeline Freight LLC.qbw", True),
        ("Renamed Freight", "c:/QuickBooks/Ridgeline Freight LLC.qbw", True),
        ("Moved Away Inc", "D:\\elsewhere.qbw", False),
        (None, None, False),
    ],
)
def test_the_mark_of_another_connection_says_whether_a_file_is_taken(
    world: World, name: str | None, path: str | None, taken: bool
) -> None:
    """By its binding: one that moved to other books leaves its mark behind, an unbound one has sent nothing."""
    stores.add_company(world.database, "bolt", bound_company_name=name, bound_company_file=path, **BOLT_IDS)
    world.quickbooks.state.data_ext[BOLT_IDS["owner_id"].lower()] = {"FileID": BOLT_IDS["file_id"].lower()}
    world.queue(stores.an_invoice())
    world.update()
    assert (problem_code(world) == "company_file_taken") is taken
    assert len(world.quickbooks.ledger) == (0 if taken else 1)


def test_both_connections_are_told_when_a_second_one_works_in_the_file(world: World) -> None:
    export(world, "inv_1")
    file = world.quickbooks
    bound = {"bound_company_name": file.name, "bound_company_file": file.path}
    stores.add_company(world.database, "bolt", **bound, **BOLT_IDS)
    file.state.data_ext[BOLT_IDS["owner_id"]] = {"FileID": BOLT_IDS["file_id"]}
    export(world, "inv_2")
    export(world, "inv_3")
    assert world.incidents().count("company_file_shared") == 2, "each of them once"
