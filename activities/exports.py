"""The database steps of an export: prepare (map, validate, queue), record a state, take a request back.

Each is idempotent: the run id (and a key) say whether it happened before. No step talks to a network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session
from temporalio import activity

from activities.checking import awaited, checked
from activities.failures import TEXT_MAX, failure_of
from activities.look_before import facts_of_claim, look_before
from activities.queued import request_values, reserve_number
from mapping.documents import CarrierBill, Invoice, content_hash, parse_document
from mapping.issues import Issue, Owner
from mapping.result import external_guid_for
from store import exports, outbox, queue, states, waits, webhooks
from store.companies import lock_company
from store.engine import Database
from store.exports import Moving
from store.tables import Company, Export, Request
from store.within import after_commit
from telemetry.instruments import WorkerMetrics
from telemetry.tracing import Tracing
from workflows import contracts
from workflows.contracts import (
    CancelInput,
    CancelResult,
    ExportState,
    Failure,
    Outcome,
    Prepared,
    PrepareInput,
    RecordInput,
    Transaction,
    export_workflow_id,
    there_text,
)

log = structlog.get_logger(__name__)

WAITING_TEXT = "Waiting for the Web Connector"
CLAIM_TEXT = "Somebody said that it is in QuickBooks; the next update looks it up there"


@dataclass(frozen=True)
class _Move:
    """A change of an export's state; the key names it, so a repeated one changes nothing."""

    state: ExportState
    text: str
    key: str
    transaction: Transaction | None = None
    failure: Failure | None = None


def _failed(failure: Failure, key: str) -> _Move:
    return _Move(ExportState.FAILED, failure.explanation, key, failure=failure)


def _apply(row: Export | Moving, move: _Move, now: datetime) -> None:
    """Bring a row to its new state."""
    row.state = move.state
    row.detail = move.text[:TEXT_MAX]
    row.updated_at = now
    row.error = move.failure.model_dump(mode="json") if move.failure else None
    row.owner = move.failure.owner if move.failure else None
    if move.transaction is not None:
        row.quickbooks = move.transaction.model_dump(mode="json")
        row.has_differences = bool(move.transaction.differences)


ID_SHOWN_MAX = 200
"""So much of a workflow id is told: anybody can start a run under any id."""


class ExportActivities:
    """The activities over one database."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        metrics: WorkerMetrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """`new_id` gives unused ids of at most 20 characters [A-Z2-7]: they travel as requestID."""
        self._metrics = metrics or WorkerMetrics(CollectorRegistry())
        self._tracing = tracing or Tracing()
        self._database = database
        self._clock = clock
        self._new_id = new_id

    @activity.defn(name=contracts.ACTIVITY_PREPARE)
    def prepare_export(self, inp: PrepareInput) -> Prepared:
        """Map and queue the document of this run, or adopt what an earlier run left under way."""
        problem = inp.problem or _wrong_id(inp)
        if problem is not None:
            self._start_what_waits(inp)
            return Prepared(failure=contracts.malformed_start(problem))
        return self._prepare(inp)

    def _prepare(self, inp: PrepareInput) -> Prepared:
        with self._database.transaction("prepare_export") as session, session.no_autoflush:
            # Nothing that is read here depends on what is not written yet; so each row is written once, at the end.
            owner = lock_company(session, inp.company_id)
            if owner is None:
                return Prepared(failure=_unknown_company(inp.company_id))
            document = parse_document(inp.document)
            if isinstance(document, list):
                return self._refuse(session, inp, None, document)
            digest = content_hash(document)
            found = exports.with_newest_request(session, owner.id, document.kind, document.id)
            if found is not None and not inp.is_again and _is_over_for(found[0], inp):
                return Prepared(failure=_superseded())
            row, request = found if found is not None else (self._new_row(owner, inp, document, digest), None)
            row.run_id = inp.run_id
            row.traceparent = self._tracing.current()  # what the bridge does for this run belongs to its trace
            if contracts.has_not_begun(row) and row.content_hash != digest and not inp.is_again:
                # A start that was late: what our API accepted last is what is exported.
                inp = inp.model_copy(update={"document": row.document})
                accepted = parse_document(row.document)
                if isinstance(accepted, list):
                    return self._refuse(session, inp, row, accepted)
                document, digest = accepted, content_hash(accepted)
            adopted = self._adopt(session, row, request, inp, digest)
            if adopted is not None:
                return adopted
            return self._queue(session, owner, row, inp, document, digest, is_first=request is None)

    def _start_what_waits(self, inp: PrepareInput) -> None:
        """Let the export of this id begin behind this run, if our API accepted it: its start met this run instead."""
        with self._database.transaction("prepare_export") as session:
            row = exports.by_workflow_id(session, inp.workflow_id or "")
            if row is None or not contracts.has_not_begun(row):
                return
            start = contracts.export_start(
                row.company_id, row.document, number=row.number, after_run=inp.run_id
            ).model_dump(mode="json")
            outbox.add_start(
                session,
                workflow_id=inp.workflow_id or "",
                start=start,
                at=self._clock(),
                traceparent=row.traceparent,
            )

    @activity.defn(name=contracts.ACTIVITY_RECORD)
    def record_state(self, inp: RecordInput) -> None:
        """Write a state change to the read model and its timeline, once."""
        with self._database.transaction("record_state") as session, session.no_autoflush:
            key = f"{inp.run_id}/{inp.state}/{inp.key}"
            row = exports.moving(session, inp.company_id, inp.kind, inp.document_id, key=key)
            if row is None:
                raise LookupError(f"export {inp.company_id}/{inp.kind}/{inp.document_id} has no row")
            if row.is_noted:
                return
            move = _Move(inp.state, inp.text, key, transaction=inp.transaction, failure=inp.failure)
            now = self._clock()
            _apply(row, move, now)
            exports.save_move(session, row, with_transaction=inp.transaction is not None)
            self._tell(session, row, (move,), now, may_wait=row.may_wait, is_heard=row.is_heard)

    @activity.defn(name=contracts.ACTIVITY_CANCEL)
    def cancel_request(self, inp: CancelInput) -> CancelResult:
        """Take a waiting request out of the queue; False once the Web Connector has fetched it."""
        with self._database.transaction("cancel_request") as session:
            found = queue.request(session, inp.request_id)
            if found is None or found.run_id != inp.run_id:
                return CancelResult(cancelled=False)
            lock_company(session, found.company_id)
            request = queue.request(session, inp.request_id, fresh=True)
            if request is None:
                return CancelResult(cancelled=False)
            if request.state == states.WAITING:
                request.state = states.CANCELLED
            return CancelResult(cancelled=request.state == states.CANCELLED)

    def _new_row(self, owner: Company, inp: PrepareInput, document: Invoice | CarrierBill, digest: str) -> Export:
        new = exports.NewExport(
            company_id=owner.id,
            kind=document.kind,
            document_id=document.id,
            number=document.number,
            content_hash=digest,
            document=inp.document,
        )
        return exports.new_export(new, state=ExportState.MAPPED, at=self._clock())

    def _adopt(
        self, session: Session, row: Export, request: Request | None, inp: PrepareInput, digest: str
    ) -> Prepared | None:
        """Find what was already done for this document: in this run, or in one that ended without hearing of it."""
        if row.content_hash != digest and (row.quickbooks is not None or _is_under_way(request)):
            if request is None or request.state != states.WAITING:
                return Prepared(failure=_content_differs())
            request.state = states.CANCELLED  # nothing has left yet: the new content takes its place
        if row.quickbooks is not None:
            found = Transaction.model_validate(row.quickbooks)
            text = "A person found it in QuickBooks" if found.confirmed_by_person else there_text(found)
            self._note(session, row, _Move(ExportState.SUCCESSFUL, text, f"{inp.run_id}/there", transaction=found))
            return Prepared(transaction=found)
        if row.claim is not None and request is not None and request.state == states.WAITING:
            request.state = states.CANCELLED  # what somebody found in QuickBooks must not be sent
        if request is None or request.state in (states.CANCELLED, states.DONE):
            return self._after(session, row, inp, request)
        request.run_id = inp.run_id
        if request.state == states.WAITING:
            text = CLAIM_TEXT if (request.look or {}).get("claim") else WAITING_TEXT
            self._note(session, row, _Move(ExportState.QUEUED, text, f"{inp.run_id}/queued"))
            return Prepared(request_id=request.id)
        text = "QuickBooks may have it already; its answer is awaited"
        self._note(session, row, _Move(ExportState.SENT, text, f"{inp.run_id}/sent"))
        return Prepared(request_id=request.id, sent_in=request.message_set_id)

    def _after(self, session: Session, row: Export, inp: PrepareInput, request: Request | None) -> Prepared | None:
        """Say what follows where nothing is under way; None: it is queued anew."""
        if row.claim is not None:
            return self._queue_claim(session, row, inp, request)
        if request is None or request.state == states.CANCELLED:
            return self._lost(session, row, inp)
        return self._settled(session, row, inp, request)

    def _lost(self, session: Session, row: Export, inp: PrepareInput) -> Prepared | None:
        """Refuse an export whose request was lost with the database (ops/restored.py) until a person has looked."""
        if (row.error or {}).get("code") != contracts.OUTCOME_UNKNOWN or inp.confirmed_absent:
            return None
        failure = Failure.model_validate(row.error)
        self._note(session, row, _failed(failure, f"{inp.run_id}/known"))
        return Prepared(failure=failure)

    def _settled(self, session: Session, row: Export, inp: PrepareInput, request: Request) -> Prepared | None:
        """Use the outcome of a request whose run may never have heard of it; None when it may be exported again."""
        outcome = Outcome.model_validate(request.outcome)
        if outcome.transaction is not None:
            found = outcome.transaction
            key = f"{inp.run_id}/found"
            self._note(session, row, _Move(ExportState.SUCCESSFUL, there_text(found), key, transaction=found))
            return Prepared(transaction=found)
        failure = outcome.failure
        if failure is None:
            return None
        is_repeated = request.run_id == inp.run_id
        is_undecided = failure.code == contracts.OUTCOME_UNKNOWN and not inp.confirmed_absent
        if not is_repeated and not is_undecided:
            return None
        self._note(session, row, _failed(failure, f"{inp.run_id}/known"))
        return Prepared(failure=failure)

    def _queue(
        self,
        session: Session,
        owner: Company,
        row: Export,
        inp: PrepareInput,
        document: Invoice | CarrierBill,
        digest: str,
        *,
        is_first: bool,
    ) -> Prepared:
        guid = external_guid_for(owner.id, document.kind, document.id, inp.run_id)
        mapped = checked(session, owner, document, external_guid=guid)
        if isinstance(mapped, list):
            return self._refuse(session, inp, row, mapped)
        reserve_number(session, owner, document, mapped.ref_number, holds_none=row.ref_number is None)
        row.document = inp.document
        row.content_hash = digest
        row.number = document.number
        row.external_guid = guid
        row.ref_number = mapped.ref_number
        row.sent = mapped.sent
        row.changes = [change.model_dump(mode="json") for change in mapped.changes]
        count = len(mapped.changes)
        adapted = "" if not count else f"; adapted to QuickBooks in {count} place{'s' if count > 1 else ''}"
        text = ". ".join([f"Every link is there{adapted}", *(issue.message.rstrip(".") for issue in mapped.warnings)])
        is_mapped = _Move(ExportState.MAPPED, text, f"{inp.run_id}/mapped")
        self._note(session, row, is_mapped, _Move(ExportState.QUEUED, WAITING_TEXT, f"{inp.run_id}/queued"))
        look = look_before(session, row, is_first=is_first, confirmed_absent=inp.confirmed_absent, now=self._clock())
        request_id = self._new_id()
        values = request_values(document, mapped, request_id=request_id, external_guid=guid)
        return self._add_request(
            session, row, id=request_id, **values, mapping_version=owner.mapping_version, look=look
        )

    def _queue_claim(self, session: Session, row: Export, inp: PrepareInput, earlier: Request | None) -> Prepared:
        """Queue what looks up a person's word in QuickBooks; nothing is written by it."""
        document = parse_document(row.document)
        if isinstance(document, list):
            return self._refuse(session, inp, row, document)
        facts = earlier.facts if earlier is not None else facts_of_claim(session, row, document)
        look = look_before(session, row, is_first=earlier is None, confirmed_absent=False, now=self._clock()) or {}
        look["claim"] = row.claim
        row.claim = None
        self._note(session, row, _Move(ExportState.QUEUED, CLAIM_TEXT, f"{inp.run_id}/queued"))
        request_id = self._new_id()
        operation = "BillAdd" if row.kind == "carrier_bill" else "InvoiceAdd"
        return self._add_request(session, row, id=request_id, operation=operation, body="", facts=facts, look=look)

    def _add_request(self, session: Session, row: Export, **values: Any) -> Prepared:
        now = self._clock()
        exports.add_request(
            session,
            company_id=row.company_id,
            export_id=row.id,
            run_id=row.run_id,
            workflow_id=export_workflow_id(row.company_id, row.kind, row.document_id),
            batch_max=queue.BATCH_MAX,
            look_max=queue.BATCH_MAX,
            available_at=now,
            created_at=now,
            **values,
        )
        return Prepared(request_id=values["id"])

    def _refuse(self, session: Session, inp: PrepareInput, row: Export | None, issues: list[Issue]) -> Prepared:
        failure = _may_be_there(issues) if inp.is_again else failure_of(issues)
        if row is not None:
            self._note(session, row, _failed(failure, f"{inp.run_id}/refused"))
        return Prepared(failure=failure)

    def _note(self, session: Session, row: Export, *moves: _Move) -> None:
        """Move an export, through several states at once, without those that its timeline holds already."""
        is_new = row.id is None
        if not is_new:
            known = exports.noted(session, [move.key for move in moves])
            moves = tuple(move for move in moves if move.key not in known)
        if not moves:
            return
        now = self._clock()
        _apply(row, moves[-1], now)
        if is_new:
            session.add(row)
            session.flush()
        self._tell(session, row, moves, now, may_wait=not is_new)

    def _tell(
        self,
        session: Session,
        row: Export | Moving,
        moves: Sequence[_Move],
        now: datetime,
        *,
        may_wait: bool,
        is_heard: bool = True,
    ) -> None:
        """Write what follows from a move: timeline, what the export waits for, messages. Of several, the last counts.

        `may_wait` and `is_heard` say whether it could wait for anything before, and whether any webhook is there.
        """
        entries = [
            {"export_id": row.id, "at": now, "state": move.state, "text": move.text[:TEXT_MAX], "key": move.key}
            for move in moves
        ]
        exports.add_entries(session, entries)
        last = moves[-1]
        if last.failure is not None:
            whole = row if isinstance(row, Export) else session.get_one(Export, row.id)
            waits.set_waits(session, whole, awaited(session, whole, last.failure))
        elif may_wait and any(move.state is not ExportState.QUEUED for move in moves):
            waits.end(session, row.id)
        if is_heard:
            webhooks.tell_export(session, row, at=now, key=last.key)
        for move in moves:
            after_commit(session, self._told(row, move.state, move.failure, now))

    def _told(
        self, row: Export | Moving, state: ExportState, failure: Failure | None, now: datetime
    ) -> Callable[[], None]:
        """Give what tells of a state change: ids and codes only."""
        code = failure.code if failure is not None else ""
        owner = {"owner": failure.owner, "code": code} if failure is not None else {}
        named = {"company": row.company_id, "kind": row.kind, "document": row.document_id, "run": row.run_id}
        kind, age = row.kind, (now - row.created_at).total_seconds()

        def tell() -> None:
            self._metrics.exports.labels(kind, state.value, code).inc()
            if state.is_final:
                self._metrics.export_seconds.labels(state.value).observe(max(0.0, age))
            log.info("export moves", **named, state=state.value, **owner)

        return tell


def _wrong_id(inp: PrepareInput) -> str | None:
    """Say that a run bears the id of another document: what it would do is then another export's (design.md 3.1)."""
    if inp.workflow_id is None:
        return None
    own = export_workflow_id(inp.company_id, str(inp.document.get("kind")), str(inp.document.get("id")))
    if not contracts.is_export_id(own):
        return f"Its company and the kind and id of its document are no ids: {own[:ID_SHOWN_MAX]!r}."
    if inp.workflow_id == own:
        return None
    return (
        f"Its workflow id is {inp.workflow_id[:ID_SHOWN_MAX]!r}, and the id of its document is {own[:ID_SHOWN_MAX]!r}."
    )


def _may_be_there(issues: list[Issue]) -> Failure:
    """Say that a document cannot be queued again that was queued before our database lost it: it may have arrived."""
    now = failure_of(issues)
    return Failure(
        code=contracts.OUTCOME_UNKNOWN,
        message=f"Our database lost the request after it was queued, and it cannot be queued again: {now.message}",
        explanation="It may already be in QuickBooks.",
        owner=Owner.BOOKKEEPER,
        next_step="Look for it in QuickBooks by its number. If it is there, leave it; if not, export it again.",
        issues=issues,
    )


def _unknown_company(company_id: str) -> Failure:
    return Failure(
        code="unknown_company",
        message=f"There is no company {company_id!r}",
        explanation=f"The company {company_id!r} is not connected.",
        owner=Owner.TMS_USER,
        next_step="Connect the company to QuickBooks Desktop first, then export again.",
    )


def _is_over_for(row: Export, inp: PrepareInput) -> bool:
    """Say whether a start of our API came after the export had ended: a late one, or one delivered twice."""
    return inp.is_accepted and row.run_id != inp.run_id and row.state in (ExportState.FAILED, ExportState.CANCELLED)


def _superseded() -> Failure:
    return Failure(
        code="start_too_late",
        message="The export had ended before this start arrived",
        explanation="This start arrived after the export had ended; it changed nothing.",
        owner=Owner.US,
        next_step="Nothing to do here: look at the export itself.",
    )


def _is_under_way(request: Request | None) -> bool:
    """Say whether the queue or QuickBooks holds the document as it was."""
    if request is None or request.state == states.CANCELLED:
        return False
    return request.state != states.DONE or Outcome.model_validate(request.outcome).transaction is not None


def _content_differs() -> Failure:
    return Failure(
        code="content_differs",
        message="The document was exported before with another content",
        explanation="This document was exported before, and its content has changed since.",
        owner=Owner.TMS_USER,
        next_step="Change the transaction in QuickBooks by hand, or give the corrected document an id of its own.",
    )
