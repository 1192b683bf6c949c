"""Delivering the outbox to Temporal: in order per workflow, until it has taken each start and signal (design.md 3.2).

One relay at a time works, by a lease in the database; the others stand by. QBWC never waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from mapping.issues import Owner
from qbwc_bridge.epoch import EpochWatch
from qbwc_bridge.known_runs import Known, Unreadable, read_run, write_down
from qbwc_bridge.observing import Observation
from qbwc_bridge.pace import Pace
from store import companies, connection_watch, exports, outbox, queue, sign_ins, webhooks
from store.engine import Database
from store.tables import OutboxSignal
from telemetry.instruments import RelayMetrics
from telemetry.tracing import Tracing
from workflows import contracts
from workflows.contracts import WorkflowStart

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
REFUSED = "temporal_refuses"
REFUSED_TOLD_EVERY = timedelta(days=1)
HOLD = RPC_TIMEOUT + timedelta(seconds=5)
"""While a start is on its way nobody may take it back; after that it counts as not delivered."""
CLOSING_PAUSE = timedelta(seconds=1)
"""A run writes its last state some milliseconds before it ends; without a worker it stays open for longer."""
SWEEP_EVERY = timedelta(minutes=1)
LOOK_EVERY = timedelta(minutes=1)
ABANDONED_TEXT = "Nothing was heard of this session for a long time, so it was closed. The next run goes on."


@dataclass
class _Settled:
    """The ids of a batch's signals that need not be delivered any more."""

    delivered: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    """Their workflow had ended."""


class _StillClosingError(Exception):
    """The run before has not ended yet; the start is tried again."""


class _UnreadableRunError(Exception):
    """A run has succeeded, and how cannot be read; the start is tried again later."""


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
        metrics: RelayMetrics | None = None,
        tracing: Tracing | None = None,
        observe: Observation | None = None,
        epoch: EpochWatch | None = None,
    ) -> None:
        """`holder` names this relay among all that share the database; a session silent for so long is closed.

        With `epoch` it also notices that the database stepped back.
        """
        self._epoch = epoch
        self._metrics = metrics or RelayMetrics(CollectorRegistry())
        self._tracing = tracing or Tracing()
        self._observe = observe or Observation()
        self._abandon_after = abandon_after
        self._swept_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._database = database
        self._client_factory = client_factory
        self._clock = clock
        self._holder = holder
        self._task_queue = task_queue
        self._pace = Pace()
        self._stop = threading.Event()
        self._first_turn = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver in the background."""
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def wait_for_first_turn(self, timeout_s: float) -> None:
        """Wait until Temporal was asked what it knows, or did not answer."""
        self._first_turn.wait(timeout_s)

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
                if delivered:
                    self._pace = self._pace.taken()
            except (RPCError, RuntimeError, OSError) as error:
                self._metrics.troubles.labels("temporal").inc()
                log.warning("Temporal did not take signals; they wait", error=type(error).__name__)
                pause = TROUBLE_S
                if isinstance(error, RPCError) and error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
                    self._pace = self._pace.refused()
                    pause = self._pace.pause_s
            except SQLAlchemyError as error:
                self._metrics.troubles.labels("database").inc()
                log.warning("the outbox could not be read", error=type(error).__name__)
                pause = TROUBLE_S
            except Exception:
                # A bug here must not end the thread while the bridge goes on serving.
                self._metrics.troubles.labels("bug").inc()
                log.exception("the relay stumbled; signals wait")
                pause = TROUBLE_S
            self._first_turn.set()
            await asyncio.to_thread(self._stop.wait, pause)
        await asyncio.to_thread(self._let_go)
        await asyncio.sleep(0.1)  # the SDK's threads may abort an interpreter that exits at once (temporal.md 21)

    async def deliver_once(self, client: Client) -> int:
        """Deliver at most one batch; gives how many signals are settled. Raises RPCError when Temporal is away."""
        await asyncio.to_thread(self._look)
        await self._compare(client)
        rows = await asyncio.to_thread(self._take)
        if rows:
            self._database.passing("relay: taken")
        by_workflow, results = await self._deliver(client, rows)
        failed = [result for result in results if isinstance(result, BaseException)]
        refused = [one for one in failed if _is_of_one_workflow(one)]
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
            why = {w: r for w, r in zip(by_workflow, results, strict=True) if r in refused}
            first = next(iter(why))
            status = refused[0].status.name if isinstance(refused[0], RPCError) else type(refused[0]).__name__
            log.error("Temporal refuses signals", workflows=len(refused), first=first, status=status)
            for name in why:
                self._metrics.refused.labels(_label(by_workflow[name][0])).inc()
            await asyncio.to_thread(self._note_refusal, {name: str(reason) for name, reason in why.items()})
        return len(rows) - len(refused) - len(closing)

    async def _compare(self, client: Client) -> None:
        """Ask Temporal whether our database has lost something: the holder of the lease does it, now and then."""
        if self._epoch is None or not self._epoch.is_due() or not await asyncio.to_thread(self._holds_lease):
            return
        try:
            told = await self._epoch.compare(client)
        except RPCError as error:
            # Signals do not wait for it; what is in doubt stays so.
            log.warning("Temporal did not say what it knows of exports", status=error.status.name)
            return
        if told.read_back or told.asked_again or told.looked_up:
            log.warning(
                "the database is brought up to Temporal",
                read_back=told.read_back,
                queued_again=len(told.asked_again),
                looked_up=told.looked_up,
            )

    def _holds_lease(self) -> bool:
        with self._database.transaction() as session:
            return outbox.hold_lease(session, LEASE, holder=self._holder, now=self._clock(), seconds=LEASE_S)

    async def _deliver(
        self, client: Client, rows: Sequence[OutboxSignal]
    ) -> tuple[dict[str, list[OutboxSignal]], list[BaseException | None]]:
        """Deliver to many workflows at once, to each in order; gives the signals of each, and what went wrong there."""
        by_workflow: dict[str, list[OutboxSignal]] = {}
        for row in rows:
            by_workflow.setdefault(row.workflow_id, []).append(row)
        settled = _Settled()
        try:
            results = await asyncio.gather(
                *(self._tell(client, signals, settled) for signals in by_workflow.values()), return_exceptions=True
            )
        finally:
            if settled.delivered or settled.late:
                await asyncio.to_thread(self._mark, settled)
        return by_workflow, results

    async def _tell(self, client: Client, signals: Sequence[OutboxSignal], settled: _Settled) -> None:
        for row in signals:
            try:
                with self._tracing.under(row.traceparent):
                    await self._send(client, row)
                self._database.passing("relay: signalled")
                settled.delivered.append(row.id)
                seconds = (self._clock() - row.created_at).total_seconds()
                self._metrics.delivery_seconds.labels(_label(row)).observe(max(0.0, seconds))
                log.info("signal is delivered", workflow=row.workflow_id, signal=_label(row), seconds=seconds)
            except RPCError as error:
                if not _is_workflow_gone(error):
                    raise
                # The run is over or forgotten. The request's row keeps the outcome for a later run.
                settled.late.append(row.id)
                self._metrics.late.labels(_label(row)).inc()

    async def _send(self, client: Client, row: OutboxSignal) -> None:
        if row.signal == outbox.START:
            start = WorkflowStart.model_validate(row.payload)
            other = await _start(client, row.workflow_id, start, self._task_queue)
            if other is not None:
                await self._read_other(client, row.workflow_id, start, other)
            return
        handle = client.get_workflow_handle(row.workflow_id)
        await handle.signal(row.signal, row.payload, rpc_timeout=RPC_TIMEOUT)

    async def _read_other(self, client: Client, workflow_id: str, start: WorkflowStart, run_id: str) -> None:
        """A start found a run that goes on or has succeeded. What it came to is written down, if we do not know it.

        Our database may have lost it: then nobody else would tell how the export ended.
        """
        execution = await client.get_workflow_handle(workflow_id, run_id=run_id).describe(rpc_timeout=RPC_TIMEOUT)
        if execution.status is WorkflowExecutionStatus.RUNNING:
            if start.after_run == run_id:
                raise _StillClosingError(workflow_id)
            if self._epoch is not None:
                self._epoch.hasten()  # if the database has lost that run, it shows now
            return  # the same export: it tells by itself how it goes
        if start.workflow_type != contracts.WORKFLOW_TYPE:
            return
        run = await read_run(client, execution)
        if isinstance(run, Unreadable):
            raise _UnreadableRunError(
                f"the run {run.run_id} has succeeded, and what it came to cannot be read ({run.why})"
            )
        await asyncio.to_thread(self._write_down, run)

    def _write_down(self, run: Known) -> None:
        with self._database.transaction() as session:
            if write_down(session, run, at=self._clock()):
                log.warning("an export had succeeded without our knowing", workflow=run.execution.id)

    def _take(self) -> Sequence[OutboxSignal]:
        with self._database.transaction() as session:
            now = self._clock()
            if not outbox.hold_lease(session, LEASE, holder=self._holder, now=now, seconds=LEASE_S):
                return ()
            self._sweep(session, now)
            return outbox.take(session, self._pace.batch, now=now, hold_starts=HOLD)

    def _look(self) -> None:
        """Tell whose Web Connector has stopped calling, or calls again: the holder of the lease does it."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now  # first: if this fails, signals do not wait for it at each turn
        with self._database.transaction() as session:
            if not outbox.hold_lease(session, LEASE, holder=self._holder, now=now, seconds=LEASE_S):
                return
            seen = connection_watch.look(session, now=now)
        if seen.stale or seen.recovered:
            log.info("connections changed", stale=list(seen.stale), recovered=list(seen.recovered))
        if seen.is_full:
            self._looked_at = None

    def _sweep(self, session: Session, now: datetime) -> None:
        """Close what a Web Connector left open: the holder of the lease is the one who does it, now and then."""
        if self._swept_at is not None and now - self._swept_at < SWEEP_EVERY:
            return
        self._swept_at = now
        sign_ins.forget_old(session, now=now)
        closed = queue.close_abandoned(session, silent_since=now - self._abandon_after, last_error=ABANDONED_TEXT)
        if closed:
            self._observe.metrics.sessions.labels("abandoned").inc(closed)
            log.info("abandoned sessions were closed", sessions=closed)

    def _mark(self, settled: _Settled) -> None:
        """Note what Temporal took, once a batch, without waiting for the disk: a lost note is a signal told twice."""
        now = self._clock()
        with self._database.transaction("relay", waits=False) as session:
            outbox.mark_delivered(session, settled.delivered, at=now)
            outbox.mark_delivered(session, settled.late, at=now, note="the workflow had ended")
            if settled.late:
                for workflow_id in outbox.workflows_of(session, settled.late):
                    self._revive(session, workflow_id)

    def _revive(self, session: Session, workflow_id: str) -> None:
        """Start the workflow of an export that is not at its end: Temporal lost it, or was replaced by an empty one."""
        row = exports.by_workflow_id(session, workflow_id)
        if row is None or contracts.ExportState(row.state).is_final or outbox.waits_to_start(session, workflow_id):
            return
        log.warning("an export without its workflow is started again", workflow=workflow_id)
        start = contracts.export_start(row.company_id, row.document, number=row.number)
        outbox.add_start(
            session,
            workflow_id=workflow_id,
            start=start.model_dump(mode="json"),
            at=self._clock(),
            traceparent=row.traceparent,
        )

    def _postpone(self, workflow_ids: Sequence[str], pause: timedelta) -> None:
        with self._database.transaction() as session:
            outbox.postpone(session, workflow_ids, until=self._clock() + pause)

    def _note_refusal(self, why: dict[str, str]) -> None:
        """Let these wait, and say to whoever looks at the export or the company what keeps it back."""
        now = self._clock()
        with self._database.transaction() as session:
            outbox.postpone(session, list(why), until=now + REFUSED_PAUSE)
            for workflow_id, reason in why.items():
                row = exports.by_workflow_id(session, workflow_id)
                if row is None:
                    continue
                session.refresh(row, with_for_update=True)  # somebody may take it back just now
                text = contracts.not_taken(row.detail, reason)
                companies.record_incident_once(
                    session, company_id=row.company_id, at=now, code=REFUSED, text=text, within=REFUSED_TOLD_EVERY
                )
                if not contracts.has_not_begun(row) or row.detail == text:
                    continue
                row.detail, row.owner, row.updated_at = text, Owner.US, now
                key = f"{row.id}/not taken/{now.isoformat()}"
                exports.add_timeline(session, row.id, at=now, state=row.state, text=text, key=key)
                webhooks.tell_export(session, row, at=now, key=key)

    def _let_go(self) -> None:
        with self._database.transaction() as session:
            outbox.drop_lease(session, LEASE, holder=self._holder)


async def _start(client: Client, workflow_id: str, start: WorkflowStart, task_queue: str) -> str | None:
    """Start a workflow unless it runs or has succeeded (design.md 3.1); gives the run that was there already."""
    attributes = [SearchAttributePair(SearchAttributeKey.for_keyword(k), v) for k, v in start.search_attributes.items()]
    try:
        await client.start_workflow(
            start.workflow_type,
            start.argument,
            id=workflow_id,
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if start.may_repeat
            else WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            # Without a signal that must reach it, a run that is there already is told apart from a new one.
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL
            if start.signal is None
            else WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=start.summary or None,
            start_signal=start.signal,
            start_signal_args=[start.signal_argument] if start.signal is not None else [],
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError as error:
        return error.run_id
    return None


def _label(row: OutboxSignal) -> str:
    return "start" if row.signal == outbox.START else row.signal


def _is_of_one_workflow(error: BaseException) -> bool:
    """Say whether it says something of one workflow, while Temporal takes the others."""
    return isinstance(error, _UnreadableRunError) or (isinstance(error, RPCError) and error.status not in PASSING)


def _is_workflow_gone(error: RPCError) -> bool:
    """A namespace that does not exist answers NOT_FOUND as well; then nothing may be marked as delivered."""
    return error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower()
