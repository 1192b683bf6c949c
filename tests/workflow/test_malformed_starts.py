"""Anybody who reaches Temporal may start an export, with anything: it fails in words, and a good start works then."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.exports import ExportActivities
from ops.workflow_runner import strict_sandbox
from store import exports, outbox
from store.engine import Database
from store.tables import OutboxSignal
from tests.support import stores
from tests.workflow.test_export_workflow import eventually
from workflows import contracts
from workflows.contracts import ExportInput, ExportState, ExportView, Outcome, Transaction, WorkflowStart
from workflows.export import QuickBooksExport
from workflows.list_sync import QuickBooksListSync
from workflows.raw_input import MALFORMED_INPUT
from workflows.webhook import WebhookDelivery
from workflows.webhook_contracts import WORKFLOW_TYPE as WEBHOOK_TYPE

TRANSACTION = Transaction(txn_id="C5-1417118624", edit_sequence="1417118624", ref_number="INV-1", txn_number="7")


class Office:
    """A worker over a database, and a client that is no program of ours."""

    def __init__(self, client: Client, database: Database, task_queue: str, clock: stores.Clock) -> None:
        self.client, self.database, self.task_queue, self.clock = client, database, task_queue, clock
        self.company = f"co-{uuid.uuid4().hex[:8]}"
        stores.add_company(database, self.company)

    def id_of(self, document: dict[str, Any]) -> str:
        return contracts.export_workflow_id(self.company, document["kind"], document["id"])

    async def start(self, workflow_id: str, *arguments: Any, kind: str = contracts.WORKFLOW_TYPE) -> Any:
        return await self.client.start_workflow(
            kind,
            args=list(arguments),
            id=workflow_id,
            task_queue=self.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def failure(self, workflow_id: str, *arguments: Any) -> dict[str, Any]:
        handle = await self.start(workflow_id, *arguments)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        cause = caught.value.cause
        assert isinstance(cause, ApplicationError)
        assert cause.type == contracts.FAILURE_TYPE
        view = await handle.query(contracts.QUERY_VIEW, result_type=ExportView)
        assert view.state is ExportState.FAILED
        details: dict[str, Any] = cause.details[0]
        return details


@pytest_asyncio.fixture
async def office(temporal: WorkflowEnvironment, database: Database, clock: stores.Clock) -> AsyncIterator[Office]:
    task_queue = f"malformed-{uuid.uuid4().hex[:8]}"
    activities = ExportActivities(database, clock=clock, new_id=stores.counter("R"))
    worker = Worker(
        temporal.client,
        task_queue=task_queue,
        workflows=[QuickBooksExport, QuickBooksListSync, WebhookDelivery],
        activities=[activities.prepare_export, activities.record_state, activities.cancel_request],
        activity_executor=ThreadPoolExecutor(4),
        workflow_runner=strict_sandbox(),
    )
    async with worker:
        yield Office(temporal.client, database, task_queue, clock)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "It needs one argument, an object with company_id and document; nothing came."),
        ((None,), "nothing came"),
        (({"company": "acme", "invoice": {}},), "company_id: field required; document: field required"),
        (({"company_id": "acme"},), "document: field required"),
        (({"company_id": "acme", "document": "inv_48213"},), "document: input should be a valid dictionary"),
        (({"company_id": 7, "document": {}},), "company_id: input should be a valid string"),
        (("inv_48213",), "the argument: input should be a valid dictionary"),
        (([1, 2],), "the argument: input should be a valid dictionary"),
        (("acme", {"id": "inv_48213"}), "It needs one argument, an object with company_id and document; 2 came."),
        ((b"\x00\x01",), "the argument: input should be a valid dictionary"),
    ],
    ids=["none", "null", "names", "half", "text", "number", "string", "list", "two", "bytes"],
)
async def test_what_is_no_input_fails_in_words_and_a_good_start_works(
    office: Office, arguments: tuple[Any, ...], said: str
) -> None:
    document = stores.an_invoice()
    failure = await office.failure(office.id_of(document), *arguments)
    assert (failure["code"], failure["owner"]) == (contracts.MALFORMED_START, "tms_user")
    assert said in failure["explanation"]
    handle = await office.start(office.id_of(document), ExportInput(company_id=office.company, document=document))
    await _succeed(handle)


async def test_an_id_of_another_document_is_refused_and_neither_of_both_is_touched(office: Office) -> None:
    document, other = stores.an_invoice(), stores.an_invoice("inv_2")
    good = ExportInput(company_id=office.company, document=document)
    for wrong in (office.id_of(other), f"export/another/invoice/{document['id']}", "something else"):
        failure = await office.failure(wrong, good)
        assert failure["code"] == contracts.MALFORMED_START
        assert office.id_of(document) in failure["message"]
    with office.database.transaction() as session:
        assert exports.find_export(session, office.company, "invoice", document["id"]) is None
    handle = await office.start(office.id_of(document), good)
    await _succeed(handle)


async def test_garbage_in_signals_is_passed_over(office: Office) -> None:
    document = stores.an_invoice()
    handle = await office.start(office.id_of(document), ExportInput(company_id=office.company, document=document))
    for signal in (contracts.SIGNAL_SENT, contracts.SIGNAL_OUTCOME):
        for garbage in ({"request": 1}, "text", None):
            await handle.signal(signal, garbage)
        await handle.signal(signal)
    await _succeed(handle)


@pytest.mark.parametrize(
    ("kind", "workflow_id"), [(contracts.SYNC_WORKFLOW_TYPE, "sync/{company}"), (WEBHOOK_TYPE, "webhook/{company}/1")]
)
async def test_the_other_workflows_fail_in_words_as_well(office: Office, kind: str, workflow_id: str) -> None:
    handle = await office.start(workflow_id.format(company=office.company), {"nothing": 1}, kind=kind)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == MALFORMED_INPUT
    assert "field required" in caught.value.cause.message


async def test_an_export_that_our_api_accepted_begins_behind_a_malformed_run(office: Office) -> None:
    """The relay's start may have met that run, and been taken for the same export."""
    document = stores.an_invoice()
    with office.database.transaction() as session:
        new = exports.NewExport(
            company_id=office.company,
            kind="invoice",
            document_id=document["id"],
            number=document["number"],
            content_hash="of what was accepted",
            document=document,
        )
        row = exports.new_export(new, state=ExportState.MAPPED, at=office.clock())
        row.detail = contracts.ACCEPTED
        session.add(row)
    handle = await office.start(office.id_of(document), {"wrong": True})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    with office.database.transaction() as session:
        [signal] = session.query(OutboxSignal).filter_by(workflow_id=office.id_of(document))
        start = WorkflowStart.model_validate(signal.payload)
    assert signal.signal == outbox.START
    assert (start.after_run, start.argument["document"]) == (handle.result_run_id, document)


async def _succeed(handle: Any) -> None:
    """Play the bridge to the good end."""

    async def request_of() -> str | None:
        view: ExportView = await handle.query(contracts.QUERY_VIEW, result_type=ExportView)
        return view.request_id

    request_id = await eventually(request_of)
    await handle.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))
    assert (await handle.result())["txn_id"] == TRANSACTION.txn_id
