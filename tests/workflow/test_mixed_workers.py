"""Old and new workers on one task queue, as in a rolling restart: runs are late at worst, and never wrong."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.exports import ExportActivities
from store.engine import Database
from tests.replay.changes import Before
from tests.support import stores
from tests.workflow.test_export_workflow import TRANSACTION, Exporting, eventually
from workflows import contracts
from workflows.contracts import ExportInput, ExportState, Outcome
from workflows.export import QuickBooksExport

TASK_TIMEOUT = timedelta(seconds=5)
"""After it the server gives a task that failed twice to the next worker; ten seconds in production."""


class Fleet:
    """Workers of two programs over one database."""

    def __init__(self, env: WorkflowEnvironment, database: Database) -> None:
        self.exporting = Exporting(env, database, f"mixed-{uuid.uuid4().hex}")
        numbers = itertools.count(1)
        self._activities = ExportActivities(database, clock=stores.Clock(), new_id=lambda: f"REQ{next(numbers):05d}")

    @asynccontextmanager
    async def worker(self, program: type) -> AsyncIterator[None]:
        """A process of this program; nothing is cached, so each task is a replay on whoever gets it."""
        client = self.exporting.client
        own = await Client.connect(
            client.service_client.config.target_host, namespace=client.namespace, data_converter=client.data_converter
        )
        activities = self._activities
        async with Worker(
            own,
            task_queue=self.exporting.task_queue,
            workflows=[program],
            activities=[activities.prepare_export, activities.record_state, activities.cancel_request],
            activity_executor=ThreadPoolExecutor(4),
            max_cached_workflows=0,
            graceful_shutdown_timeout=timedelta(seconds=1),
        ):
            yield

    async def send(self, document: dict[str, Any]) -> tuple[WorkflowHandle[Any, Any], str]:
        """Start an export, and let the bridge fetch it."""
        handle: WorkflowHandle[Any, Any] = await self.exporting.client.start_workflow(
            contracts.WORKFLOW_TYPE,
            ExportInput(company_id=self.exporting.company, document=document),
            id=contracts.export_workflow_id(self.exporting.company, document["kind"], document["id"]),
            task_queue=self.exporting.task_queue,
            task_timeout=TASK_TIMEOUT,
        )
        row = await self.exporting.until(document, ExportState.QUEUED)
        request_id = self.exporting.request_id(row)
        await self.exporting.fetch(handle, request_id)
        await self.exporting.until(document, ExportState.SENT)
        return handle, request_id


async def events(handle: WorkflowHandle[Any, Any]) -> list[Any]:
    return list((await handle.fetch_history()).events)


async def hears_a_cancel(handle: WorkflowHandle[Any, Any]) -> None:
    await handle.cancel()

    async def heard() -> bool:
        kinds = [event.event_type for event in await events(handle)]
        asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
        # While a task is under way the server keeps the wish back.
        return asked in kinds and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in kinds[kinds.index(asked) :]

    await eventually(heard)


async def ends(handle: WorkflowHandle[Any, Any], request_id: str) -> None:
    await handle.signal(contracts.SIGNAL_OUTCOME, Outcome(request_id=request_id, key="end", transaction=TRANSACTION))


async def refused_by_the_old(handle: WorkflowHandle[Any, Any]) -> bool:
    return any(
        event.workflow_task_failed_event_attributes.cause
        == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
        for event in await events(handle)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    )


@pytest.mark.long
async def test_each_run_ends_well_whichever_program_its_steps_met(
    temporal: WorkflowEnvironment, database: Database
) -> None:
    """From old to new at any place; from new to old where nothing changed; the changed place waits for a new worker."""
    fleet = Fleet(temporal, database)
    async with fleet.worker(Before):
        untouched, untouched_id = await fleet.send(stores.an_invoice("untouched"))
        old_way, old_id = await fleet.send(stores.an_invoice("old_way"))
        await hears_a_cancel(old_way)
    async with fleet.worker(QuickBooksExport):
        plain, plain_id = await fleet.send(stores.an_invoice("plain"))
        new_way, new_id = await fleet.send(stores.an_invoice("new_way"))
        await hears_a_cancel(new_way)
        for handle, request_id in ((untouched, untouched_id), (old_way, old_id)):
            await ends(handle, request_id)
            assert (await handle.result())["txn_id"] == TRANSACTION.txn_id
    async with fleet.worker(Before):
        # An old worker that was not replaced yet gets the task of a run that a new one has brought further.
        await ends(plain, plain_id)
        assert (await plain.result())["txn_id"] == TRANSACTION.txn_id
        await ends(new_way, new_id)
        await eventually(lambda: refused_by_the_old(new_way))
        assert (await new_way.describe()).status == WorkflowExecutionStatus.RUNNING
        async with fleet.worker(QuickBooksExport):
            assert (await new_way.result())["txn_id"] == TRANSACTION.txn_id
    for document_id in ("untouched", "old_way", "plain", "new_way"):
        assert fleet.exporting.row(stores.an_invoice(document_id)).state == ExportState.SUCCESSFUL
