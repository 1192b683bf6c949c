"""Recording what QuickBooks answered: rulings become rows, and signals in the outbox, in the caller's transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from qbwc_bridge import recovery
from qbwc_bridge.asking import Standing, sent_request, standing
from qbwc_bridge.looking import LOOK, VERIFY
from qbwc_bridge.lookup_parts import is_dead, is_through, question_ids
from qbwc_bridge.matching import Answer, record_id
from qbwc_bridge.observing import Observation
from qbwc_bridge.rulings import (
    UNKNOWN_VERSION,
    UNREADABLE,
    Again,
    Arrived,
    Rejected,
    Ruling,
    SentRequest,
    SetFate,
    Unknown,
    judge_answers,
    judge_hresult,
)
from qbwc_bridge.session import Limits, pause_after
from qbwc_bridge.unresolved import PLANT_ID
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse, parse_response
from qbxml.outcomes import Verdict, normalise_hresult
from store import exports, outbox, queue, states, webhooks
from store.changes import write_changes
from store.companies import record_incident
from store.tables import Company, Export, MessageSet, Request, WebConnectorSession
from workflows import contracts
from workflows.contracts import Failure, Outcome, Transaction

RESPONSE_MAX = 2_000_000
"""Longer answers are cut in the table; what was read from them is in the rows."""
LOWER_VERSIONS = ("12.0", "11.0", "10.0")
"""What is tried when QuickBooks does not know the version (0x80040423); older ones lack what we write."""

log = structlog.get_logger(__name__)


def body_on_the_wire(request: Request) -> str:
    """Give the request's text with the requestID of this attempt."""
    wire_id = sent_request(request).wire_id
    return request.body.replace(f'requestID="{request.id}"', f'requestID="{wire_id}"', 1)


def problem_of(verdict: Verdict, message: str, at: datetime) -> dict[str, Any]:
    """Give a connection's problem as the API shows it."""
    return {
        "code": verdict.code,
        "cause": verdict.cause,
        "explanation": verdict.explanation,
        "message": message[:1000],
        "owner": verdict.owner,
        "next_step": verdict.next_step,
        "at": at.isoformat(),
    }


class Answers:
    """Applies one answer to the store."""

    def __init__(self, *, limits: Limits, clock: Callable[[], datetime], observe: Observation) -> None:
        self._limits = limits
        self._clock = clock
        self._observe = observe

    def record(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        sent: Sequence[Request],
        answer: Answer,
    ) -> bool:
        """Store the answer and everything that follows from it; True when the session must end with its error.

        `sent` are the requests of the exchange that are not settled.
        """
        exchange.response = answer.response[:RESPONSE_MAX]
        exchange.hresult = answer.hresult.strip()[:40] or None
        exchange.message = answer.message[:1000] or None
        exchange.answered_at = self._clock()
        if answer.hresult.strip():
            return self._record_hresult(session, owner, wc, exchange, sent, answer)
        try:
            parsed = answer.parsed
        except UnreadableResponse as error:
            text = f"The answer of QuickBooks could not be read: {error}"
            self._incident(session, owner, "unreadable_answer", text)
            if exchange.kind == "lookup":
                self._split_lookup(session, owner, wc, exchange)
                return False
            if exchange.kind in (LOOK, VERIFY):
                exchange.state = states.ABANDONED
                return False
            return self._leave_open(wc, exchange, text)
        exchange.set_status = parsed.status_code
        if parsed.new_message_set_id not in (None, record_id(exchange)):
            self.record_late(session, owner, answer)
            text = "The answer belongs to another message set: it does not decide the one that is out."
            self._incident(session, owner, "foreign_answer", text)
            return self._leave_open(wc, exchange, text)
        if self._is_foreign(session, parsed, exchange, [sent_request(request) for request in sent]):
            text = "The answer holds requests that were not sent with this session. They were not used."
            self._incident(session, owner, "foreign_answer", text)
        if exchange.kind != "write":
            exchange.state = states.ANSWERED  # a write is, once each of its requests is decided
        self._use(session, owner, wc, exchange, sent, parsed)
        return False

    def _use(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        sent: Sequence[Request],
        parsed: MessageSetResponse,
    ) -> None:
        """Draw the conclusions from a good answer. A fence has none: the ask that follows tells whether it holds."""
        match exchange.kind:
            case "activity":
                self._note_activity(session, owner, exchange, parsed)
            case "write":
                rulings = judge_answers([sent_request(request) for request in sent], parsed)
                self._apply(session, owner, wc, exchange, sent, rulings)
            case "lookup":
                self._rule_by_lookup(session, owner, wc, exchange, parsed)
            case "ask":
                stand = self._standing(session, wc, exchange)
                if not stand.is_restored:  # else what QuickBooks remembers may be gone from its books
                    requests = queue.requests_of_set(session, stand.set_id)
                    write_set = session.get_one(MessageSet, stand.set_id)
                    self._apply(session, owner, wc, write_set, requests, judge_answers(stand.sent, parsed))

    def _standing(self, session: Session, wc: WebConnectorSession, exchange: MessageSet) -> Standing:
        write_changes(session)  # the answer that is being recorded belongs to it
        return standing(session, wc, _about(session, exchange), now=self._clock(), limits=self._limits)

    def _judge_lookup(
        self,
        session: Session,
        owner: Company,
        part: Sequence[SentRequest],
        told: Mapping[str, Response],
        dead: Sequence[str],
    ) -> list[Ruling]:
        """Rule by look-ups, without taking a transaction of another export for one that resembles the document."""
        others: set[str] = set()
        asked: set[str] = set()
        while True:
            rulings = recovery.judge_lookup(part, told, dead=dead, others=others)
            new = {c.txn_id for one in rulings if isinstance(one, Rejected) for c in one.candidates} - asked
            if not new:
                return rulings
            asked |= new
            others |= set(exports.owners_of(session, owner.id, sorted(new)))

    def _split_lookup(self, session: Session, owner: Company, wc: WebConnectorSession, exchange: MessageSet) -> None:
        """Note that a look-up failed as a whole: its parts are asked for, and a culprit that was alone is ruled on."""
        exchange.state = states.ABANDONED
        self._rule_by_lookup(session, owner, wc, exchange, None)

    def _rule_by_lookup(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        parsed: MessageSetResponse | None,
    ) -> None:
        """Rule on the documents that were found, or that this session has asked everything about."""
        stand = self._standing(session, wc, exchange)
        requests = queue.requests_of_set(session, stand.set_id)
        write_set = session.get_one(MessageSet, stand.set_id)
        asked_now = set(exchange.asked or ())
        part = [one for one in stand.sent if asked_now & set(question_ids((one,), one))]
        dead = [one for request in part for one in question_ids((request,), request) if is_dead(one, stand.asked)]
        told = _told_by_lookups(session, wc, exchange, parsed)
        rulings = self._judge_lookup(session, owner, part, told, dead)
        through = {request.id for request in part if is_through(request, stand.asked)}
        rulings = [one for one in rulings if isinstance(one, Arrived) or one.request_id in through]
        if stand.is_held:
            rulings = recovery.hold_absent(rulings)
        if normalise_hresult(write_set.hresult or "") == UNREADABLE:
            rulings = recovery.judge_unreadable_lookup(rulings, part, write_set.message or "")
        write_set.is_fence = True
        self._apply(session, owner, wc, write_set, requests, rulings)

    def rule(
        self, session: Session, owner: Company, wc: WebConnectorSession, request: Request, ruling: Arrived | Rejected
    ) -> None:
        """End a request that waits: what is in QuickBooks already, or must not be sent, is not written."""
        match ruling:
            case Arrived():
                self._arrived(session, owner, wc, None, request, ruling)
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
        self._apply(session, owner, wc, write_set, sent, rulings)

    def record_late(self, session: Session, owner: Company, answer: Answer) -> None:
        """Use an answer that nothing waits for any more: it may prove what was undecided, or show a duplicate."""
        try:
            parsed = answer.parsed
        except UnreadableResponse:
            return
        for response in parsed.responses:
            request = queue.request(session, (response.request_id or "").rpartition(".")[0])
            if request is not None and request.company_id != owner.id:
                text = "A late answer holds a request of another company. It was not used."
                self._incident(session, owner, "foreign_answer", text)
                continue
            if request is None or response.txn_id is None:
                continue
            if request.state in (states.WAITING, states.CANCELLED) and self._take_late_proof(
                session, owner, request, parsed
            ):
                continue
            known = Outcome.model_validate(request.outcome) if request.outcome is not None else None
            if known is not None and known.transaction is not None and known.transaction.txn_id == response.txn_id:
                continue
            if known is not None and known.failure is not None:
                ruling = judge_answers([sent_request(request)], parsed)[0]
                if isinstance(ruling, Arrived) and self._is_still_undecided(session, request):
                    request.outcome = _outcome_of(ruling).model_dump(mode="json")
                    text = f"A late answer shows that {request.facts['ref_number']} is in QuickBooks: "
                    text += f"{response.txn_id}. Retry the export to record it."
                    self._incident(session, owner, "late_proof", text)
                    continue
            text = f"A late answer names the transaction {response.txn_id} for {request.facts['ref_number']}, "
            text += "which was sent again meanwhile. Look for two transactions in QuickBooks."
            self._incident(session, owner, "possible_duplicate", text)

    def _take_late_proof(self, session: Session, owner: Company, request: Request, parsed: MessageSetResponse) -> bool:
        """Use the proof that a request arrived after all, before it is sent again; False when it is none."""
        [ruling] = judge_answers([_as_sent_before(sent_request(request), parsed)], parsed)
        if not isinstance(ruling, Arrived):
            return False
        if request.state == states.CANCELLED:
            text = (
                f"A late answer shows that {request.facts['ref_number']} is in QuickBooks: {ruling.txn_id}, although "
            )
            self._incident(
                session, owner, "late_proof", text + "it was cancelled. Confirm the export, or void it there."
            )
            request.outcome = _outcome_of(ruling).model_dump(mode="json")
            return True
        owner.last_success_at = self._clock()
        write_set = session.get(MessageSet, request.message_set_id) if request.message_set_id else None
        self._end(session, write_set, request, _outcome_of(ruling))
        return True

    def _is_still_undecided(self, session: Session, request: Request) -> bool:
        """Say whether nothing newer was sent for the document, so that the proof ends the doubt."""
        export = session.get(Export, request.export_id)
        newest = queue.newest_request(session, request.export_id)
        return export is not None and export.quickbooks is None and newest is not None and newest.id == request.id

    def _record_hresult(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        sent: Sequence[Request],
        answer: Answer,
    ) -> bool:
        """A whole document failed. Only a failed write says something about its requests."""
        is_write = exchange.kind == "write"
        code = normalise_hresult(answer.hresult)
        if is_write and code in (UNREADABLE, UNKNOWN_VERSION) and self._may_be_repeated(session, exchange):
            # An HRESULT names no set. Nothing is decided by it: the set is looked up, and only then sent otherwise.
            exchange.answered_at = None
            return False
        views = [sent_request(request) for request in sent] if is_write else []
        ruled = judge_hresult(views, answer.hresult, answer.message, can_lower=self.lower_version(wc, answer))
        log.warning("document failed", company=owner.id, set=exchange.id, kind=exchange.kind, hresult=answer.hresult)
        if exchange.kind == "activity" and ruled.fate is SetFate.GO_ON:
            self._note_activity(session, owner, exchange, None)
            return False
        if is_write:
            self._apply(session, owner, wc, exchange, sent, ruled.rulings)
        elif ruled.fate is SetFate.GO_ON and exchange.kind in ("ask", "fence"):
            exchange.state = states.ANSWERED  # this QuickBooks cannot be asked that way: it is looked up instead
        elif exchange.kind == "lookup" and ruled.fate is not SetFate.LOWER_VERSION:
            self._split_lookup(session, owner, wc, exchange)
        if ruled.fate is SetFate.LOWER_VERSION:
            exchange.state = states.ANSWERED if is_write else states.ABANDONED
            return False
        if ruled.fate is SetFate.GO_ON and exchange.kind in (LOOK, VERIFY):
            exchange.state = states.ABANDONED
            return False
        if ruled.fate is SetFate.GO_ON and exchange.kind in ("write", "ask", "fence", "lookup"):
            return False
        if not is_write:
            exchange.state = states.ABANDONED
        wc.state = "refused"
        wc.last_error = f"{ruled.verdict.explanation} {ruled.verdict.next_step}"
        problem = problem_of(ruled.verdict, answer.message, self._clock())
        owner.problem = webhooks.noted_problem(session, owner, problem, at=self._clock())
        return True

    def _may_be_repeated(self, session: Session, exchange: MessageSet) -> bool:
        """Say whether this may be the answer to the document before, delivered a second time (web-connector.md 5.1)."""
        before = queue.exchange_before(session, exchange)
        return before is not None and (before.hresult, before.message) == (exchange.hresult, exchange.message)

    def _note_activity(
        self, session: Session, owner: Company, exchange: MessageSet, parsed: MessageSetResponse | None
    ) -> None:
        """Keep when the file was last restored; a doubt makes the set be looked up instead of asked for."""
        write_set = _about(session, exchange)
        check = recovery.judge_activity(parsed, known=owner.last_restore_time, sent_at=write_set.sent_at)
        exchange.state = states.ANSWERED
        exchange.message = check.doubt[:1000] or None
        if check.last_restore_time != owner.last_restore_time:
            text = f"{check.doubt or 'The company file was restored from a backup'}. Exports that were Successful "
            text += "before may be missing in QuickBooks: compare the last days."
            self._incident(session, owner, "file_restored", text)
        owner.last_restore_time = check.last_restore_time

    def _leave_open(self, wc: WebConnectorSession, exchange: MessageSet, text: str) -> bool:
        """Keep a write unresolved: the next document asks for its outcome. A question is simply asked anew."""
        if exchange.kind == "write":
            exchange.answered_at = None
        else:
            exchange.state = states.ABANDONED
        wc.state = "refused"
        wc.last_error = text
        return True

    def lower_version(self, wc: WebConnectorSession, answer: Answer) -> bool:
        """Go one qbXML version down when QuickBooks did not know this one; False when none is left."""
        if normalise_hresult(answer.hresult) != UNKNOWN_VERSION:
            return False
        lower = next((v for v in LOWER_VERSIONS if float(v) < float(wc.qbxml_version)), None)
        wc.qbxml_version = lower or wc.qbxml_version
        return lower is not None

    def _is_foreign(
        self, session: Session, parsed: MessageSetResponse, exchange: MessageSet, sent: Sequence[SentRequest]
    ) -> bool:
        """Compare with what left: requests that another answer decided meanwhile are still ours."""
        ours = {request.wire_id for request in sent}
        others = [answer.request_id for answer in parsed.responses if answer.request_id not in ours]
        if not others:
            return False
        asked = exchange.about_set_id if exchange.kind == "ask" else None
        text = queue.text_of_set(session, asked or exchange.id)
        if exchange.kind == "ask":
            others = [request_id for request_id in others if request_id != PLANT_ID]  # the fence that we left
        return any(f'requestID="{request_id}"' not in text for request_id in others)

    def _settle(self, write_set: MessageSet, sent: Sequence[Request]) -> None:
        """Call the write set answered once none of its requests is open; `sent` are those that were, until now."""
        if not any(request.state == states.IN_FLIGHT and request.message_set_id == write_set.id for request in sent):
            write_set.state = states.ANSWERED

    def _apply(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        write_set: MessageSet,
        sent: Sequence[Request],
        rulings: Sequence[Ruling],
    ) -> None:
        requests = {request.id: request for request in sent}
        for ruling in rulings:
            request = requests[ruling.request_id]
            match ruling:
                case Arrived():
                    self._arrived(session, owner, wc, write_set, request, ruling)
                case Rejected():
                    self._rejected(session, wc, write_set, request, ruling)
                case Again():
                    self._again(session, wc, write_set, request, ruling)
                case Unknown():
                    pass  # it stays in flight, and so the set stays unresolved
        self._settle(write_set, sent)

    def _arrived(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        write_set: MessageSet | None,
        request: Request,
        ruling: Arrived,
    ) -> None:
        wc.done += 1
        owner.last_success_at = self._clock()
        self._end(session, write_set, request, _outcome_of(ruling))

    def _rejected(
        self,
        session: Session,
        wc: WebConnectorSession,
        write_set: MessageSet | None,
        request: Request,
        ruling: Rejected,
    ) -> None:
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
        self._end(session, write_set, request, Outcome(request_id=request.id, key="end", failure=failure))

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
        self._end(session, None, request, Outcome(request_id=request.id, key="end", failure=failure))

    def _end(self, session: Session, write_set: MessageSet | None, request: Request, outcome: Outcome) -> None:
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

    def _incident(self, session: Session, owner: Company, code: str, text: str) -> None:
        log.warning("answer not used", company=owner.id, code=code)
        record_incident(session, company_id=owner.id, at=self._clock(), code=code, text=text)


def _about(session: Session, question: MessageSet) -> MessageSet:
    """Give the write set that a question is about."""
    write_set = session.get(MessageSet, question.about_set_id)
    if write_set is None:
        raise LookupError(f"the set {question.about_set_id} of {question.id} is gone")
    return write_set


def _told_by_lookups(
    session: Session, wc: WebConnectorSession, exchange: MessageSet, parsed: MessageSetResponse | None
) -> dict[str, Response]:
    """Give what this session was told about a set so far, by question; `parsed` is the answer to `exchange`."""
    answers = [parsed] if parsed is not None else []
    for row in queue.recovery_steps(session, exchange.about_set_id or ""):
        is_mine = row.kind == "lookup" and row.ticket_hash == wc.ticket_hash and row.id != exchange.id
        if is_mine and row.state == states.ANSWERED and len(row.asked or ()) == 1:
            with suppress(UnreadableResponse):  # too long to be kept as a whole
                answers.append(parse_response(row.response or ""))
    return {one.request_id or "": one for answer in answers for one in answer.responses}


def _as_sent_before(request: SentRequest, parsed: MessageSetResponse) -> SentRequest:
    """Give the request with the attempt that the answer is about: it may have been queued again since."""
    attempts = [
        int(attempt)
        for answer in parsed.responses
        for name, _, attempt in [(answer.request_id or "").rpartition(".")]
        if name == request.id and attempt.isdigit()
    ]
    return dataclasses.replace(request, attempt=attempts[0]) if attempts else request


def _outcome_of(ruling: Arrived) -> Outcome:
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
