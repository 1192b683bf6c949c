"""What Temporal stores is encrypted: on the real server, with the real workflow, read back raw."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToJson
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.exports import ExportActivities
from ops import wiring
from ops.payload_codec import ENCODING, EncryptionCodec, PayloadLockedError, data_converter
from ops.settings import Settings, load_settings
from store import queue
from store.engine import Database
from store.key_ring import new_key, read_key_ring
from tests.replay.test_replay import HISTORIES
from tests.support import stores
from tests.workflow.test_export_workflow import Exporting, succeed
from workflows import contracts
from workflows.contracts import ExportState
from workflows.export import QuickBooksExport

NEW = new_key("new", lambda count: b"n" * count)
OLD = new_key("old", lambda count: b"o" * count)
OTHER_NEW = new_key("new", lambda count: b"x" * count)
IN_CLEAR = ("Cafe Rio Foods", "1850.00", "2062.50", "Linehaul Dallas", "C5-1417118624")
"""A name, amounts, a text and a TxnID of the exported document."""


def settings_with(keys: str) -> Settings:
    return load_settings({"QBD_PAYLOAD_KEYS": keys})


async def connected(temporal: WorkflowEnvironment, keys: str) -> Client:
    """A client as every process of ours makes it."""
    environ = {"TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host}
    return await wiring.connect_temporal(settings_with(keys), environ)


class Sealed(Exporting):
    """An `Exporting` whose client has keys, and whose worker can be given others."""

    def __init__(self, env: WorkflowEnvironment, client: Client, database: Database, task_queue: str) -> None:
        super().__init__(env, database, task_queue)
        self.client = client

    def worker(self, client: Client | None = None) -> Worker:
        activities = ExportActivities(
            self.database, clock=stores.Clock(), new_id=lambda: f"R{uuid.uuid4().hex[:18].upper()}"
        )
        return Worker(
            client or self.client,
            task_queue=self.task_queue,
            workflows=[QuickBooksExport],
            activities=[activities.prepare_export, activities.record_state, activities.cancel_request],
            activity_executor=ThreadPoolExecutor(4),
        )


@pytest_asyncio.fixture
async def sealed(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Sealed]:
    yield Sealed(temporal, await connected(temporal, NEW), database, f"sealed-{uuid.uuid4().hex}")


async def raw_history(handle: WorkflowHandle[Any, Any], client: Client) -> Any:
    """The history as the server stores it: no codec in between."""
    answer = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=handle.id), maximum_page_size=1000
        )
    )
    return answer.history


def visible(history: Any) -> str:
    """Everything that somebody who stole the history can read, the bytes of payloads included."""
    shown: str = MessageToJson(history)
    return shown + "".join(one.data.decode("latin-1") for one in payloads_of(history))


def payloads_of(message: Any) -> list[Payload]:
    """Every payload anywhere in a message."""
    found: list[Payload] = []
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        many = field.is_repeated and not field.message_type.GetOptions().map_entry
        values: Sequence[Any] = value if many else [value]
        if field.message_type.GetOptions().map_entry:
            values = [value[key] for key in value if not isinstance(value[key], str | bytes | int | float | bool)]
        for one in values:
            found += [one] if isinstance(one, Payload) else payloads_of(one)
    return found


async def test_a_raw_history_holds_no_name_and_no_amount(sealed: Sealed) -> None:
    document = stores.an_invoice()
    async with sealed.worker():
        handle = await sealed.start(document)
        await succeed(sealed, handle, document)
        transaction = await handle.result()
        assert transaction.txn_id == "C5-1417118624"
        view = await handle.query(contracts.QUERY_VIEW, result_type=contracts.ExportView)
        assert view.state is ExportState.SUCCESSFUL
    history = await raw_history(handle, sealed.client)
    text = visible(history)
    assert not [word for word in IN_CLEAR if word in text]
    clear = [one for one in payloads_of(history) if one.metadata["encoding"] != ENCODING]
    # What is left in clear: search attributes, which hold ids and a state, and the SDK's own marker data.
    assert all(one.metadata["encoding"] == b"json/plain" for one in clear)
    values = {json.dumps(json.loads(one.data)) for one in clear}
    assert not [value for value in values if any(word in value for word in IN_CLEAR)]
    assert len(history.events) <= 20


async def test_failures_are_encrypted_and_read_back(sealed: Sealed) -> None:
    """Message, details and stack trace of an export whose mapping lacks the customer."""
    stranger = {"id": "cus_99", "name": "Hush Hush Imports"}
    document = stores.an_invoice(customer=stranger)
    async with sealed.worker():
        handle = await sealed.start(document)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == contracts.FAILURE_TYPE
    assert "Hush Hush Imports" in str(cause.details[0])
    text = visible(await raw_history(handle, sealed.client))
    assert "Hush Hush" not in text
    assert "workflows/export.py" not in text  # no stack trace
    assert cause.message not in text


async def test_rotation_reads_what_the_old_key_wrote(temporal: WorkflowEnvironment, sealed: Sealed) -> None:
    """An export that began under the old key ends under the new one, and is read by whoever has both."""
    document = stores.an_invoice()
    old = await connected(temporal, OLD)
    started = Sealed(temporal, old, sealed.database, sealed.task_queue)
    async with started.worker():
        handle = await started.start(document)
        row = await started.until(document, ExportState.QUEUED)
    rotated = await connected(temporal, f"{NEW},{OLD}")
    after = Sealed(temporal, rotated, sealed.database, sealed.task_queue)
    after_handle = rotated.get_workflow_handle(handle.id, result_type=contracts.Transaction)
    async with after.worker(rotated):
        request = after.request_id(row)
        await after.fetch(after_handle, request)
        outcome = contracts.Outcome(
            request_id=request, key="end", transaction=contracts.Transaction(txn_id="C5-1417118624")
        )
        await after_handle.signal(contracts.SIGNAL_OUTCOME, outcome)
        assert (await after_handle.result()).txn_id == "C5-1417118624"
    used = {
        one.metadata["key-id"] for one in payloads_of(await raw_history(handle, rotated)) if "key-id" in one.metadata
    }
    assert used == {b"old", b"new"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        pytest.param("", "'new'", marks=pytest.mark.long),
        (OLD, "'new'"),
        pytest.param(OTHER_NEW, "another key of the same id", marks=pytest.mark.long),
    ],
)
async def test_a_missing_key_makes_the_export_wait_and_says_why(
    temporal: WorkflowEnvironment, sealed: Sealed, keys: str, told: str
) -> None:
    """The workflow task fails and is tried again; with the key back the export goes on, and nothing is lost."""
    document = stores.an_invoice()
    handle = await sealed.start(document)
    keyless = await connected(temporal, keys)
    async with sealed.worker(keyless):
        reason = await failed_task(handle, sealed.client)
    assert told in reason
    assert "QBD_PAYLOAD_KEYS" in reason
    assert (await handle.describe()).status is not None
    async with sealed.worker():
        await succeed(sealed, handle, document)
        assert (await handle.result()).txn_id == "C5-1417118624"
    with sealed.database.transaction() as session:
        assert len(queue.open_sessions(session, sealed.company)) == 0


async def failed_task(handle: WorkflowHandle[Any, Any], client: Client) -> str:
    """Wait for the failure of a workflow task, by the server's own waiting; gives what it says."""
    codec = data_converter(read_key_ring(f"{NEW},{OLD}"))
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            failure = event.workflow_task_failed_event_attributes.failure
            try:
                return str(await codec.decode_failure(failure))
            except PayloadLockedError:
                other = data_converter(read_key_ring(OTHER_NEW))
                return str(await other.decode_failure(failure))
    raise AssertionError("the history ended")


async def test_turned_on_later_it_still_reads_what_is_in_clear(temporal: WorkflowEnvironment, sealed: Sealed) -> None:
    document = stores.an_invoice()
    plain = Sealed(temporal, await connected(temporal, ""), sealed.database, sealed.task_queue)
    handle = await plain.start(document)
    async with sealed.worker():
        sealed.company = plain.company
        await succeed(plain, handle, document)
        own = sealed.client.get_workflow_handle(handle.id, result_type=contracts.Transaction)
        assert (await own.result()).txn_id == "C5-1417118624"


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_saved_histories_replay_through_the_codec(path: Path) -> None:
    """They are in clear: from before encryption was turned on."""
    from workflows.list_sync import QuickBooksListSync
    from workflows.webhook import WebhookDelivery

    replayer = Replayer(
        workflows=[QuickBooksExport, QuickBooksListSync, WebhookDelivery],
        data_converter=data_converter(read_key_ring(NEW)),
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


async def test_an_encrypted_history_replays(sealed: Sealed) -> None:
    document = stores.an_invoice()
    async with sealed.worker():
        handle = await sealed.start(document)
        await succeed(sealed, handle, document)
        await handle.result()
    history = await handle.fetch_history()
    replayer = Replayer(workflows=[QuickBooksExport], data_converter=data_converter(read_key_ring(f"{OLD},{NEW}")))
    await replayer.replay_workflow(history)


async def test_a_payload_is_no_good_in_another_workflow() -> None:
    """Who can write to Temporal's database cannot put one company's document into another's export."""
    keys = read_key_ring(NEW)
    ours = EncryptionCodec(keys).with_context(WorkflowSerializationContext(namespace="default", workflow_id="export/a"))
    theirs = EncryptionCodec(keys).with_context(
        WorkflowSerializationContext(namespace="default", workflow_id="export/b")
    )
    [sealed] = await ours.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'"1850.00"')])
    assert [one.data for one in await ours.decode([sealed])] == [b'"1850.00"']
    with pytest.raises(PayloadLockedError, match="another workflow"):
        await theirs.decode([sealed])
    for workflow_id in (b"export/b", b""):
        moved = Payload(metadata={**sealed.metadata, "workflow-id": workflow_id}, data=sealed.data)
        with pytest.raises(PayloadLockedError):
            await theirs.decode([moved])
    # Whoever only reads, such as the codec server, knows no workflow.
    assert [one.data for one in await EncryptionCodec(keys).decode([sealed])] == [b'"1850.00"']


async def test_every_payload_has_a_nonce_of_its_own_and_any_change_is_noticed() -> None:
    codec = EncryptionCodec(read_key_ring(NEW))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    sealed = await codec.encode([plain] * 50)
    assert len({one.data[:12] for one in sealed}) == 50
    assert await codec.encode(sealed) == sealed  # never twice
    for position in range(len(sealed[0].data)):
        changed = bytearray(sealed[0].data)
        changed[position] ^= 1
        with pytest.raises(PayloadLockedError):
            await codec.decode([Payload(metadata=sealed[0].metadata, data=bytes(changed))])
    for short in (b"", sealed[0].data[:5], sealed[0].data[:12]):
        with pytest.raises(PayloadLockedError):
            await codec.decode([Payload(metadata=sealed[0].metadata, data=short)])


async def test_memo_and_summary_are_encrypted(temporal: WorkflowEnvironment) -> None:
    client = await connected(temporal, NEW)
    handle = await client.start_workflow(
        "Nobody",
        id=f"memo-{uuid.uuid4().hex}",
        task_queue="nobody",
        memo={"note": "Cafe Rio Foods"},
        static_summary="Cafe Rio Foods",
        execution_timeout=timedelta(seconds=5),
    )
    assert "Cafe Rio Foods" not in visible(await raw_history(handle, client))
    assert await (await handle.describe()).memo() == {"note": "Cafe Rio Foods"}
    await handle.terminate()
