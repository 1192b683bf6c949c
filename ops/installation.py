"""`qbd doctor` without a company: whether database, Temporal, relay, workers and clock are as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from ops.beginnings import unknown_to_database
from ops.database import open_database
from ops.doctor import ago
from ops.exits import settle
from ops.settings import Settings
from ops.wiring import connect_temporal, temporal_namespace
from store import figures
from store.engine import Database, DatabaseProblemError
from workflows import contracts, search_attributes, webhook_contracts

OLDEST_SIGNAL_MAX = timedelta(minutes=2)
POLLER_MAX = timedelta(minutes=5)
"""Temporal itself forgets a poller after five minutes."""
CLOCK_MAX = timedelta(seconds=5)
QUEUES = ((contracts.TASK_QUEUE, "exports"), (webhook_contracts.TASK_QUEUE, "webhooks"))
CALL_TIMEOUT = timedelta(seconds=5)
STUCK = "ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL"
STUCK_SHOWN = 5
WRONG = "  <-- "


def describe_installation(settings: Settings, environ: Mapping[str, str]) -> tuple[list[str], bool]:
    """Give the lines, each wrong one with the next step, and whether all is well."""
    now = datetime.now(UTC)
    database = None
    try:
        database = open_database(settings)
        lines = _database_lines(database, now)
        return _judged(lines + asyncio.run(_temporal_lines(settings, environ, database)))
    except DatabaseProblemError as error:
        lines = [f"Database           {error}{WRONG}nothing works without it"]
        return _judged(lines + asyncio.run(_temporal_lines(settings, environ, None)))
    finally:
        if database is not None:
            database.close()


def _judged(lines: list[str]) -> tuple[list[str], bool]:
    return lines, not any(WRONG in line for line in lines)


def _database_lines(database: Database, now: datetime) -> list[str]:
    with database.transaction() as session:
        outbox = figures.outbox(session)
        leases = figures.leases(session)
        connections = figures.connections(session, now)
        queues = figures.queues(session)
        unresolved = figures.unresolved_sets(session)
        messages = figures.webhook_messages(session)
        # SQLite's own clock is this machine's.
        shown = session.scalar(select(func.current_timestamp())) if not database.is_sqlite else None
    lag = now - outbox.oldest_at if outbox.oldest_at is not None else timedelta()
    relay = _held(leases.get("relay"), now)
    clock = _clock(shown, now)
    waiting = sum(one.count for one in queues)
    return [
        f"Database           {database.shown}, answers, at this program's version",
        f"Clock              {clock}",
        f"Connections        {connections.connected} connected, {connections.stale} stale, "
        f"{connections.refused} refused, {connections.never_seen} never seen, {connections.paused} paused",
        f"Queue              {waiting} waiting in {len(queues)} companies; {unresolved.count} sets without an answer",
        f"Relay              {relay}, {outbox.count} signals not delivered, the oldest since "
        f"{ago(outbox.oldest_at, now)}" + (f"{WRONG}is a bridge running?" if lag > OLDEST_SIGNAL_MAX else ""),
        f"Webhook messages   {messages.count} due, the oldest since {ago(messages.oldest_at, now)}",
    ]


def _held(until: datetime | None, now: datetime) -> str:
    return "at work" if until is not None and until > now else "not at work"


def _clock(shown: datetime | None, now: datetime) -> str:
    if shown is None:
        return f"{now:%Y-%m-%d %H:%M:%S} UTC here; the database has no clock of its own"
    apart = abs(shown.astimezone(UTC) - now)
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC here, {apart.total_seconds():.1f} s from the database's"
    return text + (f"{WRONG}set the clocks by NTP" if apart > CLOCK_MAX else "")


async def _temporal_lines(settings: Settings, environ: Mapping[str, str], database: Database | None) -> list[str]:
    try:
        async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
            client = await connect_temporal(settings, environ, patience_s=0)
    except (RuntimeError, RPCError, OSError, TimeoutError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        return [f"Temporal           does not answer ({reason}){WRONG}start it, or set TEMPORAL_ADDRESS"]
    try:
        return [
            await _server(client, environ),
            await _attributes(client),
            *[await _workers(client, queue, name) for queue, name in QUEUES],
            await _stuck(client),
            *([await _known(client, database)] if database is not None else []),
        ]
    except RPCError as error:
        text = f"namespace {client.namespace}: {error.message[:120]}"
        return [f"Temporal           {text}{WRONG}is TEMPORAL_NAMESPACE right?"]
    finally:
        del client
        await settle()


async def _server(client: Client, environ: Mapping[str, str]) -> str:
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=CALL_TIMEOUT)
    return f"Temporal           answers, server {info.server_version}, namespace {temporal_namespace(environ)}"


async def _attributes(client: Client) -> str:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    found = (await client.operator_service.list_search_attributes(request, timeout=CALL_TIMEOUT)).custom_attributes
    missing = [key.name for key in search_attributes.ALL if key.name not in found]
    if not missing:
        return f"Search attributes  all {len(search_attributes.ALL)} are there"
    names = " ".join(f"--name {name} --type Keyword" for name in missing)
    return f"Search attributes  {', '.join(missing)} missing{WRONG}temporal operator search-attribute create {names}"


async def _known(client: Client, database: Database) -> str:
    unknown = await unknown_to_database(database, client)
    return f"Exports            {unknown or 'Temporal knows none without our database'}" + (
        f"{WRONG}before anything is exported" if unknown else ""
    )


async def _stuck(client: Client) -> str:
    """Name workflows whose task fails again and again: Temporal marks them after some minutes (temporal.md 9)."""
    answer = await client.count_workflows(STUCK, rpc_timeout=CALL_TIMEOUT)
    if not answer.count:
        return "Workflows          none whose task fails again and again"
    found = [one.id async for one in client.list_workflows(STUCK, limit=STUCK_SHOWN, rpc_timeout=CALL_TIMEOUT)]
    more = ", ..." if answer.count > len(found) else ""
    return f"Workflows          {answer.count} stuck: {', '.join(found)}{more}{WRONG}read why in Temporal's history"


async def _workers(client: Client, queue: str, name: str) -> str:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(request, timeout=CALL_TIMEOUT)
    now = datetime.now(UTC)
    alive = [one.identity for one in answer.pollers if now - one.last_access_time.ToDatetime(UTC) < POLLER_MAX]
    text = f"{'Workers, ' + name:<18} {len(alive)} poll {queue}"
    return text + ("" if alive else f"{WRONG}start one: ./qbd worker")
