"""Asking Temporal whether it knows more of our exports than our own database does, and bringing the database up to it.

A workflow writes each step to the database first and shows it in Temporal afterwards (`ExportState`). So where Temporal
shows more, the database has lost something: it stepped back (store/epochs.py). It costs no call while exports go on:
what began or ended since the last time is listed when a relay begins, and then every ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from qbwc_bridge.known_runs import Known, Unreadable, newest_runs, read_run, write_down
from store import companies, epochs, exports
from store.engine import Database
from store.epochs import Doubt
from store.exports import Standing
from workflows import contracts
from workflows.contracts import ExportState
from workflows.search_attributes import EXPORT_STATE

MARGIN = timedelta(hours=1)
"""The clocks of our database and of Temporal are not one."""
COMPARE_EVERY = timedelta(minutes=10)
ASK_AGAIN_AFTER = timedelta(minutes=5)
"""A worker that is away finds one question, and not one for each comparison meanwhile."""
GO_ON_EVERY = timedelta(seconds=2)
"""While companies are in doubt."""
DOUBTS_AT_ONCE = 1000
ROWS_AT_ONCE = 200
RPC_TIMEOUT = timedelta(seconds=10)

log = structlog.get_logger(__name__)


@dataclass
class Compared:
    """What one comparison came to."""

    read_back: dict[str, int] = field(default_factory=dict)
    """Exports by what was found of them, in the words of `known_runs.write_down`."""
    unreadable: list[str] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)
    """Runs whose requests were lost: they queue them anew."""
    looked_up: int = 0
    """Requests that are looked up in QuickBooks before they are sent."""
    strangers: list[str] = field(default_factory=list)
    """Companies of which Temporal knows exports, and that the database does not have."""
    is_over: bool = False
    """No company is in doubt any more."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What Temporal shows of the newest run of an export."""

    workflow_id: str
    run_id: str | None
    status: WorkflowExecutionStatus | None
    state: str | None
    """`ExportState`; None until it waits for the Web Connector."""

    @property
    def has_begun(self) -> bool:
        """Say whether it runs, and its request was queued."""
        is_queued = self.state in (ExportState.QUEUED, ExportState.SENT)
        return self.status == WorkflowExecutionStatus.RUNNING and is_queued


def knows_more(shown: Shown, held: Standing | None) -> bool:
    """Say whether Temporal shows what our database would hold if it had lost nothing.

    A run that failed proves nothing: one whose document is none has no row.
    """
    has_succeeded = shown.status == WorkflowExecutionStatus.COMPLETED
    if not has_succeeded and not shown.has_begun:
        return False
    if held is None:
        return True
    if held.state == ExportState.SUCCESSFUL:
        return False
    if has_succeeded or held.run_id != shown.run_id:
        return True
    return shown.state == ExportState.SENT and held.never_left


def lacks_its_request(shown: Shown, held: Standing | None) -> bool:
    """Say whether a run waits for what becomes of a request that our database lost."""
    if not shown.has_begun:
        return False
    return held is None or held.run_id != shown.run_id or not (held.has_request or ExportState(held.state).is_final)


def agrees(shown: Shown, held: Standing | None) -> bool:
    """Say whether our database holds how a run ended: then nobody has to read it."""
    ends = {
        WorkflowExecutionStatus.COMPLETED: ExportState.SUCCESSFUL,
        WorkflowExecutionStatus.FAILED: ExportState.FAILED,
        WorkflowExecutionStatus.CANCELED: ExportState.CANCELLED,
    }
    if held is None or shown.status is None:
        return False
    is_same = held.run_id == shown.run_id or held.state == ExportState.SUCCESSFUL
    return is_same and held.state == ends.get(shown.status)


class EpochWatch:
    """Compares, and brings companies in doubt out of it. For the relay that holds the lease, and `qbd restored`."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        """`new_id` gives unused ids of message sets."""
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._next_at: datetime | None = None
        self._asked_at: dict[str, datetime] = {}

    def is_due(self) -> bool:
        """Say whether it is time to compare again."""
        return self._next_at is None or self._clock() >= self._next_at

    def hasten(self) -> None:
        """Compare at the next turn: something shows that Temporal knows more."""
        self._next_at = None

    async def compare(self, client: Client) -> Compared:
        """Compare, and write down what Temporal knows more. Raises RPCError when it is away; doubts stay meanwhile."""
        told, now = Compared(), self._clock()
        self._next_at = now + GO_ON_EVERY  # first: if this fails, signals do not wait for it at each turn
        since, doubts, is_certain = await asyncio.to_thread(self._begin)
        runs = [_shown(one) async for one in newest_runs(client, since - MARGIN, all_running=bool(doubts))]
        held = await asyncio.to_thread(self._held, runs)
        if not is_certain and await self._is_proven(client, runs, held):
            await asyncio.to_thread(self._step_back, since)
            if not doubts:
                return told  # at the next turn, with all that runs
        if not doubts and await asyncio.to_thread(self._end, now):
            self._next_at, told.is_over = now + COMPARE_EVERY, True
            return told
        waiting = await self._read_back(client, runs, held, {one.company_id for one in doubts}, told)
        for doubt in doubts:
            if doubt.company_id not in waiting:
                told.looked_up += await asyncio.to_thread(self._settle, doubt)
        told.is_over = await asyncio.to_thread(self._end, now)
        if told.is_over:
            self._next_at, self._asked_at = now + COMPARE_EVERY, {}
        return told

    async def _is_proven(self, client: Client, runs: Iterable[Shown], held: Mapping[str, Standing]) -> bool:
        """Say whether one of them shows it, read anew in this order: Temporal, and then what is always ahead of it."""
        for one in runs:
            if not knows_more(one, held.get(one.workflow_id)):
                continue
            handle = client.get_workflow_handle(one.workflow_id)
            now = _shown(await handle.describe(rpc_timeout=RPC_TIMEOUT))
            again = await asyncio.to_thread(self._held, [now])
            if knows_more(now, again.get(now.workflow_id)) and await asyncio.to_thread(self._is_ours, now.workflow_id):
                log.error("Temporal knows more of an export than the database", workflow=one.workflow_id)
                return True
        return False

    async def _read_back(
        self,
        client: Client,
        runs: Iterable[Shown],
        held: Mapping[str, Standing],
        companies: set[str],
        told: Compared,
    ) -> set[str]:
        """Write down what ended, and let runs whose request is lost queue it again; gives who still waits for these."""
        waiting: set[str] = set()
        for one in runs:
            company = contracts.company_of(one.workflow_id)
            if company is not None and company not in companies and company not in told.strangers:
                told.strangers.append(company)
            if company is None or company not in companies:
                continue
            if one.status == WorkflowExecutionStatus.RUNNING:
                if lacks_its_request(one, held.get(one.workflow_id)):
                    waiting.add(company)
                    told.asked_again.append(one.workflow_id)
                    await self._ask_to_queue_again(client, one)
            elif not agrees(one, held.get(one.workflow_id)):
                await self._read_one(client, one, told)
        return waiting

    async def _read_one(self, client: Client, shown: Shown, told: Compared) -> None:
        handle = client.get_workflow_handle(shown.workflow_id, run_id=shown.run_id)
        run = await read_run(client, await handle.describe(rpc_timeout=RPC_TIMEOUT))
        if isinstance(run, Unreadable):
            log.warning("a run cannot be read", workflow=run.workflow_id, run=run.run_id, why=run.why)
            told.unreadable.append(run.workflow_id)
            return
        found = await asyncio.to_thread(self._write_down, run)
        if found:
            log.info("an export was read back", workflow=shown.workflow_id, found=found)
            told.read_back[found] = told.read_back.get(found, 0) + 1

    async def _ask_to_queue_again(self, client: Client, shown: Shown) -> None:
        asked_at = self._asked_at.get(shown.workflow_id)
        if asked_at is not None and self._clock() - asked_at < ASK_AGAIN_AFTER:
            return
        handle = client.get_workflow_handle(shown.workflow_id, run_id=shown.run_id)
        try:
            await handle.signal(contracts.SIGNAL_QUEUE_AGAIN, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise  # otherwise it has ended just now
        self._asked_at[shown.workflow_id] = self._clock()

    def _begin(self) -> tuple[datetime, Sequence[Doubt], bool]:
        """Give since when Temporal may know more, who is in doubt, and whether it is certain that there is reason."""
        with self._database.transaction() as session:
            row, doubts = epochs.epoch(session, now=self._clock()), epochs.in_doubt(session, limit=DOUBTS_AT_ONCE)
            return min([row.seen_at, *(one.since for one in doubts)]), doubts, row.is_certain

    def _held(self, runs: Sequence[Shown]) -> dict[str, Standing]:
        found: dict[str, Standing] = {}
        for start in range(0, len(runs), ROWS_AT_ONCE):
            with self._database.transaction() as session:
                ids = [one.workflow_id for one in runs[start : start + ROWS_AT_ONCE]]
                found |= exports.standings(session, ids)
        return found

    def _is_ours(self, workflow_id: str) -> bool:
        """Another database of ours may share the namespace: what it connected is no business of this one."""
        with self._database.transaction() as session:
            company = contracts.company_of(workflow_id)
            return company is not None and companies.company(session, company) is not None

    def _step_back(self, since: datetime) -> None:
        with self._database.transaction() as session:
            epochs.step_back(session, since=since, now=self._clock())

    def _write_down(self, run: Known) -> str:
        with self._database.transaction() as session:
            return write_down(session, run, at=self._clock())

    def _settle(self, doubt: Doubt) -> int:
        with self._database.transaction() as session:
            return epochs.settle(session, doubt, new_id=self._new_id)

    def _end(self, compared_at: datetime) -> bool:
        with self._database.transaction() as session:
            return epochs.is_over(session, seen_at=compared_at)


def _shown(execution: WorkflowExecution) -> Shown:
    return Shown(
        workflow_id=execution.id,
        run_id=execution.run_id,
        status=execution.status,
        state=execution.typed_search_attributes.get(EXPORT_STATE),
    )
