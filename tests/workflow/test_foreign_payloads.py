"""Payloads that are no JSON, ids that no column takes, keys that are too long: no task and no step hangs on them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.exports import ExportActivities
from activities.syncs import SyncActivities
from ops.payload_codec import data_converter
from ops.workflow_runner import strict_sandbox
from store import exports
from store.engine import Database
from store.key_ring import KeyRing
from tests.support import stores
from tests.workflow.test_malformed_starts import Office, _succeed
from workflows import contracts
from workflows.contracts import ExportInput
from workflows.export import QuickBooksExport
from workflows.list_sync import QuickBooksListSync

NOT_JSON = {
    "bytes": Payload(metadata={"encoding": b"binary/plain"}, data=b"\x00\xff"),
    "somebody else's": Payload(metadata={"encoding": b"binary/of-somebody-else"}, data=b"sealed"),
    "broken": Payload(metadata={"encoding": b"json/plain"}, data=b"{not json"),
    "an unknown message": Payload(metadata={"encoding": b"json/protobuf", "messageType": b"no.such.Type"}, data=b"{}"),
    "without encoding": Payload(data=b"nothing says what"),
}


@pytest_asyncio.fixture
async def office(temporal: WorkflowEnvironment, database: Database, clock: stores.Clock) -> AsyncIterator[Office]:
    """Workers that convert as those of production do."""
    config = temporal.client.config()
    config["data_converter"] = data_converter(KeyRing())
    client = Client(**config)
    task_queue = f"foreign-{uuid.uuid4().hex[:8]}"
    activities = ExportActivities(database, clock=clock, new_id=stores.counter("R"))
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[QuickBooksExport, QuickBooksListSync],
        activities=[
            activities.prepare_export,
            activities.record_state,
            activities.cancel_request,
            SyncActivities(database).sync_status,
        ],
        activity_executor=ThreadPoolExecutor(4),
        workflow_runner=strict_sandbox(),
    )
    async with worker:
        yield Office(client, database, task_queue, clock)


@pytest.mark.parametrize("payload", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_no_json_fails_in_words(office: Office, payload: Payload) -> None:
    document = stores.an_invoice()
    failure = await office.failure(office.id_of(document), RawValue(payload))
    assert failure["code"] == contracts.MALFORMED_START
    handle = await office.start(office.id_of(document), ExportInput(company_id=office.company, document=document))
    await handle.signal(contracts.SIGNAL_OUTCOME, RawValue(payload))
    await _succeed(handle)


@pytest.mark.parametrize(
    ("company", "document_id"), [("acme\x00", "inv_1"), ("", "inv_1"), ("acme", "inv 1"), ("a" * 65, "inv_1")]
)
async def test_ids_that_are_none_are_refused_before_the_database_is_asked(
    office: Office, company: str, document_id: str
) -> None:
    document = stores.an_invoice(document_id)
    started = ExportInput(company_id=company, document=document)
    failure = await office.failure(f"export/{office.company}/invoice/ids-{uuid.uuid4().hex}", started)
    assert "are no ids" in failure["explanation"]


async def test_a_key_that_no_column_takes_is_passed_over(office: Office) -> None:
    """Written down it never could be: the step would be tried for ever."""
    document = stores.an_invoice()
    handle = await office.start(office.id_of(document), ExportInput(company_id=office.company, document=document))
    long: dict[str, Any] = {"request_id": "R000001", "message_set_id": "s" * 500, "key": "k" * 500, "requeued": "Again"}
    for signal in (contracts.SIGNAL_SENT, contracts.SIGNAL_OUTCOME):
        await handle.signal(signal, long)
        await handle.signal(signal, args=[long, long])
    await _succeed(handle)
    with office.database.transaction() as session:
        row = exports.find_export(session, office.company, "invoice", document["id"])
        assert row is not None
        assert [entry.state for entry in exports.timeline(session, row.id)] == ["Mapped", "Queued", "Successful"]


async def test_a_list_sync_hears_past_what_is_no_signal(office: Office) -> None:
    """It has no sync to follow, so it ends well whatever it was told."""
    handle = await office.client.start_workflow(
        contracts.SYNC_WORKFLOW_TYPE,
        {"company_id": office.company},
        id=f"sync/{office.company}",
        task_queue=office.task_queue,
        start_signal=contracts.SIGNAL_SYNC_MOVED,
        start_signal_args=["nonsense", RawValue(NOT_JSON["broken"])],
    )
    assert (await handle.result())["state"] == "done"
