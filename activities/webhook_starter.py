"""Starting a workflow for each new webhook message: the messages are in the database, whatever Temporal does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from store import outbox, webhooks
from store.engine import Database
from store.webhook_tables import WebhookDelivery
from workflows import webhook_contracts as contracts
from workflows.search_attributes import COMPANY_ID
from workflows.webhook_contracts import DeliveryInput, delivery_workflow_id

LEASE = "webhooks"
LEASE_S = 15.0
BATCH = 100
PAUSE_S = 1.0
TROUBLE_S = 5.0
RPC_TIMEOUT = timedelta(seconds=10)

log = structlog.get_logger(__name__)


class WebhookStarter:
    """One at a time works, by a lease in the database; the others stand by."""

    def __init__(
        self,
        database: Database,
        client: Client,
        *,
        clock: Callable[[], datetime],
        holder: str,
        task_queue: str = contracts.TASK_QUEUE,
        first_pause_s: float = contracts.FIRST_PAUSE_S,
        give_up_after_s: float = contracts.GIVE_UP_AFTER_S,
    ) -> None:
        """`holder` names this starter among all that share the database."""
        self._database = database
        self._client = client
        self._clock = clock
        self._holder = holder
        self._task_queue = task_queue
        self._first_pause_s = first_pause_s
        self._give_up_after_s = give_up_after_s

    async def run(self, stop: asyncio.Event) -> None:
        """Look every second until told to stop; nothing that goes wrong here ends the worker."""
        while not stop.is_set():
            pause = PAUSE_S
            try:
                if await self.start_once():
                    pause = 0.0
            except (RPCError, SQLAlchemyError) as error:
                log.warning("webhook messages wait", error=type(error).__name__)
                pause = TROUBLE_S
            except Exception:
                log.exception("the starter of webhook messages stumbled; they wait")
                pause = TROUBLE_S
            try:
                async with asyncio.timeout(pause):
                    await stop.wait()
            except TimeoutError:
                continue
        await asyncio.to_thread(self._let_go)

    async def start_once(self) -> int:
        """Start at most one batch; gives how many. Raises RPCError when Temporal does not take them."""
        rows = await asyncio.to_thread(self._take)
        started: list[str] = []
        try:
            for row in rows:
                await self._start(row)
                started.append(row.id)
        finally:
            if started:
                await asyncio.to_thread(self._mark, started)
        return len(rows)

    async def _start(self, row: WebhookDelivery) -> None:
        await self._client.start_workflow(
            contracts.WORKFLOW_TYPE,
            DeliveryInput(delivery_id=row.id, first_pause_s=self._first_pause_s, give_up_after_s=self._give_up_after_s),
            id=delivery_workflow_id(row.id, row.run),
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes([SearchAttributePair(COMPANY_ID, row.company_id)]),
            static_summary=row.event,
            rpc_timeout=RPC_TIMEOUT,
        )

    def _take(self) -> Sequence[WebhookDelivery]:
        now = self._clock()
        with self._database.transaction() as session:
            rows = webhooks.unstarted(session, now=now, limit=BATCH)
            # Without work nothing is written: an idle worker costs the database a read each second.
            if rows and outbox.hold_lease(session, LEASE, holder=self._holder, now=now, seconds=LEASE_S):
                return rows
            return ()

    def _mark(self, started: Sequence[str]) -> None:
        with self._database.transaction() as session:
            webhooks.mark_started(session, started, at=self._clock())

    def _let_go(self) -> None:
        with self._database.transaction() as session:
            outbox.drop_lease(session, LEASE, holder=self._holder)
