"""The exporter against a real Temporal development server; no worker is needed to start and cancel."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tms_api.services import ExportNotRunningError, TemporalUnreachableError
from tms_api.temporal import TemporalExporter
from workflows import search_attributes
from workflows.contracts import ExportInput, export_workflow_id

INPUT = ExportInput(company_id="api-tests", document={"kind": "invoice", "id": "inv_1", "number": "1"})


@pytest_asyncio.fixture
async def client(temporal: WorkflowEnvironment) -> AsyncIterator[Client]:
    """Nothing stays open on the server that all tests share."""
    yield temporal.client
    for number in range(1, 4):
        with suppress(RPCError):
            await temporal.client.get_workflow_handle(_workflow_id(number)).terminate()


def _workflow_id(number: int) -> str:
    return export_workflow_id("api-tests", "invoice", f"inv_{number}")


def _exporter(client: Client) -> TemporalExporter:
    async def connected() -> Client:
        return client

    return TemporalExporter(connected)


async def test_start_is_the_same_export_while_it_runs(client: Client) -> None:
    """A second start keeps the run; attributes and summary are set, and the input can be read back."""
    exporter = _exporter(client)
    workflow_id = _workflow_id(1)
    await exporter.start(INPUT, workflow_id, "Invoice 1")
    first = await client.get_workflow_handle(workflow_id).describe()
    await exporter.start(INPUT, workflow_id, "Invoice 1")
    second = await client.get_workflow_handle(workflow_id).describe()
    assert first.run_id == second.run_id
    assert first.workflow_type == "QuickBooksExport"
    assert first.task_queue == "qbd-exports"
    assert first.typed_search_attributes.get(search_attributes.COMPANY_ID) == "api-tests"
    assert first.typed_search_attributes.get(search_attributes.DOCUMENT_KIND) == "invoice"
    assert await first.static_summary() == "Invoice 1"
    assert await exporter.reachable()


async def test_an_ended_run_is_followed_by_a_new_one(client: Client) -> None:
    """After a run that did not succeed the same id starts again, and not before that run has ended."""
    exporter = _exporter(client)
    workflow_id = _workflow_id(2)
    await exporter.start(INPUT, workflow_id, "Invoice 2")
    handle = client.get_workflow_handle(workflow_id)
    old = (await handle.describe()).run_id
    assert old is not None
    await handle.terminate()
    await exporter.start(INPUT, workflow_id, "Invoice 2", after_run=old)
    new = await handle.describe()
    assert new.run_id != old
    assert new.status == WorkflowExecutionStatus.RUNNING


async def test_cancel_reaches_the_run(client: Client) -> None:
    """Cancelling leaves its request and reason in the history; an export that does not run says so."""
    exporter = _exporter(client)
    workflow_id = _workflow_id(3)
    await exporter.start(INPUT, workflow_id, "Invoice 3")
    await exporter.cancel(workflow_id, "wrong load")
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    causes = [
        event.workflow_execution_cancel_requested_event_attributes.cause
        for event in history.events
        if event.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert causes == ["wrong load"]
    with pytest.raises(ExportNotRunningError):
        await exporter.cancel("export/acme/invoice/never", "")


async def test_nobody_listens() -> None:
    """A refused connection is told as such, and tried again at the next call."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        attempts = 0

        async def connect() -> Client:
            nonlocal attempts
            attempts += 1
            return await Client.connect(address, data_converter=pydantic_data_converter)

        exporter = TemporalExporter(connect)
        with pytest.raises(TemporalUnreachableError):
            await exporter.start(INPUT, "export/acme/invoice/x", "Invoice x")
        with pytest.raises(TemporalUnreachableError):
            await exporter.cancel("export/acme/invoice/x", "")
        assert not await exporter.reachable()
        assert attempts == 3
