"""The mapping was mended while a document waited: what leaves is what is true when it leaves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from store import exports, queue
from store.engine import Database
from store.tables import Company, Export
from tests.support import stores
from tests.support.company_files import store_lists
from tests.support.world import OUTCOME, World


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def point_to(world: World, customer: str) -> None:
    with world.changed_mapping() as mapping:
        mapping["customers"]["cus_88"] = {"full_name": customer}


def party_of(world: World, number: int = -1) -> str:
    return world.quickbooks.full_name(world.quickbooks.ledger[number].entity)


def export_of(world: World, document_id: str = "inv_1") -> Export:
    with world.database.transaction() as session:
        return session.scalars(select(Export).where(Export.document_id == document_id)).one()


def texts(world: World) -> list[str]:
    export_id = export_of(world).id
    with world.database.transaction() as session:
        return [entry.text for entry in exports.timeline(session, export_id)]


def test_what_waits_goes_to_the_customer_of_today(world: World) -> None:
    """The new customer gets the invoice, under the same number and GUID, and the timeline says so."""
    request_id = world.queue(stores.an_invoice())
    before = world.request(request_id)
    point_to(world, "Pinnacle Paper")
    world.update()
    assert party_of(world) == "Pinnacle Paper"
    after = world.request(request_id)
    assert after.facts["external_guid"] == before.facts["external_guid"]
    assert after.facts["ref_number"] == before.facts["ref_number"]
    export = export_of(world)
    assert export.sent is not None
    assert export.sent["party"]["full_name"] == "Pinnacle Paper"
    assert "it now goes to Pinnacle Paper instead of Cafe Rio Foods" in texts(world)[-1]
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert outcome.transaction.differences == []
    world.must_hold()


def test_a_change_of_something_else_changes_nothing(world: World) -> None:
    """The body stays as it was, letter by letter, and nothing is said."""
    request_id = world.queue(stores.an_invoice())
    before = world.request(request_id).body
    said = texts(world)
    with world.changed_mapping() as mapping:
        mapping["customers"]["cus_99"] = {"full_name": "Pinnacle Paper"}
    world.update()
    assert world.request(request_id).body == before
    assert texts(world) == said
    world.must_hold()


def test_another_item_of_a_line_goes_too(world: World) -> None:
    """Not only the customer."""
    world.queue(stores.an_invoice())
    with world.changed_mapping() as mapping:
        mapping["charges"]["FUEL"] = {"invoice": {"item": {"full_name": "Accessorial"}}}
    world.update()
    lines = world.quickbooks.ledger[0].lines
    assert [world.quickbooks.full_name(str(line.item)) for line in lines] == ["Linehaul", "Accessorial"]
    assert texts(world)[-1].endswith("it goes with today's mapping")
    world.must_hold()


def test_what_cannot_be_mapped_any_more_fails_with_its_issues(world: World) -> None:
    """Nothing is sent; what stands behind it in the queue goes in the same session."""
    gone = world.queue(stores.an_invoice("inv_1"))
    with world.changed_mapping() as mapping:
        mapping["customers"] = {"cus_99": {"full_name": "Pinnacle Paper"}}
    there = world.queue(stores.an_invoice("inv_2", customer={"id": "cus_99", "name": "Pinnacle"}))
    world.update()
    outcome = world.outcome(gone)
    assert outcome is not None
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.owner) == ("document_not_exportable", "tms_user")
    assert [issue.code for issue in outcome.failure.issues] == ["customer_not_linked"]
    assert outcome.failure.explanation.startswith("The mapping, or the lists of QuickBooks, changed while it waited.")
    arrived = world.outcome(there)
    assert arrived is not None
    assert arrived.transaction is not None
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


def test_what_was_fetched_is_never_altered(world: World) -> None:
    """In flight: its outcome is found as it left, to the old customer."""
    request_id = world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML")
    world.update()
    left = world.request(request_id)
    point_to(world, "Pinnacle Paper")
    world.update()
    found = world.request(request_id)
    assert (found.body, found.facts) == (left.body, left.facts)
    assert party_of(world) == "Cafe Rio Foods"
    assert len(world.quickbooks.ledger) == 1
    export = export_of(world)
    assert export.sent is not None
    assert export.sent["party"]["full_name"] == "Cafe Rio Foods"
    world.must_hold()


def test_what_was_given_back_is_mapped_again_before_it_goes_a_second_time(world: World) -> None:
    """Proven absent by the look-up, so it is not in QuickBooks under the old customer."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.crash_before_commit()
    world.update()
    point_to(world, "Pinnacle Paper")
    for _ in range(3):
        world.update()
    assert [party_of(world, number) for number in range(len(world.quickbooks.ledger))] == ["Pinnacle Paper"]
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert world.request(request_id).attempt == 2
    world.must_hold()


@pytest.mark.parametrize("is_renumbered", [False, True])
def test_a_late_run_under_the_old_customer_is_found_before_the_second_attempt(
    world: World, is_renumbered: bool
) -> None:
    """It proved absent, the mapping was mended, and then a slow computer wrote it after all: one invoice, and told."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.crash_before_commit()
    world.update()
    left = world.request(request_id).body
    world.quickbooks.faults.lock("INV-1")  # absent, it is sent again in the same session, and refused for now
    world.update()
    assert world.request(request_id).state == "waiting"
    assert not world.quickbooks.ledger
    late = world.quickbooks.type_like(left)
    guid = world.request(request_id).facts["external_guid"]
    changed = {"ref_number": "30001"} if is_renumbered else {}
    world.quickbooks.edit_transaction(late.txn_id, external_guid=guid, **changed)
    point_to(world, "Pinnacle Paper")
    for _ in range(3):
        world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert outcome.transaction.txn_id == late.txn_id
    assert len(world.quickbooks.ledger) == 1
    assert "customer" in {one.path for one in outcome.transaction.differences}
    world.must_hold()


def test_a_locked_record_and_a_mended_mapping(world: World) -> None:
    """QuickBooks said that a record is in use: it waits, and goes as the mapping is then."""
    world.queue(stores.an_invoice())
    world.quickbooks.faults.lock("INV-1")
    world.update()
    assert not world.quickbooks.ledger
    point_to(world, "Pinnacle Paper")
    world.update()
    assert party_of(world) == "Pinnacle Paper"
    world.must_hold()


def test_a_customer_that_vanished_from_the_lists_keeps_its_documents_back(world: World) -> None:
    """Merged into another one while the document waited: once the lists are read it says so, and sends nothing."""
    store_lists(world.database, world.quickbooks)
    cafe = next(one for one in world.quickbooks.state.customers if one.full_name == "Cafe Rio Foods")
    with world.changed_mapping() as mapping:
        mapping["customers"]["cus_88"] = {"list_id": cafe.list_id, "full_name": cafe.full_name}
    request_id = world.queue(stores.an_invoice())
    into = next(one for one in world.quickbooks.state.customers if one.full_name == "Pinnacle Paper")
    world.quickbooks.merge_entries(cafe.list_id, into.list_id)
    store_lists(world.database, world.quickbooks)
    with world.changed_mapping():
        pass  # what the end of a pass over the lists does: it counts as a change
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert {issue.code for issue in outcome.failure.issues} <= {"target_gone", "target_unknown"}
    assert not world.quickbooks.ledger


def test_a_long_queue_that_cannot_be_mapped_ends_without_a_session_for_each(world: World) -> None:
    """Twenty at a time, in one session."""
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(45)]
    with world.changed_mapping() as mapping:
        del mapping["customers"]["cus_88"]
    world.update()
    for request_id in ids:
        outcome = world.outcome(request_id)
        assert outcome is not None
        assert outcome.failure is not None
    assert len(world.signals(OUTCOME)) == 45
    assert not world.quickbooks.ledger
    with world.database.transaction() as session:
        assert queue.count_waiting(session, "acme") == 0


def test_the_number_that_another_took_is_fitted_anew(world: World) -> None:
    """The rule for long numbers changed: the request gets the number of the new rule, and holds it."""
    document: dict[str, Any] = copy.deepcopy(stores.an_invoice(number="INV-2026-004821"))
    request_id = world.queue(document)
    before = world.request(request_id).facts["ref_number"]
    with world.changed_mapping():
        pass
    with world.database.transaction() as session:
        session.get_one(Company, "acme").ref_number_rule = "keep_start"
    world.update()
    after = world.quickbooks.ledger[0].ref_number
    assert after == "INV-2026-00"
    assert after != before
    export = export_of(world)
    assert export.ref_number == after
    with world.database.transaction() as session:
        taken = exports.numbers_of_others(
            session, company_id="acme", kind="invoice", party_id="", document_id="another"
        )
        assert taken(after)
        assert not taken(before)
    world.must_hold()


def test_a_reading_of_the_lists_counts_as_a_change(database: Database, clock: stores.Clock) -> None:
    """What waits is then held against the lists as they are."""
    world = World(database, clock, lists_are_here=False)

    def version() -> int:
        with database.transaction() as session:
            return session.get_one(Company, "acme").mapping_version

    before = version()
    for _ in range(3):
        world.update()
    assert version() > before
    world.close()
