"""The exporter against a real Temporal development server; no worker is needed to cancel."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tms_api.services import ExportNotRunningError, TemporalUnreachableError
from tms_api.temporal import TemporalExporter
from workflows.contracts import ExportInput, export_workflow_id

INPUT = ExportInput(company_id="api-tests", document={"kind": "invoice", "id": "inv_1", "number": "1"})


@pytest_asyncio.fixture
async def client(temporal: WorkflowEnvironment) -> AsyncIterator[Client]:
    """Nothing stays open on the server that all tests share."""
    yield temporal.client
    with suppress(RPCError):
        await temporal.client.get_workflow_handle(export_workflow_id("api-tests", "invoice", "inv_3")).terminate()


def _exporter(client: Client) -> TemporalExporter:
    async def connected() -> Client:
        return client

    return TemporalExporter(connected)


async def test_cancel_reaches_the_run(client: Client) -> None:
    """Cancelling leaves its request and reason in the history; an export that does not run says so."""
    exporter = _exporter(client)
    workflow_id = export_workflow_id("api-tests", "invoice", "inv_3")
    await client.start_workflow("QuickBooksExport", INPUT, id=workflow_id, task_queue="nobody-works-here")
    assert await exporter.reachable()
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
            await exporter.cancel("export/acme/invoice/x", "")
        assert not await exporter.reachable()
        assert attempts == 2
