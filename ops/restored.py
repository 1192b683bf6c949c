"""`qbd restored`: what must happen after the database was put back from a backup, before anything is sent again.

A restored database forgot what happened since. What it calls waiting may be in QuickBooks, and what Temporal knows of
it may be unknown to it. So everything that waits is treated as sent with an answer that was lost: the recovery of lost
answers (qbwc_bridge/recovery.py) then looks each one up before it leaves. And what Temporal knows is written down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from mapping.documents import CarrierBill, Invoice, content_hash, parse_document, party_of
from ops.database import open_database
from ops.exits import settle
from ops.fresh import new_id, now
from ops.payload_codec import PayloadLockedError
from ops.problems import ProblemError
from ops.settings import Settings
from ops.wiring import connect_temporal
from qbwc_bridge.recovery import MAY_BE_THERE
from store import exports, queue, secrets, states, webhooks
from store.companies import company
from store.engine import Database
from store.tables import Export, MessageSet, OutboxSignal, Request, WebConnectorSession
from workflows import contracts
from workflows.contracts import ExportInput, ExportState, Failure, Outcome, Transaction
from workflows.raw_input import read_input

log = structlog.get_logger(__name__)

SET_SIZE = 20
"""Requests that are looked up together; each asks QuickBooks two questions."""
SHOWN_MAX = 10
"""Workflow ids that one line names."""
MARGIN = timedelta(hours=1)
"""The clocks of the backup and of Temporal are not one."""
START_TOO_LATE = "start_too_late"
"""How a run ends that came after its export had ended: it changed nothing."""
TEXT = "Written down from Temporal after the database was restored"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What Temporal knows of the newest run of an export."""

    execution: WorkflowExecution
    inp: ExportInput
    transaction: Transaction | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Unreadable:
    """A run whose input or result is not one of ours: somebody else started it, or it was encrypted with a lost key."""

    workflow_id: str


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What is written down of a run."""

    state: ExportState
    found: str
    failure: Failure | None = None

    @property
    def is_forgotten(self) -> bool:
        """Say whether nothing is lost without it: what was taken back was never sent, and may be exported anew."""
        return self.state is ExportState.CANCELLED


async def run_restored(
    settings: Settings, environ: Mapping[str, str], *, backup_at: datetime, temporal: bool = False
) -> list[str]:
    """Mend what follows a restore of the database, or of Temporal; gives one line for each kind of finding.

    After the database's, bridge, API and worker must not run meanwhile. Raises `ProblemError`.
    """
    if backup_at > now():
        raise ProblemError("The backup cannot be from the future; give its time as in 2026-11-25T03:00:00+00:00.")
    database = open_database(settings)
    try:
        if temporal:
            return deliver_again(database, since=backup_at)
        client = await connect_temporal(settings, environ)
        return await restored(database, client, backup_at=backup_at)
    finally:
        database.close()
        await settle()


async def restored(
    database: Database, client: Client, *, backup_at: datetime, clock: Callable[[], datetime] = now
) -> list[str]:
    """Write down what Temporal knows since the backup, then hold back what waits until it was looked up.

    A second call finds nothing new to write down, and looks up again what still waits.
    """
    counts: dict[str, int] = {}
    unreadable: list[str] = []
    async for known in _newest_runs(client, backup_at - MARGIN):
        if isinstance(known, Unreadable):
            unreadable.append(known.workflow_id)
            continue
        with database.transaction() as session:
            found = _write_down(session, known, at=clock())
        if found == "unknown":
            # After the commit: a run that is gone while nothing says so could be exported a second time.
            await _terminate(client, known.execution)
        counts[found] = counts.get(found, 0) + 1
    with database.transaction() as session:
        held = sum(look_before_sending(session, since=backup_at))
    words = {
        "there": "were in QuickBooks and are Successful again",
        "failed": "had failed and are Failed again",
        "cancelled": "had been taken back and are Cancelled again",
        "unknown": "may be in QuickBooks and are Failed with outcome_unknown: the bookkeeper looks",
        "no company": "belong to companies that the backup did not have yet: connect them again under the same id, "
        "then run this again",
    }
    lines = [f"{counts[name]} exports {text}" for name, text in words.items() if name in counts]
    if unreadable:
        lines.append(
            f"{len(unreadable)} runs have an input or a result that cannot be read and were passed over; look at them "
            f"in Temporal: {', '.join(unreadable[:SHOWN_MAX])}{', ...' if len(unreadable) > SHOWN_MAX else ''}"
        )
    return [*lines, f"{held} waiting requests are looked up in QuickBooks before they are sent"]


def look_before_sending(session: Session, *, since: datetime, set_size: int = SET_SIZE) -> Iterator[int]:
    """Turn what waits into sets whose answer was lost, for every company; gives the size of each set.

    The next session asks QuickBooks for each set, which has never heard of it, and then looks each request up: by
    number, and by customer or vendor and time from a day before `since`.
    """
    by_company: dict[str, list[Request]] = {}
    for request in session.scalars(select(Request).where(Request.state == states.WAITING).order_by(Request.seq)):
        by_company.setdefault(request.company_id, []).append(request)
    for company_id, requests in by_company.items():
        ticket_hash = secrets.fingerprint(secrets.new_ticket())  # nobody holds this ticket
        session.add(
            WebConnectorSession(
                ticket_hash=ticket_hash,
                company_id=company_id,
                state="abandoned",
                started_at=since,
                last_call_at=since,
                last_error="The database was restored from a backup.",
            )
        )
        session.flush()
        for start in range(0, len(requests), set_size):
            part = requests[start : start + set_size]
            lost = MessageSet(
                id=new_id(),
                company_id=company_id,
                ticket_hash=ticket_hash,
                kind="write",
                state=states.SENT,
                text="",
                seq=start // set_size + 1,
                sent_at=since,
            )
            session.add(lost)
            for request in part:
                request.state = states.IN_FLIGHT
                request.attempt += 1
                request.message_set_id = lost.id
            yield len(part)


def deliver_again(database: Database, *, since: datetime) -> list[str]:
    """Let what was delivered since go to Temporal once more, after *Temporal* was put back; gives a line.

    A signal that a run knows changes nothing, nor does the start of an export that runs or has succeeded
    (design.md 3.1, 3.2). Everything may run meanwhile.
    """
    again = update(OutboxSignal).where(OutboxSignal.delivered_at >= since).values(delivered_at=None, note="")
    with database.transaction() as session:
        count = cast("CursorResult[Any]", session.execute(again)).rowcount
    return [f"{count} starts and signals are delivered again"]


async def _newest_runs(client: Client, since: datetime) -> AsyncIterator[Known | Unreadable]:
    at = since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    wanted = f"WorkflowType = '{contracts.WORKFLOW_TYPE}' AND "
    wanted += f"(ExecutionStatus = 'Running' OR StartTime >= '{at}' OR CloseTime >= '{at}')"
    newest: dict[str, WorkflowExecution] = {}
    async for execution in client.list_workflows(wanted):
        other = newest.get(execution.id)
        if other is None or execution.start_time > other.start_time:
            newest[execution.id] = execution
    for execution in newest.values():
        yield await _known(client, execution) or Unreadable(execution.id)


async def _known(client: Client, execution: WorkflowExecution) -> Known | None:
    """Read a run; None when its input or result cannot be read. Raises RPCError when Temporal is away."""
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id, result_type=Transaction)
    first = await anext(handle.fetch_history_events(page_size=1))
    payloads = first.workflow_execution_started_event_attributes.input.payloads
    transaction = failure = None
    try:
        inp = read_input(await client.data_converter.decode(payloads), ExportInput)
        if isinstance(inp, str):
            return None
        if execution.status == WorkflowExecutionStatus.COMPLETED:
            transaction = await handle.result()
        elif execution.status == WorkflowExecutionStatus.FAILED:
            failure = await _failure_of(handle)
    except (PayloadLockedError, ValueError, KeyError, IndexError, RuntimeError) as error:
        log.warning("a run cannot be read", workflow=execution.id, error=type(error).__name__)
        return None
    return Known(execution=execution, inp=inp, transaction=transaction, failure=failure)


async def _failure_of(handle: WorkflowHandle[Any, Transaction]) -> Failure | None:
    try:
        await handle.result()
    except WorkflowFailureError as error:
        if isinstance(error.cause, ApplicationError) and error.cause.type == contracts.FAILURE_TYPE:
            return Failure.model_validate(error.cause.details[0])
    return None


def _write_down(session: Session, known: Known, *, at: datetime) -> str:
    """Bring one export to what Temporal knows of it; gives what was found, "" when nothing was to be done."""
    document = parse_document(known.inp.document)
    if isinstance(document, list):
        return ""  # it never got further than this refusal
    row = exports.find_export(session, known.inp.company_id, document.kind, document.id)
    if row is not None and row.run_id == known.execution.run_id and row.state in _ENDED:
        is_open = known.execution.status == WorkflowExecutionStatus.RUNNING
        return "unknown" if is_open and (row.error or {}).get("code") == contracts.OUTCOME_UNKNOWN else ""
    request = queue.newest_request(session, row.id) if row is not None else None
    fate = _fate(known, request)
    if fate is None or (row.state == ExportState.SUCCESSFUL if row is not None else fate.is_forgotten):
        return ""
    if row is None:
        if company(session, known.inp.company_id) is None:
            return "no company"
        new = exports.NewExport(
            company_id=known.inp.company_id,
            kind=document.kind,
            document_id=document.id,
            number=document.number,
            content_hash=content_hash(document),
            document=known.inp.document,
        )
        row = exports.add_export(session, new, state=fate.state, at=at)
    key = f"{known.execution.run_id}/restored"
    if not exports.add_timeline(session, row.id, at=at, state=fate.state, text=TEXT, key=key):
        return ""
    _take_over(row, known, fate, at)
    if known.transaction is not None and known.transaction.ref_number:
        _reserve(session, row, document, known.transaction.ref_number)
    if request is not None and (request.state in (states.WAITING, states.IN_FLIGHT) or fate.found == "unknown"):
        _settle(request, known.transaction, fate)
    webhooks.tell_export(session, row, at=at, key=key)
    return fate.found


def _take_over(row: Export, known: Known, fate: Fate, at: datetime) -> None:
    row.run_id = known.execution.run_id
    row.state = fate.state
    row.detail = fate.failure.explanation if fate.failure is not None else TEXT
    row.updated_at = at
    row.error = fate.failure.model_dump(mode="json") if fate.failure is not None else None
    row.owner = fate.failure.owner if fate.failure is not None else None
    if known.transaction is not None:
        row.quickbooks = known.transaction.model_dump(mode="json")
        row.ref_number = known.transaction.ref_number or row.ref_number


def _reserve(session: Session, row: Export, document: Invoice | CarrierBill, ref_number: str) -> None:
    """Keep the number from another document, unless one got it already: that is for pre-flight to say."""
    place = {"company_id": row.company_id, "kind": row.kind, "party_id": party_of(document)}
    if not exports.numbers_of_others(session, **place, document_id=row.document_id)(ref_number):
        exports.reserve_ref_number(
            session, **place, ref_number=ref_number, document_id=row.document_id, holds_none=False
        )


def _settle(request: Request, transaction: Transaction | None, fate: Fate) -> None:
    if fate.state is ExportState.CANCELLED:
        request.state = states.CANCELLED
        return
    request.state = states.DONE
    outcome = Outcome(request_id=request.id, key="end", transaction=transaction, failure=fate.failure)
    request.outcome = outcome.model_dump(mode="json")


_ENDED = (ExportState.FAILED, ExportState.CANCELLED)
_LOST = Failure(
    code=contracts.OUTCOME_UNKNOWN,
    message="The database was restored from a backup that is older than this export",
    explanation=MAY_BE_THERE.explanation,
    owner=MAY_BE_THERE.owner,
    next_step=MAY_BE_THERE.next_step,
)


def _fate(known: Known, request: Request | None) -> Fate | None:
    """Say what a run came to; None when there is nothing to write down."""
    status = known.execution.status
    if known.transaction is not None:
        return Fate(state=ExportState.SUCCESSFUL, found="there")
    if known.failure is not None:
        is_nothing = known.failure.code == START_TOO_LATE
        return None if is_nothing else Fate(state=ExportState.FAILED, found="failed", failure=known.failure)
    if status == WorkflowExecutionStatus.CANCELED:
        return Fate(state=ExportState.CANCELLED, found="cancelled")
    if status == WorkflowExecutionStatus.RUNNING and (request is None or request.run_id != known.execution.run_id):
        return Fate(state=ExportState.FAILED, found="unknown", failure=_LOST)
    return None  # it runs, and the queue has its request: that one is looked up


async def _terminate(client: Client, execution: WorkflowExecution) -> None:
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    try:
        await handle.terminate(reason="Its request was lost with the database; a person looks into QuickBooks")
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
