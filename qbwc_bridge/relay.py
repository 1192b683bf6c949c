"""Delivering the outbox to Temporal: in order per workflow, until it has taken each start and signal (design.md 3.2).

One relay at a time works, by a lease in the database; the others stand by. QBWC never waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from store import exports, outbox, queue, sign_ins
from store.engine import Database
from store.tables import OutboxSignal
from workflows import contracts
from workflows.contracts import WorkflowStart

BATCH = 200
LEASE = "relay"
LEASE_S = 15.0
IDLE_S = 0.2
"""Between two looks at an empty outbox: what a user waits at most after QuickBooks has answered."""
TROUBLE_S = 2.0
RPC_TIMEOUT = timedelta(seconds=10)

log = structlog.get_logger(__name__)

PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
    }
)
"""What says something of the connection, not of one workflow. NOT_FOUND is here for a namespace that is missing."""
REFUSED_PAUSE = timedelta(minutes=5)
HOLD = RPC_TIMEOUT + timedelta(seconds=5)
"""While a start is on its way nobody may take it back; after that it counts as not delivered."""
CLOSING_PAUSE = timedelta(seconds=1)
"""A run writes its last state some milliseconds before it ends; without a worker it stays open for longer."""
SWEEP_EVERY = timedelta(minutes=1)
ABANDONED_TEXT = "Nothing was heard of this session for a long time, so it was closed. The next run goes on."


class _StillClosingError(Exception):
    """The run before has not ended yet; the start is tried again."""


class Relay:
    """A thread with its own event loop: the Temporal client belongs to it (temporal.md 19)."""

    def __init__(
        self,
        database: Database,
        client_factory: Callable[[], Awaitable[Client]],
        *,
        clock: Callable[[], datetime],
        holder: str,
        abandon_after: timedelta = timedelta(hours=1),
        task_queue: str = contracts.TASK_QUEUE,
    ) -> None:
        """`holder` names this relay among all that share the database; a session silent for so long is closed."""
        self._abandon_after = abandon_after
        self._swept_at: datetime | None = None
        self._database = database
        self._client_factory = client_factory
        self._clock = clock
        self._holder = holder
        self._task_queue = task_queue
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver in the background."""
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End after the signals under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        asyncio.run(self._deliver_until_stopped())

    async def _deliver_until_stopped(self) -> None:
        client: Client | None = None
        while not self._stop.is_set():
            try:
                if client is None:
                    client = await self._client_factory()
                delivered = await self.deliver_once(client)
                pause = 0.0 if delivered else IDLE_S
            except (RPCError, RuntimeError, OSError) as error:
                log.warning("Temporal did not take signals; they wait", error=type(error).__name__)
                pause = TROUBLE_S
            except SQLAlchemyError as error:
                log.warning("the outbox could not be read", error=type(error).__name__)
                pause = TROUBLE_S
            except Exception:
                # A bug here must not end the thread while the bridge goes on serving.
                log.exception("the relay stumbled; signals wait")
                pause = TROUBLE_S
            await asyncio.to_thread(self._stop.wait, pause)
        await asyncio.to_thread(self._let_go)
        await asyncio.sleep(0.1)  # the SDK's threads may abort an interpreter that exits at once (temporal.md 21)

    async def deliver_once(self, client: Client) -> int:
        """Deliver at most one batch; gives how many signals are settled. Raises RPCError when Temporal is away."""
        rows = await asyncio.to_thread(self._take)
        if rows:
            self._database.passing("relay: taken")
        by_workflow: dict[str, list[OutboxSignal]] = {}
        for row in rows:
            by_workflow.setdefault(row.workflow_id, []).append(row)
        results = await asyncio.gather(
            *(self._deliver(client, signals) for signals in by_workflow.values()), return_exceptions=True
        )
        failed = [result for result in results if isinstance(result, BaseException)]
        refused = [one for one in failed if isinstance(one, RPCError) and one.status not in PASSING]
        closing = [one for one in failed if isinstance(one, _StillClosingError)]
        for one in failed:
            if one not in refused and one not in closing:
                raise one
        if closing:
            await asyncio.to_thread(
                self._postpone, [w for w, r in zip(by_workflow, results, strict=True) if r in closing], CLOSING_PAUSE
            )
        if refused:
            # Temporal is there and does not take these: the others must not wait for them.
            log.error("Temporal refuses signals", workflows=len(refused), status=str(refused[0]))
            await asyncio.to_thread(
                self._postpone, [w for w, r in zip(by_workflow, results, strict=True) if r in refused], REFUSED_PAUSE
            )
        return len(rows) - len(refused) - len(closing)

    async def _deliver(self, client: Client, signals: Sequence[OutboxSignal]) -> None:
        delivered: list[int] = []
        late: list[int] = []
        try:
            for row in signals:
                try:
                    await self._send(client, row)
                    self._database.passing("relay: signalled")
                    delivered.append(row.id)
                except RPCError as error:
                    if not _is_workflow_gone(error):
                        raise
                    # The run is over or forgotten. The request's row keeps the outcome for a later run.
                    late.append(row.id)
        finally:
            await asyncio.to_thread(self._mark, delivered, late)

    async def _send(self, client: Client, row: OutboxSignal) -> None:
        if row.signal == outbox.START:
            await _start(client, row.workflow_id, WorkflowStart.model_validate(row.payload), self._task_queue)
            return
        handle = client.get_workflow_handle(row.workflow_id)
        await handle.signal(row.signal, row.payload, rpc_timeout=RPC_TIMEOUT)

    def _take(self) -> Sequence[OutboxSignal]:
        with self._database.transaction() as session:
            now = self._clock()
            if not outbox.hold_lease(session, LEASE, holder=self._holder, now=now, seconds=LEASE_S):
                return ()
            self._sweep(session, now)
            return outbox.take(session, BATCH, now=now, hold_starts=HOLD)

    def _sweep(self, session: Session, now: datetime) -> None:
        """Close what a Web Connector left open: the holder of the lease is the one who does it, now and then."""
        if self._swept_at is not None and now - self._swept_at < SWEEP_EVERY:
            return
        self._swept_at = now
        sign_ins.forget_old(session, now=now)
        closed = queue.close_abandoned(session, silent_since=now - self._abandon_after, last_error=ABANDONED_TEXT)
        if closed:
            log.info("abandoned sessions were closed", sessions=closed)

    def _mark(self, delivered: Sequence[int], late: Sequence[int]) -> None:
        with self._database.transaction("relay") as session:
            outbox.mark_delivered(session, delivered, at=self._clock())
            outbox.mark_delivered(session, late, at=self._clock(), note="the workflow had ended")
            for workflow_id in outbox.workflows_of(session, late):
                self._revive(session, workflow_id)

    def _revive(self, session: Session, workflow_id: str) -> None:
        """Start the workflow of an export that is not at its end: Temporal lost it, or was replaced by an empty one."""
        row = exports.by_workflow_id(session, workflow_id)
        if row is None or contracts.ExportState(row.state).is_final or outbox.waits_to_start(session, workflow_id):
            return
        log.warning("an export without its workflow is started again", workflow=workflow_id)
        start = contracts.export_start(row.company_id, row.document, number=row.number)
        outbox.add_start(session, workflow_id=workflow_id, start=start.model_dump(mode="json"), at=self._clock())

    def _postpone(self, workflow_ids: Sequence[str], pause: timedelta) -> None:
        with self._database.transaction() as session:
            outbox.postpone(session, workflow_ids, until=self._clock() + pause)

    def _let_go(self) -> None:
        with self._database.transaction() as session:
            outbox.drop_lease(session, LEASE, holder=self._holder)


async def _start(client: Client, workflow_id: str, start: WorkflowStart, task_queue: str) -> None:
    """Start a workflow unless it runs or has succeeded (design.md 3.1)."""
    attributes = [SearchAttributePair(SearchAttributeKey.for_keyword(k), v) for k, v in start.search_attributes.items()]
    try:
        handle = await client.start_workflow(
            start.workflow_type,
            start.argument,
            id=workflow_id,
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if start.may_repeat
            else WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=start.summary or None,
            start_signal=start.signal,
            start_signal_args=[start.signal_argument] if start.signal is not None else [],
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return  # it has succeeded: there is nothing to start, and the read model says or will say so
    if start.after_run is not None and handle.result_run_id == start.after_run:
        raise _StillClosingError(workflow_id)


def _is_workflow_gone(error: RPCError) -> bool:
    """A namespace that does not exist answers NOT_FOUND as well; then nothing may be marked as delivered."""
    return error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower()
