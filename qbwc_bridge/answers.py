"""Recording what QuickBooks answered, and what follows from it, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from qbwc_bridge import recovery
from qbwc_bridge.asking import sent_request
from qbwc_bridge.late_answers import LateAnswers
from qbwc_bridge.looking import LOOK, VERIFY
from qbwc_bridge.lookup_answers import LookupAnswers, about
from qbwc_bridge.matching import Answer, record_id
from qbwc_bridge.rulings import (
    UNKNOWN_VERSION,
    UNREADABLE,
    SentRequest,
    SetFate,
    judge_answers,
    judge_hresult,
)
from qbwc_bridge.settling import Settling, note_incident
from qbwc_bridge.unresolved import PLANT_ID
from qbxml.envelope import MessageSetResponse, UnreadableResponse
from qbxml.outcomes import Verdict, normalise_hresult
from store import queue, states, webhooks
from store.tables import Company, MessageSet, Request, WebConnectorSession

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

    def __init__(
        self, *, clock: Callable[[], datetime], settling: Settling, lookups: LookupAnswers, late: LateAnswers
    ) -> None:
        self._clock = clock
        self._settling = settling
        self._lookups = lookups
        self._late = late

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
                self._lookups.split(session, owner, wc, exchange)
                return False
            if exchange.kind in (LOOK, VERIFY):
                exchange.state = states.ABANDONED
                return False
            return self._leave_open(wc, exchange, text)
        exchange.set_status = parsed.status_code
        if parsed.new_message_set_id not in (None, record_id(exchange)):
            self._late.record(session, owner, answer)
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
                self._settling.apply(session, owner, wc, exchange, sent, rulings)
            case "lookup":
                self._lookups.rule(session, owner, wc, exchange, parsed)
            case "ask":
                stand = self._lookups.standing(session, wc, exchange)
                if not stand.is_restored:  # else what QuickBooks remembers may be gone from its books
                    requests = queue.requests_of_set(session, stand.set_id)
                    write_set = session.get_one(MessageSet, stand.set_id)
                    self._settling.apply(session, owner, wc, write_set, requests, judge_answers(stand.sent, parsed))

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
            self._settling.apply(session, owner, wc, exchange, sent, ruled.rulings)
        elif ruled.fate is SetFate.GO_ON and exchange.kind in ("ask", "fence"):
            exchange.state = states.ANSWERED  # this QuickBooks cannot be asked that way: it is looked up instead
        elif exchange.kind == "lookup" and ruled.fate is not SetFate.LOWER_VERSION:
            self._lookups.split(session, owner, wc, exchange)
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
        write_set = about(session, exchange)
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

    def _incident(self, session: Session, owner: Company, code: str, text: str) -> None:
        note_incident(session, owner, code, text, at=self._clock())
