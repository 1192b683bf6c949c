"""The worker process: workflows and activities on one task queue, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner

from activities.exports import ExportActivities
from activities.syncs import SyncActivities
from activities.webhook_starter import WebhookStarter
from activities.webhooks import WebhookActivities
from ops.fresh import new_id, now
from ops.workflow_runner import CheckedRunner
from store.engine import Database
from store.secret_box import NO_KEYS, SecretBox
from telemetry.instruments import WorkerMetrics
from telemetry.tracing import Tracing
from workflows import search_attributes, webhook_contracts
from workflows.contracts import TASK_QUEUE
from workflows.export import QuickBooksExport
from workflows.list_sync import QuickBooksListSync
from workflows.webhook import WebhookDelivery

ACTIVITY_THREADS = 16
WEBHOOKS_AT_ONCE = 50
"""Tries that wait for their receivers, without a thread each."""
STOP_GRACE = timedelta(seconds=20)
"""Below a container's usual stop timeout of 30 s."""


class MissingSearchAttributesError(Exception):
    """Temporal lacks search attributes that every export carries; the message names them."""


def build_worker(
    client: Client,
    database: Database,
    *,
    task_queue: str = TASK_QUEUE,
    runner: WorkflowRunner | None = None,
    clock: Callable[[], datetime] = now,
    metrics: WorkerMetrics | None = None,
    tracing: Tracing | None = None,
) -> Worker:
    """Wire the worker. A workflow file that imports what it should not is refused here (temporal.md 3).

    `runner` takes the place of `CheckedRunner`: the tests run workflows in the sandbox.
    """
    activities = ExportActivities(database, clock=clock, new_id=new_id, metrics=metrics, tracing=tracing)
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[QuickBooksExport, QuickBooksListSync],
        activities=[
            activities.prepare_export,
            activities.record_state,
            activities.cancel_request,
            SyncActivities(database).sync_status,
        ],
        activity_executor=ThreadPoolExecutor(ACTIVITY_THREADS),
        max_concurrent_local_activities=ACTIVITY_THREADS,
        max_concurrent_activities=ACTIVITY_THREADS,
        workflow_runner=runner or CheckedRunner(),
        graceful_shutdown_timeout=STOP_GRACE,
    )


def build_webhook_worker(
    client: Client,
    database: Database,
    *,
    allow_private: bool,
    secret_box: SecretBox = NO_KEYS,
    task_queue: str = webhook_contracts.TASK_QUEUE,
    runner: WorkflowRunner | None = None,
    metrics: WorkerMetrics | None = None,
) -> Worker:
    """Wire the worker of webhook messages; it has a queue and slots of its own, so exports never wait for receivers."""
    activities = WebhookActivities(
        database, clock=now, allow_private=allow_private, secret_box=secret_box, metrics=metrics
    )
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[WebhookDelivery],
        activities=[activities.deliver, activities.give_up],
        max_concurrent_activities=WEBHOOKS_AT_ONCE,
        workflow_runner=runner or CheckedRunner(),
        graceful_shutdown_timeout=STOP_GRACE,
    )


async def check_search_attributes(client: Client) -> None:
    """Raise unless every attribute of the registry exists: an export would hang on a missing one (temporal.md 9)."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = [key.name for key in search_attributes.ALL if key.name not in answer.custom_attributes]
    if missing:
        commands = " ".join(f"--name {name} --type Keyword" for name in missing)
        raise MissingSearchAttributesError(
            f"The namespace {client.namespace} lacks search attributes. Run: temporal operator search-attribute create "
            + commands
        )


async def run(
    client: Client,
    database: Database,
    *,
    holder: str,
    webhook_allow_private: bool,
    secret_box: SecretBox = NO_KEYS,
    clock: Callable[[], datetime] = now,
    metrics: WorkerMetrics | None = None,
    tracing: Tracing | None = None,
) -> None:
    """Work until a signal asks to stop; `holder` names this process among all that share the database."""
    await check_search_attributes(client)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    starter = WebhookStarter(database, client, clock=clock, holder=holder)
    async with (
        build_worker(client, database, clock=clock, metrics=metrics, tracing=tracing),
        build_webhook_worker(
            client, database, allow_private=webhook_allow_private, secret_box=secret_box, metrics=metrics
        ),
    ):
        await starter.run(stop)
