"""How much the steps of an export ask and write: counts, the same on every machine."""

from __future__ import annotations

from typing import Any

import pytest

from activities.exports import ExportActivities
from benchmarks.queue_length import noted
from store import exports, waits
from store.engine import Database
from tests.support import stores
from workflows import contracts
from workflows.contracts import ExportState, Failure, PrepareInput, RecordInput, Transaction

PREPARE_NEW, PREPARE_ACCEPTED, RECORD = 8, 10, 3
FOUND = Transaction(txn_id="1-2", edit_sequence="3", ref_number="26-1")


@pytest.fixture
def steps(database: Database) -> ExportActivities:
    stores.add_company(database)
    return ExportActivities(database, clock=stores.Clock(), new_id=stores.counter("REQ"))


def prepare(steps: ExportActivities, document: dict[str, Any], run_id: str = "run-1") -> contracts.Prepared:
    return steps.prepare_export(PrepareInput(company_id="acme", document=document, run_id=run_id))


def record(steps: ExportActivities, document: dict[str, Any], state: ExportState, **more: Any) -> None:
    named = {"company_id": "acme", "kind": document["kind"], "document_id": document["id"], "run_id": "run-1"}
    steps.record_state(RecordInput(**named, state=state, text=f"It is {state}", key="end", **more))


def shown(database: Database, document: dict[str, Any]) -> tuple[Any, list[tuple[str, str]]]:
    """The row, and its timeline."""
    with database.transaction() as session:
        row = exports.find_export(session, "acme", document["kind"], document["id"])
        assert row is not None
        return row, [(entry.state, entry.text) for entry in exports.timeline(session, row.id)]


@pytest.mark.both_databases
def test_each_step_of_an_export_is_few_statements_and_one_commit(database: Database, steps: ExportActivities) -> None:
    """Lists that a document is held against come on top: this one finds everything in its mapping."""
    document = stores.an_invoice()
    counts = []
    for work in (
        lambda: prepare(steps, document),
        lambda: record(steps, document, ExportState.SENT),
        lambda: record(steps, document, ExportState.SUCCESSFUL, transaction=FOUND),
    ):
        with noted(database) as seen:
            work()
        commits = sum(statement == "COMMIT" for statement, _ in seen)
        counts.append((len(seen) - commits, commits))
    assert counts == [(PREPARE_NEW, 1), (RECORD, 1), (RECORD, 1)]
    row, timeline = shown(database, document)
    assert (row.state, row.detail, row.error, row.owner) == ("Successful", "It is Successful", None, None)
    assert row.quickbooks == FOUND.model_dump(mode="json")
    assert [state for state, _ in timeline] == ["Mapped", "Queued", "Sent", "Successful"]


@pytest.mark.both_databases
def test_an_export_that_our_api_accepted_takes_hardly_more(database: Database, steps: ExportActivities) -> None:
    document = stores.an_invoice()
    new = exports.NewExport(
        company_id="acme", kind="invoice", document_id=document["id"], number="?", content_hash="?", document=document
    )
    with database.transaction() as session:
        exports.add_export(session, new, state="Mapped", at=stores.Clock().now).detail = contracts.ACCEPTED
    with noted(database) as seen:
        assert prepare(steps, document).request_id is not None
    assert sum(statement != "COMMIT" for statement, _ in seen) == PREPARE_ACCEPTED
    row, timeline = shown(database, document)
    assert (row.state, row.number, row.run_id) == ("Queued", document["number"], "run-1")
    assert [state for state, _ in timeline] == ["Mapped", "Queued"]


@pytest.mark.both_databases
def test_a_state_that_is_recorded_twice_is_there_once(database: Database, steps: ExportActivities) -> None:
    """The second time nothing is written, and what came later stays."""
    document = stores.an_invoice()
    prepare(steps, document)
    record(steps, document, ExportState.SENT)
    record(steps, document, ExportState.SUCCESSFUL, transaction=FOUND)
    with noted(database) as seen:
        record(steps, document, ExportState.SENT)
    assert [statement.split()[0] for statement, _ in seen] == ["SELECT", "COMMIT"]
    row, timeline = shown(database, document)
    assert row.state == "Successful"
    assert len(timeline) == 4


@pytest.mark.both_databases
def test_a_failure_and_what_it_waits_for_go_with_the_next_state(database: Database, steps: ExportActivities) -> None:
    """A failure is written with its owner; neither it nor a wait is left on an export that is not failed any more."""
    document = stores.an_invoice()
    prepare(steps, document)
    refused = Failure(
        code="missing_reference",
        message='"LINEHAUL"',
        explanation="An item is gone.",
        owner="bookkeeper",
        next_step="Map",
    )
    record(steps, document, ExportState.FAILED, failure=refused)
    row, _ = shown(database, document)
    assert (row.state, row.owner, row.error["code"]) == ("Failed", "bookkeeper", "missing_reference")
    with database.transaction() as session:
        waits.set_waits(session, row, ["charges/FREIGHT"])
    record(steps, document, ExportState.CANCELLED)
    row, _ = shown(database, document)
    assert (row.state, row.owner, row.error) == ("Cancelled", None, None)
    with database.transaction() as session:
        assert waits.awaited(session, row.id) == []
