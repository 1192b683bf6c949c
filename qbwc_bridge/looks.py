"""Looking before adding, over the store: which waiting requests may be written, what is asked, what the answer means.

Only what this session looked for is written by it: between two sessions people type (looking.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from qbwc_bridge import looking
from qbwc_bridge import session as machine
from qbwc_bridge.asking import look_of, sent_request
from qbwc_bridge.looking import ALONE_MAX, DEATHS_MAX, LOOK, VERIFY, Clear, LookRuling, Unanswered
from qbwc_bridge.matching import Answer
from qbwc_bridge.rulings import UNKNOWN_VERSION, Arrived, Rejected
from qbwc_bridge.session import Limits, Waiting
from qbwc_bridge.settling import Settling
from qbxml.envelope import MessageSetResponse, UnreadableResponse
from qbxml.outcomes import normalise_hresult
from store import exports, queue, states
from store.tables import Company, MessageSet, Request, WebConnectorSession

KINDS = (LOOK, VERIFY)


@dataclass(frozen=True, kw_only=True)
class Line:
    """The requests at the head of a queue, in its order, by what happens to them next."""

    claimed: list[Request] = field(default_factory=list)
    """A person says that they are in QuickBooks: that is looked up, and they are never written."""
    ready: list[Request] = field(default_factory=list)
    """Nothing keeps them from being written."""
    unlooked: list[Request] = field(default_factory=list)
    """This session has not looked for them."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Questions about some requests: as elements of a message set, and their ids."""

    elements: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


def looks_first(owner: Company) -> bool:
    """Say whether every document is looked for first: the company wants it, or our database forgot what it exported."""
    return owner.look_before_adding or owner.look_everything_since is not None


def line_up(owner: Company, wc: WebConnectorSession, waiting: Sequence[Request]) -> Line:
    """Say what happens next to each of the oldest requests."""
    line = Line()
    for request in waiting:
        look = look_of(request)
        if look.claim is not None:
            line.claimed.append(request)
        elif request.looked_by == wc.ticket_hash or not (looks_first(owner) or look.since is not None):
            line.ready.append(request)
        else:
            line.unlooked.append(request)
    return line


def questions_about(requests: Sequence[Request], limits: Limits) -> Questions:
    """Ask about as many of these as one set takes; one that could not be answered before takes fewer, or none else."""
    heads = [Waiting(id=one.id, size=0, batch_max=max(1, one.look_max)) for one in requests]
    chosen = set(machine.choose_batch(heads, limits))
    return _questions([one for one in requests if one.id in chosen])


def riders(write: Sequence[Request], unlooked: Sequence[Request], limits: Limits) -> Questions:
    """Ask about the next batch behind the Adds of this one: it saves a round trip.

    Not behind a single Add, and not behind one that was in a set that failed: if QuickBooks cannot read such a set,
    the Add is taken for the culprit. And not about what could not be answered before.
    """
    is_troubled = any(one.batch_max < queue.BATCH_MAX for one in write)
    if len(write) < 2 or is_troubled:
        return Questions()
    healthy = [one for one in unlooked if one.look_max >= queue.BATCH_MAX]
    return questions_about(healthy[: limits.batch_size], limits) if healthy else Questions()


def _questions(requests: Sequence[Request]) -> Questions:
    asked = Questions()
    for request in requests:
        sent, look = sent_request(request), look_of(request)
        asked.elements.extend(looking.questions(sent, look))
        asked.ids.extend(looking.question_ids(sent, look))
    return asked


class Looks:
    """Draws the conclusions from what QuickBooks says of requests that wait."""

    def __init__(self, settling: Settling) -> None:
        self._settling = settling

    def record(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        answer: Answer,
        *,
        ends: bool,
    ) -> None:
        """Rule on the requests of a look or a claim, whose set is recorded; `ends` says that the session is over."""
        if normalise_hresult(exchange.hresult or "") == UNKNOWN_VERSION:
            return
        parsed = answer.parsed if exchange.state == states.ANSWERED else None
        requests = self._waiting(session, exchange)
        if parsed is None:
            for request in requests:
                self._note_failure(session, owner, wc, request, len(requests), exchange.message or "", ends=ends)
            return
        for request, ruling in self._rule(session, owner, requests, parsed):
            if isinstance(ruling, Unanswered):
                # What QuickBooks says of this question alone makes it the culprit, whatever stood beside it.
                count = 1 if ruling.is_culprit else len(requests)
                self._note_failure(session, owner, wc, request, count, ruling.why, ends=False)
            else:
                self._apply(session, owner, wc, request, ruling)

    def record_riders(
        self, session: Session, owner: Company, wc: WebConnectorSession, exchange: MessageSet, answer: Answer
    ) -> None:
        """Use what came behind the answers to Adds; what did not come, or is no answer, is asked for by itself."""
        if not exchange.asked or answer.hresult.strip():
            return
        try:
            parsed = answer.parsed
        except UnreadableResponse:
            return
        if parsed.new_message_set_id not in (None, exchange.id):
            return
        for request, ruling in self._rule(session, owner, self._waiting(session, exchange), parsed):
            if not isinstance(ruling, Unanswered):
                self._apply(session, owner, wc, request, ruling)

    def _waiting(self, session: Session, exchange: MessageSet) -> list[Request]:
        named = queue.requests_named(session, looking.request_ids(exchange.asked or ()))
        return [one for one in named if one.state == states.WAITING]

    def _rule(
        self, session: Session, owner: Company, requests: Sequence[Request], parsed: MessageSetResponse
    ) -> list[tuple[Request, LookRuling]]:
        ruled: list[tuple[Request, LookRuling]] = []
        for request in requests:
            sent, look = sent_request(request), look_of(request)
            others: dict[str, str] = {}
            asked: set[str] = set()
            new = {look.claim.txn_id} if look.claim is not None and look.claim.txn_id else set()
            while True:
                asked |= new
                others |= exports.owners_of(session, owner.id, sorted(new), besides=request.export_id) if new else {}
                ruling = looking.judge(sent, look, parsed, others=others)
                candidates = ruling.candidates if isinstance(ruling, Rejected) else ()
                new = {one.txn_id for one in candidates} - asked
                if not new:
                    break
            ruled.append((request, ruling))
        return ruled

    def _apply(
        self, session: Session, owner: Company, wc: WebConnectorSession, request: Request, ruling: LookRuling
    ) -> None:
        match ruling:
            case Clear():
                request.looked_by = wc.ticket_hash
            case Arrived() | Rejected():
                self._settling.rule(session, owner, wc, request, ruling)

    def _note_failure(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        request: Request,
        count: int,
        why: str,
        *,
        ends: bool,
    ) -> None:
        """Ask in smaller sets, down to one; what fails alone again and again is not sent, and a person is told."""
        request.look_max = count // 2 if count > 1 else min(request.look_max, 1) - 1
        failed_alone = 1 - request.look_max
        if failed_alone >= (DEATHS_MAX if ends else ALONE_MAX):
            ruling = Rejected(request_id=request.id, verdict=looking.LOOK_FAILED, message=why[:1000])
            self._settling.rule(session, owner, wc, request, ruling)
