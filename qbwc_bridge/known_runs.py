"""What Temporal knows of exports, and writing it down where our own database knows less.

The database steps back (a restore, a failover) while Temporal stays as it is. Each run of an export can then be read
there: its input, and what it came to. The relay does so when a start finds a run that is there already, and
for all that ran since (epoch.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from mapping.documents import CarrierBill, Invoice, content_hash, parse_document, party_of
from store import exports, queue, states, waits, webhooks
from store.companies import lock_company
from store.tables import Export, Request
from workflows import contracts
from workflows.contracts import ExportInput, ExportState, Failure, Outcome, Transaction
from workflows.raw_input import read_input

START_TOO_LATE = "start_too_late"
"""How a run ends that came after its export had ended: it changed nothing."""
TEXT = "Read back from Temporal, which knew more of it than our database"
WHY_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Known:
    """What Temporal knows of one run of an export."""

    execution: WorkflowExecution
    inp: ExportInput
    transaction: Transaction | None = None
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A run whose input or result is not what a run of an export has."""

    workflow_id: str
    run_id: str | None
    why: str


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


async def newest_runs(client: Client, since: datetime, *, all_running: bool = True) -> AsyncIterator[WorkflowExecution]:
    """Give the newest run of each export that began or ended since, or that runs; raises RPCError.

    Without `all_running`, of those that run only the ones that QuickBooks has are given.
    """
    at = since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    wanted = f"WorkflowType = '{contracts.WORKFLOW_TYPE}' AND "
    running = "ExecutionStatus = 'Running'" + ("" if all_running else f" AND ExportState = '{ExportState.SENT}'")
    wanted += f"(({running}) OR StartTime >= '{at}' OR CloseTime >= '{at}')"
    newest: dict[str, WorkflowExecution] = {}
    async for execution in client.list_workflows(wanted):
        other = newest.get(execution.id)
        if other is None or execution.start_time > other.start_time:
            newest[execution.id] = execution
    for execution in newest.values():
        yield execution


async def read_run(client: Client, execution: WorkflowExecution) -> Known | Unreadable:
    """Read a run's input and what it came to. Raises RPCError."""
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id, result_type=Transaction)
    first = await anext(handle.fetch_history_events(page_size=1))
    payloads = first.workflow_execution_started_event_attributes.input.payloads
    transaction = failure = None
    try:
        inp = await _input_of(client, execution.id, payloads)
        if execution.status == WorkflowExecutionStatus.COMPLETED:
            transaction = Transaction.model_validate(await handle.result())
        elif execution.status == WorkflowExecutionStatus.FAILED:
            failure = await _failure_of(client, execution)
    except RPCError:
        raise
    except Exception as error:  # noqa: BLE001 whatever a client put there: converters raise what they like
        why = f"{type(error).__name__}: {error}".splitlines()[0][:WHY_MAX]
        return Unreadable(workflow_id=execution.id, run_id=execution.run_id, why=why)
    return Known(execution=execution, inp=inp, transaction=transaction, failure=failure)


async def _input_of(client: Client, workflow_id: str, payloads: Sequence[Payload]) -> ExportInput:
    inp = read_input(await client.data_converter.decode(payloads), ExportInput)
    if isinstance(inp, str):
        raise ValueError(inp)
    named = contracts.export_workflow_id(inp.company_id, str(inp.document.get("kind")), str(inp.document.get("id")))
    if named != workflow_id:
        raise ValueError(f"its input is of {named}")
    return inp


async def _failure_of(client: Client, execution: WorkflowExecution) -> Failure | None:
    """Give why an export failed; None when its run was ended otherwise."""
    try:
        await client.get_workflow_handle(execution.id, run_id=execution.run_id).result()
    except WorkflowFailureError as error:
        if isinstance(error.cause, ApplicationError) and error.cause.type == contracts.FAILURE_TYPE:
            return Failure.model_validate(error.cause.details[0])
    return None


def write_down(session: Session, known: Known, *, at: datetime) -> str:
    """Bring one export to what Temporal knows of it; gives what was found, "" when nothing was to be done.

    there | failed | cancelled | no company
    """
    document = parse_document(known.inp.document)
    if isinstance(document, list):
        return ""  # it never got further than this refusal
    owner = lock_company(session, known.inp.company_id)
    row = exports.find_export(session, known.inp.company_id, document.kind, document.id)
    if row is not None and row.run_id == known.execution.run_id and row.state in _ENDED:
        return ""
    request = queue.newest_request(session, row.id) if row is not None else None
    fate = _fate(known)
    if fate is None or (_needs_nothing(row, fate) if row is not None else fate.is_forgotten):
        return ""
    if row is None:
        if owner is None:
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
    _take_over(row, known, fate, document, at)
    waits.end(session, row.id)
    if known.transaction is not None and known.transaction.ref_number:
        _reserve(session, row, document, known.transaction.ref_number)
    if request is not None and request.state in (states.WAITING, states.IN_FLIGHT):
        _settle(request, known.transaction, fate)
    webhooks.tell_export(session, row, at=at, key=key)
    return fate.found


def _needs_nothing(row: Export, fate: Fate) -> bool:
    """Say whether the row knows better: the proof is there, or a new start of it waits, which may follow any end."""
    if row.state == ExportState.SUCCESSFUL:
        return True
    return contracts.has_not_begun(row) and fate.found in ("failed", "cancelled")


def _take_over(row: Export, known: Known, fate: Fate, document: Invoice | CarrierBill, at: datetime) -> None:
    row.run_id = known.execution.run_id
    row.state = fate.state
    row.detail = fate.failure.explanation if fate.failure is not None else TEXT
    row.updated_at = at
    row.error = fate.failure.model_dump(mode="json") if fate.failure is not None else None
    row.owner = fate.failure.owner if fate.failure is not None else None
    if known.transaction is not None:
        # What QuickBooks holds is what that run exported, whatever was handed to us since.
        row.document, row.content_hash, row.number = known.inp.document, content_hash(document), document.number
        row.quickbooks = known.transaction.model_dump(mode="json")
        row.has_differences = bool(known.transaction.differences)
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


def _fate(known: Known) -> Fate | None:
    """Say what a run came to; None when there is nothing to write down."""
    if known.transaction is not None:
        return Fate(state=ExportState.SUCCESSFUL, found="there")
    if known.failure is not None:
        is_nothing = known.failure.code == START_TOO_LATE
        return None if is_nothing else Fate(state=ExportState.FAILED, found="failed", failure=known.failure)
    if known.execution.status == WorkflowExecutionStatus.CANCELED:
        return Fate(state=ExportState.CANCELLED, found="cancelled")
    return None
