"""The workflow of a list sync on a real server: started and moved by the relay from what the bridge wrote."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.syncs import SyncActivities
from ops.workflow_runner import strict_sandbox
from qbwc_bridge.relay import Relay
from simulator.sample_company import freight_company
from store import list_syncs
from store.engine import Database
from tests.support import stores
from tests.support.direct import DirectWire
from tests.support.world import World
from tests.workflow.test_export_workflow import remember
from workflows import contracts
from workflows.contracts import SyncMoved, SyncView
from workflows.list_sync import QuickBooksListSync

MAX_EVENTS = 19


async def test_first_contact_starts_the_workflow_and_it_ends_with_the_counts(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """The sync itself ran without Temporal; a repeated signal starts a run that ends at once."""
    world = World(database, clock, lists_are_here=False, quickbooks=freight_company(clock=clock))
    wire: Any = DirectWire(world.dispatcher)
    world.connector.http = wire
    queue = f"sync-{uuid.uuid4().hex}"
    relay = Relay(database, _never, clock=clock, holder="test", task_queue=queue)
    workflow_id = contracts.sync_workflow_id("acme")
    with database.transaction() as session:
        sync = list_syncs.request_sync(session, "acme", at=clock.now, full=False)
        _tell(session, sync, clock)
    await relay.deliver_once(temporal.client)
    handle = temporal.client.get_workflow_handle(workflow_id)
    async with _worker(temporal, database, queue):
        asked = await handle.query(contracts.QUERY_VIEW, result_type=SyncView)
        assert asked.state == "requested"
        world.update()
        await relay.deliver_once(temporal.client)
        result = SyncView.model_validate(await handle.result())
        assert (result.state, result.run) == ("done", 1)
        assert result.entries["customer"] == len(world.quickbooks.state.customers)
        assert await remember(handle, "list_sync") <= MAX_EVENTS
        with database.transaction() as session:
            found = list_syncs.company_sync(session, "acme")
            assert found is not None
            found_state, found.state = found.state, "running"
            _tell(session, found, clock)
            found.state = found_state
        await relay.deliver_once(temporal.client)
        again = temporal.client.get_workflow_handle(workflow_id)
        assert SyncView.model_validate(await again.result()).state == "done"
        description = await again.describe()
        assert description.status is WorkflowExecutionStatus.COMPLETED
    world.close()


def _worker(temporal: WorkflowEnvironment, database: Database, queue: str) -> Worker:
    return Worker(
        temporal.client,
        task_queue=queue,
        workflows=[QuickBooksListSync],
        activities=[SyncActivities(database).sync_status],
        activity_executor=ThreadPoolExecutor(2),
        workflow_runner=strict_sandbox(),
    )


def _tell(session: Any, sync: Any, clock: stores.Clock) -> None:
    from store import outbox

    event = SyncMoved(company_id=sync.company_id, run=sync.run, state=sync.state)
    outbox.add_start(
        session,
        workflow_id=contracts.sync_workflow_id(sync.company_id),
        start=contracts.sync_start(event).model_dump(mode="json"),
        at=clock.now,
    )


async def _never() -> Any:
    raise AssertionError("the test hands its client over")
