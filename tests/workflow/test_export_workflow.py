"""The export workflow on a real server with real activities over a real database; only the bridge is played."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.exports import ExportActivities
from ops.workflow_runner import strict_sandbox
from store import exports, queue, states
from store.engine import Database
from tests.support import stores
from workflows import contracts
from workflows.contracts import (
    CancelInput,
    ExportInput,
    ExportState,
    ExportView,
    Failure,
    Outcome,
    PrepareInput,
    RecordInput,
    Sent,
    Transaction,
)
from workflows.export import TOO_LATE_TEXT, QuickBooksExport
from workflows.search_attributes import COMPANY_ID, DOCUMENT_KIND

TRANSACTION = Transaction(txn_id="C5-1417118624", edit_sequence="1417118624", ref_number="INV-1", txn_number="7")
MAX_EVENTS = 20
HISTORIES = Path(__file__).parents[1] / "replay" / "histories"


class Exporting:
    """What a test does with one server, database and worker."""

    def __init__(self, env: WorkflowEnvironment, database: Database, task_queue: str) -> None:
        self.client = env.client
        self.database = database
        self.task_queue = task_queue
        self.company = f"co-{uuid.uuid4().hex[:8]}"
        stores.add_company(database, self.company)

    async def start(self, document: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        """Start an export as the API does."""
        return await self.client.start_workflow(
            contracts.WORKFLOW_TYPE,
            ExportInput(company_id=self.company, document=document),
            id=contracts.export_workflow_id(self.company, document["kind"], document["id"]),
            task_queue=self.task_queue,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(COMPANY_ID, self.company),
                    SearchAttributePair(DOCUMENT_KIND, document["kind"]),
                ]
            ),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            result_type=Transaction,
        )

    def row(self, document: dict[str, Any]) -> Any:
        """The read model."""
        with self.database.transaction() as session:
            return exports.find_export(session, self.company, document["kind"], document["id"])

    async def until(self, document: dict[str, Any], state: ExportState) -> Any:
        """Wait until the read model shows the state."""
        return await eventually(lambda: self._in_state(document, state))

    async def _in_state(self, document: dict[str, Any], state: ExportState) -> Any:
        row = self.row(document)
        return row if row is not None and row.state == state else None

    def request_id(self, row: Any) -> str:
        """The newest request of an export."""
        with self.database.transaction() as session:
            request = queue.newest_request(session, row.id)
            assert request is not None
            return request.id

    async def fetch(self, handle: WorkflowHandle[Any, Any], request_id: str) -> None:
        """Play the bridge: the request leaves."""
        with self.database.transaction() as session:
            request = queue.request(session, request_id)
            assert request is not None
            request.state = states.IN_FLIGHT
            request.message_set_id = "SET1"
        await handle.signal(contracts.SIGNAL_SENT, Sent(request_id=request_id, message_set_id="SET1"))


async def eventually(probe: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """Poll until the probe gives something."""
    async with asyncio.timeout(seconds):
        while True:
            found = await probe()
            if found is not None and found is not False:
                return found
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def exporting(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Exporting]:
    """A worker over this test's database."""
    from concurrent.futures import ThreadPoolExecutor

    numbers = itertools.count(1)
    clock = stores.Clock()
    activities = ExportActivities(database, clock=clock, new_id=lambda: f"REQ{next(numbers):05d}")
    task_queue = f"test-{uuid.uuid4().hex}"
    async with Worker(
        temporal.client,
        task_queue=task_queue,
        workflows=[QuickBooksExport],
        activities=[activities.prepare_export, activities.record_state, activities.cancel_request],
        activity_executor=ThreadPoolExecutor(8),
        workflow_runner=strict_sandbox(),
    ):
        yield Exporting(temporal, database, task_queue)


async def remember(handle: WorkflowHandle[Any, Any], name: str) -> int:
    """Give the number of events; with QBD_SAVE_HISTORIES set, keep the history for the replay tests."""
    history = await handle.fetch_history()
    if os.environ.get("QBD_SAVE_HISTORIES"):
        # Stack traces and identities name the machine that recorded it; replay needs neither.
        text = re.sub(r'"(stackTrace|identity)": "(?:[^"\\]|\\.)*"', r'"\1": ""', history.to_json())
        (HISTORIES / f"{name}.json").write_text(text)
    return len(history.events)


async def succeed(ex: Exporting, handle: WorkflowHandle[Any, Any], document: dict[str, Any]) -> None:
    """Play the bridge to the good end."""
    row = await ex.until(document, ExportState.QUEUED)
    request_id = ex.request_id(row)
    await ex.fetch(handle, request_id)
    await ex.until(document, ExportState.SENT)
    await handle.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))


async def test_a_successful_export_goes_through_every_state_within_the_event_budget(exporting: Exporting) -> None:
    """Mapped, Queued, Sent, Successful, in at most twenty events."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    await succeed(exporting, handle, document)
    assert await handle.result() == TRANSACTION
    assert await remember(handle, "successful") <= MAX_EVENTS
    row = exporting.row(document)
    assert row.state == ExportState.SUCCESSFUL
    assert row.quickbooks["txn_id"] == TRANSACTION.txn_id
    with exporting.database.transaction() as session:
        states = [entry.state for entry in exports.timeline(session, row.id)]
    assert states == ["Mapped", "Queued", "Sent", "Successful"]


async def test_a_repeated_start_is_the_same_export(exporting: Exporting) -> None:
    """Two starts at the same moment give one run and one request."""
    document = stores.an_invoice()
    one, two = await asyncio.gather(exporting.start(document), exporting.start(document))
    assert one.first_execution_run_id == two.first_execution_run_id or one.result_run_id == two.result_run_id
    row = await exporting.until(document, ExportState.QUEUED)
    with exporting.database.transaction() as session:
        assert queue.count_waiting(session, exporting.company) == 1
        assert queue.newest_request(session, row.id) is not None
    await one.terminate("the test is over")


async def test_a_document_that_cannot_be_mapped_fails_with_every_reason(exporting: Exporting) -> None:
    """The failure carries code, owner, next step and each issue; nothing is queued."""
    document = stores.an_invoice()
    document["lines"][1]["charge"] = "UNHEARD"
    document["customer"]["id"] = "cus_unknown"
    handle = await exporting.start(document)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    await remember(handle, "not_mapped")
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == contracts.FAILURE_TYPE
    failure = Failure.model_validate(cause.details[0])
    assert {issue.code for issue in failure.issues} == {"charge_not_mapped", "customer_not_linked"}
    assert failure.owner
    assert failure.next_step
    assert exporting.row(document).state == ExportState.FAILED
    with exporting.database.transaction() as session:
        assert queue.count_waiting(session, exporting.company) == 0


async def test_quickbooks_refusal_fails_the_workflow_and_a_new_start_is_a_new_attempt(exporting: Exporting) -> None:
    """A failed export may be started again and then succeed."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    row = await exporting.until(document, ExportState.QUEUED)
    request_id = exporting.request_id(row)
    await exporting.fetch(handle, request_id)
    failure = Failure(code="3140", message="no such item", explanation="Gone.", owner="tms_user", next_step="Map it.")
    outcome = Outcome(request_id=request_id, key="end", failure=failure)
    with exporting.database.transaction() as session:
        request = queue.request(session, request_id)
        assert request is not None
        request.state = states.DONE
        request.outcome = outcome.model_dump(mode="json")
    await handle.signal(contracts.SIGNAL_OUTCOME, outcome)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await remember(handle, "refused")
    assert exporting.row(document).error["code"] == "3140"
    again = await exporting.start(document)
    await succeed(exporting, again, document)
    assert (await again.result()).txn_id == TRANSACTION.txn_id
    assert exporting.row(document).error is None


async def test_signals_about_other_requests_and_repeated_ones_change_nothing(exporting: Exporting) -> None:
    """Only this run's request moves it, once."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    row = await exporting.until(document, ExportState.QUEUED)
    foreign = Outcome(request_id="SOMEBODY", key="end", transaction=TRANSACTION)
    await handle.signal(contracts.SIGNAL_OUTCOME, foreign)
    request_id = exporting.request_id(row)
    for _ in range(3):
        await exporting.fetch(handle, request_id)
    await exporting.until(document, ExportState.SENT)
    with exporting.database.transaction() as session:
        states = [entry.state for entry in exports.timeline(session, row.id)]
    assert states == ["Mapped", "Queued", "Sent"]
    view = await handle.query(contracts.QUERY_VIEW, result_type=ExportView)
    assert view.state == ExportState.SENT
    await handle.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))
    await handle.result()


async def test_a_requeued_export_waits_again_and_arrives_later(exporting: Exporting) -> None:
    """A passing refusal takes it back to Queued, not to Failed."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    row = await exporting.until(document, ExportState.QUEUED)
    request_id = exporting.request_id(row)
    await exporting.fetch(handle, request_id)
    await exporting.until(document, ExportState.SENT)
    requeued = Outcome(request_id=request_id, key="again-1", requeued="A form is open in QuickBooks")
    await handle.signal(contracts.SIGNAL_OUTCOME, requeued)
    row = await exporting.until(document, ExportState.QUEUED)
    assert row.detail == "A form is open in QuickBooks"
    await handle.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))
    await handle.result()
    await remember(handle, "requeued")


async def test_a_cancellation_before_sent_takes_the_request_out_of_the_queue(exporting: Exporting) -> None:
    """The workflow ends cancelled and the document may be exported again."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    await exporting.until(document, ExportState.QUEUED)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    await remember(handle, "cancelled")
    assert exporting.row(document).state == ExportState.CANCELLED
    with exporting.database.transaction() as session:
        assert queue.count_waiting(session, exporting.company) == 0
    again = await exporting.start(document)
    await succeed(exporting, again, document)
    await again.result()


async def test_a_cancellation_after_sent_changes_nothing(exporting: Exporting) -> None:
    """QuickBooks may have it: the export goes on to its true end."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    row = await exporting.until(document, ExportState.QUEUED)
    request_id = exporting.request_id(row)
    await exporting.fetch(handle, request_id)
    await exporting.until(document, ExportState.SENT)
    await handle.cancel()
    await handle.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))
    assert await handle.result() == TRANSACTION
    await remember(handle, "cancelled_too_late")
    assert exporting.row(document).state == ExportState.SUCCESSFUL


async def test_a_cancellation_that_came_too_late_is_answered_and_kept(exporting: Exporting) -> None:
    """People read that their wish was heard; it is granted when QuickBooks gives the document back."""
    for name in ("cancelled_in_quickbooks_said", "cancelled_when_given_back"):
        document = stores.an_invoice(name)
        handle = await exporting.start(document)
        row = await exporting.until(document, ExportState.QUEUED)
        request_id = exporting.request_id(row)
        await exporting.fetch(handle, request_id)
        await exporting.until(document, ExportState.SENT)
        await handle.cancel()
        await eventually(lambda document=document: said_to_be_too_late(exporting, document))  # type: ignore[misc]
        if name == "cancelled_in_quickbooks_said":
            end = Outcome(request_id=request_id, key="end", transaction=TRANSACTION)
            await handle.signal(contracts.SIGNAL_OUTCOME, end)
            assert await handle.result() == TRANSACTION
        else:
            with exporting.database.transaction() as session:
                request = queue.request(session, request_id)
                assert request is not None
                request.state, request.message_set_id = states.WAITING, None
            back = Outcome(request_id=request_id, key="again-1", requeued="A form is open in QuickBooks")
            await handle.signal(contracts.SIGNAL_OUTCOME, back)
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
            assert isinstance(caught.value.cause, CancelledError)
            assert exporting.row(document).state == ExportState.CANCELLED
        await remember(handle, name)


async def said_to_be_too_late(exporting: Exporting, document: dict[str, Any]) -> bool:
    row = exporting.row(document)
    return row is not None and row.state == ExportState.SENT and row.detail == TOO_LATE_TEXT


async def test_a_new_run_adopts_a_request_that_is_under_way(exporting: Exporting) -> None:
    """An operator's terminate and a new start never put a second request into the queue."""
    document = stores.an_invoice()
    handle = await exporting.start(document)
    row = await exporting.until(document, ExportState.QUEUED)
    request_id = exporting.request_id(row)
    await exporting.fetch(handle, request_id)
    await exporting.until(document, ExportState.SENT)
    await handle.terminate("by mistake")
    again = await exporting.start(document)
    view = await eventually(lambda: sent_view(again))
    assert view.request_id == request_id
    await again.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))
    assert await again.result() == TRANSACTION
    with exporting.database.transaction() as session:
        assert queue.newest_request(session, row.id).id == request_id  # type: ignore[union-attr]


async def sent_view(handle: WorkflowHandle[Any, Any]) -> ExportView | None:
    """The view once it says Sent."""
    view = await handle.query(contracts.QUERY_VIEW, result_type=ExportView)
    return view if view.state == ExportState.SENT else None


async def test_a_start_of_the_api_that_comes_after_a_cancel_sends_nothing(exporting: Exporting) -> None:
    """It was held up, or delivered twice: the export stays cancelled, and a new wish of a person starts it."""
    document = stores.an_invoice("late_start")
    numbers = itertools.count(1)
    steps = ExportActivities(
        exporting.database, clock=lambda: datetime.now(UTC), new_id=lambda: f"LATE{next(numbers):05d}"
    )
    first = steps.prepare_export(_prepare(exporting, document, "run-1", is_accepted=True))
    assert first.request_id is not None
    steps.cancel_request(CancelInput(request_id=first.request_id, run_id="run-1"))
    steps.record_state(_state(exporting, document, "run-1", ExportState.CANCELLED))
    late = steps.prepare_export(_prepare(exporting, document, "run-2", is_accepted=True))
    assert late.failure is not None
    assert late.failure.code == "start_too_late"
    assert exporting.row(document).state == ExportState.CANCELLED
    direct = steps.prepare_export(_prepare(exporting, document, "run-3", is_accepted=False))
    assert direct.request_id is not None


def _prepare(exporting: Exporting, document: dict[str, Any], run_id: str, *, is_accepted: bool) -> PrepareInput:
    return PrepareInput(company_id=exporting.company, document=document, run_id=run_id, is_accepted=is_accepted)


def _state(exporting: Exporting, document: dict[str, Any], run_id: str, state: ExportState) -> RecordInput:
    return RecordInput(
        company_id=exporting.company,
        kind=document["kind"],
        document_id=document["id"],
        run_id=run_id,
        state=state,
        text="Taken back",
        key="cancelled",
    )
