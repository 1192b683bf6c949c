"""Delivering the outbox to Temporal: in order per workflow, until Temporal has taken each signal (design.md 3.2).

One relay at a time works, by a lease in the database; the others stand by. QBWC never waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from store import outbox
from store.engine import Database
from store.tables import OutboxSignal
from workflows import contracts, search_attributes

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
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
    }
)
"""What says something of the connection, not of one workflow. NOT_FOUND is here for a namespace that is missing."""
REFUSED_PAUSE = timedelta(minutes=5)


class Relay:
    """A thread with its own event loop: the Temporal client belongs to it (temporal.md 19)."""

    def __init__(
        self,
        database: Database,
        client_factory: Callable[[], Awaitable[Client]],
        *,
        clock: Callable[[], datetime],
        holder: str,
        task_queue: str = contracts.TASK_QUEUE,
    ) -> None:
        """`holder` names this relay among all that share the database."""
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
        by_workflow: dict[str, list[OutboxSignal]] = {}
        for row in rows:
            by_workflow.setdefault(row.workflow_id, []).append(row)
        results = await asyncio.gather(
            *(self._deliver(client, signals) for signals in by_workflow.values()), return_exceptions=True
        )
        failed = [result for result in results if isinstance(result, BaseException)]
        refused = [one for one in failed if isinstance(one, RPCError) and one.status not in PASSING]
        for one in failed:
            if one not in refused:
                raise one
        if refused:
            # Temporal is there and does not take these: the others must not wait for them.
            log.error("Temporal refuses signals", workflows=len(refused), status=str(refused[0]))
            await asyncio.to_thread(
                self._postpone, [w for w, r in zip(by_workflow, results, strict=True) if r in refused]
            )
        return len(rows) - len(refused)

    async def _deliver(self, client: Client, signals: Sequence[OutboxSignal]) -> None:
        delivered: list[int] = []
        late: list[int] = []
        try:
            for row in signals:
                try:
                    await self._signal(client, row)
                    delivered.append(row.id)
                except RPCError as error:
                    if not _is_workflow_gone(error):
                        raise
                    # The run is over or forgotten. The request's row keeps the outcome for a later run.
                    late.append(row.id)
        finally:
            await asyncio.to_thread(self._mark, delivered, late)

    async def _signal(self, client: Client, row: OutboxSignal) -> None:
        event = row.payload
        if row.signal == contracts.SIGNAL_SYNC_MOVED and event.get("state") in contracts.SYNC_BEGINS:
            # Nobody else starts the sync of a company: its first session may come without any call of the API.
            await client.start_workflow(
                contracts.SYNC_WORKFLOW_TYPE,
                contracts.SyncInput(company_id=str(event["company_id"])),
                id=row.workflow_id,
                task_queue=self._task_queue,
                search_attributes=search_attributes.at_sync_start(str(event["company_id"])),
                start_signal=row.signal,
                start_signal_args=[event],
                rpc_timeout=RPC_TIMEOUT,
            )
            return
        await client.get_workflow_handle(row.workflow_id).signal(row.signal, event, rpc_timeout=RPC_TIMEOUT)

    def _take(self) -> Sequence[OutboxSignal]:
        with self._database.transaction() as session:
            if not outbox.hold_lease(session, LEASE, holder=self._holder, now=self._clock(), seconds=LEASE_S):
                return ()
            return outbox.undelivered(session, BATCH, now=self._clock())

    def _mark(self, delivered: Sequence[int], late: Sequence[int]) -> None:
        with self._database.transaction() as session:
            outbox.mark_delivered(session, delivered, at=self._clock())
            outbox.mark_delivered(session, late, at=self._clock(), note="the workflow had ended")

    def _postpone(self, workflow_ids: Sequence[str]) -> None:
        with self._database.transaction() as session:
            outbox.postpone(session, workflow_ids, until=self._clock() + REFUSED_PAUSE)

    def _let_go(self) -> None:
        with self._database.transaction() as session:
            outbox.drop_lease(session, LEASE, holder=self._holder)


def _is_workflow_gone(error: RPCError) -> bool:
    """A namespace that does not exist answers NOT_FOUND as well; then nothing may be marked as delivered."""
    return error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower()
