"""Rulings become rows, and signals in the outbox, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from qbwc_bridge import books_check, recovery, references
from qbwc_bridge.observing import Observation
from qbwc_bridge.rulings import Again, Arrived, Rejected, Ruling, Unknown
from qbwc_bridge.session import Limits, pause_after
from qbxml.outcomes import Verdict
from store import outbox, queue, states
from store.companies import record_incident
from store.tables import Company, MessageSet, Request, WebConnectorSession
from workflows import contracts
from workflows.contracts import Failure, Outcome, Transaction

log = structlog.get_logger(__name__)


class Settling:
    """Applies what was ruled on requests to the store."""

    def __init__(self, *, limits: Limits, clock: Callable[[], datetime], observe: Observation) -> None:
        self._limits = limits
        self._clock = clock
        self._observe = observe

    def rule(
        self, session: Session, owner: Company, wc: WebConnectorSession, request: Request, ruling: Arrived | Rejected
    ) -> None:
        """End a request that waits: what is in QuickBooks already, or must not be sent, is not written."""
        match ruling:
            case Arrived():
                self.arrived(session, owner, wc, None, request, ruling)
            case Rejected():
                self._rejected(session, wc, None, request, ruling)

    def give_up(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        write_set: MessageSet,
        *,
        why: str,
        verdict: Verdict = recovery.MAY_BE_THERE,
    ) -> None:
        """End what no look-up can decide as "may already be in QuickBooks"."""
        sent = queue.requests_of_set(session, write_set.id)
        rulings = [Rejected(request_id=r.id, verdict=verdict, message=why) for r in sent]
        write_set.is_fence = True
        self.apply(session, owner, wc, write_set, sent, rulings)

    def apply(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        write_set: MessageSet,
        sent: Sequence[Request],
        rulings: Sequence[Ruling],
    ) -> None:
        """Apply rulings on the requests of one write set; `sent` are those that were open until now."""
        requests = {request.id: request for request in sent}
        for ruling in rulings:
            request = requests[ruling.request_id]
            match ruling:
                case Arrived():
                    self.arrived(session, owner, wc, write_set, request, ruling)
                case Rejected():
                    self._rejected(session, wc, write_set, request, ruling)
                case Again():
                    self._again(session, wc, write_set, request, ruling)
                case Unknown():
                    pass  # it stays in flight, and so the set stays unresolved
        _settle(write_set, sent)

    def arrived(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        write_set: MessageSet | None,
        request: Request,
        ruling: Arrived,
    ) -> None:
        """End a request whose transaction is in QuickBooks."""
        wc.done += 1
        books_check.note_written(owner, request.operation, ruling.txn_id, ruling.edit_sequence)
        owner.last_success_at = self._clock()
        self.end(session, write_set, request, outcome_of(ruling))

    def _rejected(
        self,
        session: Session,
        wc: WebConnectorSession,
        write_set: MessageSet | None,
        request: Request,
        ruling: Rejected,
    ) -> None:
        references.read_again(session, request.company_id, ruling, at=self._clock())
        ruling = references.told_by_name(session, request.company_id, ruling)
        verdict = ruling.verdict
        failure = Failure(
            code=verdict.code,
            message=ruling.message,
            explanation=verdict.explanation,
            owner=verdict.owner,
            next_step=verdict.next_step,
            candidates=list(ruling.candidates),
        )
        wc.failed += 1
        self.end(session, write_set, request, Outcome(request_id=request.id, key="end", failure=failure))

    def _again(
        self, session: Session, wc: WebConnectorSession, write_set: MessageSet, request: Request, ruling: Again
    ) -> None:
        if ruling.passing:
            request.postponed += 1
            if request.postponed > self._limits.postpone_max and ruling.verdict is not None:
                rejected = Rejected(request_id=request.id, verdict=ruling.verdict, message=ruling.reason)
                self._rejected(session, wc, write_set, request, rejected)
                return
            request.available_at = self._clock() + pause_after(request.postponed, self._limits)
        request.losses += ruling.lost
        if ruling.lost and write_set.response:
            # QuickBooks itself answered, oddly: at once it would answer the same again.
            request.available_at = self._clock() + pause_after(request.losses, self._limits)
        if request.losses >= self._limits.losses_max or request.attempt >= self._limits.attempts_max:
            rejected = Rejected(request_id=request.id, verdict=recovery.LOST_TOO_OFTEN, message=ruling.reason)
            self._rejected(session, wc, write_set, request, rejected)
            return
        if ruling.batch_max is not None:
            request.batch_max = ruling.batch_max
        outcome = Outcome(request_id=request.id, key=f"again-{request.attempt}", requeued=ruling.reason)
        self._signal(session, write_set, request, outcome)
        request.state = states.WAITING
        request.message_set_id = None

    def fail_unsent(self, session: Session, wc: WebConnectorSession, request: Request, failure: Failure) -> None:
        """End a waiting request that cannot be sent any more."""
        wc.failed += 1
        self.end(session, None, request, Outcome(request_id=request.id, key="end", failure=failure))

    def end(self, session: Session, write_set: MessageSet | None, request: Request, outcome: Outcome) -> None:
        """End a request, and tell its workflow."""
        request.state = states.DONE
        request.outcome = outcome.model_dump(mode="json")
        self._signal(session, write_set, request, outcome)

    def _signal(self, session: Session, write_set: MessageSet | None, request: Request, outcome: Outcome) -> None:
        now = self._clock()
        left_at = write_set.sent_at if write_set is not None else None
        traceparent = self._observe.decided(session, request, outcome, left_at=left_at, at=now)
        outbox.add_signal(
            session,
            workflow_id=request.workflow_id,
            signal=contracts.SIGNAL_OUTCOME,
            payload=outcome.model_dump(mode="json"),
            at=now,
            traceparent=traceparent,
        )


def note_incident(session: Session, owner: Company, code: str, text: str, *, at: datetime) -> None:
    """Keep what operations staff should know of an answer that was not used."""
    log.warning("answer not used", company=owner.id, code=code)
    record_incident(session, company_id=owner.id, at=at, code=code, text=text)


def outcome_of(ruling: Arrived) -> Outcome:
    """Give what the workflow is told of a transaction that is in QuickBooks."""
    transaction = Transaction(
        txn_id=ruling.txn_id,
        edit_sequence=ruling.edit_sequence,
        ref_number=ruling.ref_number,
        txn_number=ruling.txn_number,
        differences=list(ruling.differences),
        confirmed_by_person=ruling.confirmed_by is not None,
        confirmed_by=ruling.confirmed_by,
    )
    return Outcome(request_id=ruling.request_id, key="end", transaction=transaction)


def _settle(write_set: MessageSet, sent: Sequence[Request]) -> None:
    """Call the write set answered once none of its requests is open; `sent` are those that were, until now."""
    if not any(request.state == states.IN_FLIGHT and request.message_set_id == write_set.id for request in sent):
        write_set.state = states.ANSWERED
