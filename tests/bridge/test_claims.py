"""A person's word about a document and QuickBooks is looked up there and compared, with and without a TxnID."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.by_hand import Typed
from store import states
from store.engine import Database
from store.tables import Export
from tests.support import stores
from tests.support.world import World
from workflows.contracts import Outcome, PrepareInput

BY = 'key "tests"'


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def failed(world: World, document_id: str = "inv_1") -> str:
    """An export that QuickBooks refused; gives the Add that it was."""
    request_id = world.queue(stores.an_invoice(document_id))
    number = str(world.request(request_id).facts["ref_number"])
    world.quickbooks.faults.reject(number, 3180, "There was an error when saving")
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    return world.request(request_id).body


def claim(world: World, txn_id: str | None, *, is_seen: bool = False, document_id: str = "inv_1") -> str:
    """Somebody says that it is in QuickBooks; gives the request that looks it up."""
    with world.database.transaction() as session:
        row = session.query(Export).filter_by(document_id=document_id).one()
        row.claim = {"txn_id": txn_id, "by": BY, "at": "2026-11-23T10:00:00+00:00", "is_seen": is_seen}
        run = f"{row.run_id}+"
    prepared = world.activities.prepare_export(
        PrepareInput(company_id="acme", document=stores.an_invoice(document_id), run_id=run)
    )
    assert prepared.request_id is not None, prepared
    return prepared.request_id


def answer(world: World, txn_id: str | None, *, is_seen: bool = False) -> Outcome:
    request_id = claim(world, txn_id, is_seen=is_seen)
    assert world.request(request_id).state == states.WAITING
    assert world.update().outcome == "ok"
    assert world.message_sets()[-1].kind == "verify"
    outcome = world.outcome(request_id)
    assert outcome is not None
    return outcome


def code(outcome: Outcome) -> str:
    assert outcome.failure is not None, outcome
    assert outcome.failure.owner == "bookkeeper"
    return outcome.failure.code


@pytest.mark.parametrize("typed", [Typed(), Typed(days=2), Typed(cents=1), Typed(is_for_job=True)])
@pytest.mark.parametrize("is_named", [True, False])
def test_what_is_there_as_it_should_be_is_adopted(world: World, typed: Typed, is_named: bool) -> None:
    there = world.quickbooks.type_like(failed(world), typed)
    outcome = answer(world, there.txn_id if is_named else None)
    assert outcome.transaction is not None, outcome
    assert (outcome.transaction.txn_id, outcome.transaction.confirmed_by) == (there.txn_id, BY)
    assert outcome.transaction.confirmed_by_person
    assert outcome.transaction.edit_sequence is not None
    assert len(world.quickbooks.ledger) == 1


def test_a_txn_id_that_is_not_there_fails_and_is_corrected(world: World) -> None:
    there = world.quickbooks.type_like(failed(world))
    wrong = answer(world, "FFFF-1767225600")
    assert code(wrong) == "not_confirmed"
    assert wrong.failure is not None
    assert "has no invoice with the TxnID FFFF-1767225600" in wrong.failure.explanation
    right = answer(world, there.txn_id)
    assert right.transaction is not None
    assert right.transaction.txn_id == there.txn_id


def test_another_total_is_shown_and_then_a_person_may_insist(world: World) -> None:
    there = world.quickbooks.type_like(failed(world), Typed(cents=5000))
    wrong = answer(world, there.txn_id)
    assert code(wrong) == "not_confirmed"
    assert wrong.failure is not None
    assert [one.txn_id for one in wrong.failure.candidates] == [there.txn_id]
    assert "over 2112.50" in wrong.failure.explanation
    assert answer(world, there.txn_id, is_seen=True).transaction is not None


def test_the_transaction_of_another_customer_is_never_taken(world: World) -> None:
    body = failed(world)
    there = world.quickbooks.type_like(body, Typed(ref_number="A-77", days=1, cents=-1000))
    assert code(answer(world, there.txn_id)) == "not_confirmed"
    assert code(answer(world, there.txn_id, is_seen=True)) == "not_confirmed"


def test_the_transaction_of_another_export_is_never_taken(world: World) -> None:
    failed(world)
    other = world.queue(stores.an_invoice("inv_2"))
    world.update()
    arrived = world.outcome(other)
    assert arrived is not None
    assert arrived.transaction is not None
    with world.database.transaction() as session:
        row = session.query(Export).filter_by(document_id="inv_2").one()
        row.quickbooks = arrived.transaction.model_dump(mode="json")
    outcome = answer(world, arrived.transaction.txn_id)
    assert code(outcome) == "not_confirmed"
    assert outcome.failure is not None
    assert "invoice INV-2" in outcome.failure.explanation


def test_without_a_txn_id_several_that_resemble_it_are_asked_back(world: World) -> None:
    body = failed(world)
    ids = {world.quickbooks.type_like(body, typed).txn_id for typed in (Typed(), Typed(days=9))}
    outcome = answer(world, None)
    assert code(outcome) == "found_in_quickbooks"
    assert outcome.failure is not None
    assert {one.txn_id for one in outcome.failure.candidates} == ids


def test_without_a_txn_id_nothing_like_it_is_said_so(world: World) -> None:
    failed(world)
    assert code(answer(world, None)) == "not_confirmed"
    assert not world.quickbooks.ledger


def test_while_the_web_connector_is_away_the_word_waits(world: World) -> None:
    """It is Pending: what nobody has seen in QuickBooks is not Successful."""
    failed(world)
    request_id = claim(world, "5A2B-1767225600")
    world.clock.forward(days=3)
    assert world.request(request_id).state == states.WAITING
    with world.database.transaction() as session:
        row = session.query(Export).one()
        assert (row.state, row.quickbooks, row.claim) == ("Queued", None, None)
        assert "looks it up there" in row.detail


def test_words_and_new_documents_of_one_session_do_not_hinder_each_other(world: World) -> None:
    there = world.quickbooks.type_like(failed(world))
    said = claim(world, there.txn_id)
    new = world.queue(stores.an_invoice("inv_9"))
    assert world.update().outcome == "ok"
    assert [one.kind for one in world.message_sets()][-2:] == ["verify", "write"]
    assert [world.request(one).state for one in (said, new)] == [states.DONE] * 2
    assert len(world.quickbooks.ledger) == 2
