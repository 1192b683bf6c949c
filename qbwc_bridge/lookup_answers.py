"""Answers to look-ups become rulings: for the documents that were found, or that everything was asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy.orm import Session

from qbwc_bridge import recovery
from qbwc_bridge.asking import Standing, standing
from qbwc_bridge.lookup_parts import is_dead, is_through, question_ids
from qbwc_bridge.rulings import UNREADABLE, Arrived, Rejected, Ruling, SentRequest
from qbwc_bridge.session import Limits
from qbwc_bridge.settling import Settling
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse, parse_response
from qbxml.outcomes import normalise_hresult
from store import exports, queue, states
from store.changes import write_changes
from store.tables import Company, MessageSet, WebConnectorSession


class LookupAnswers:
    """Rules on an unresolved write set by what look-ups tell, in the caller's transaction."""

    def __init__(self, *, limits: Limits, clock: Callable[[], datetime], settling: Settling) -> None:
        self._limits = limits
        self._clock = clock
        self._settling = settling

    def standing(self, session: Session, wc: WebConnectorSession, exchange: MessageSet) -> Standing:
        """Give how the write set stands that `exchange` is about."""
        write_changes(session)  # the answer that is being recorded belongs to it
        return standing(session, wc, about(session, exchange), now=self._clock(), limits=self._limits)

    def split(self, session: Session, owner: Company, wc: WebConnectorSession, exchange: MessageSet) -> None:
        """Note that a look-up failed as a whole: its parts are asked for, and a culprit that was alone is ruled on."""
        exchange.state = states.ABANDONED
        self.rule(session, owner, wc, exchange, None)

    def rule(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        parsed: MessageSetResponse | None,
    ) -> None:
        """Rule on the documents that were found, or that this session has asked everything about."""
        stand = self.standing(session, wc, exchange)
        requests = queue.requests_of_set(session, stand.set_id)
        write_set = session.get_one(MessageSet, stand.set_id)
        asked_now = set(exchange.asked or ())
        part = [one for one in stand.sent if asked_now & set(question_ids((one,), one))]
        dead = [one for request in part for one in question_ids((request,), request) if is_dead(one, stand.asked)]
        told = _told_by_lookups(session, wc, exchange, parsed)
        rulings = _judge_lookup(session, owner, part, told, dead)
        through = {request.id for request in part if is_through(request, stand.asked)}
        rulings = [one for one in rulings if isinstance(one, Arrived) or one.request_id in through]
        if stand.is_held:
            rulings = recovery.hold_absent(rulings)
        if normalise_hresult(write_set.hresult or "") == UNREADABLE:
            rulings = recovery.judge_unreadable_lookup(rulings, part, write_set.message or "")
        write_set.is_fence = True
        self._settling.apply(session, owner, wc, write_set, requests, rulings)


def about(session: Session, question: MessageSet) -> MessageSet:
    """Give the write set that a question is about."""
    write_set = session.get(MessageSet, question.about_set_id)
    if write_set is None:
        raise LookupError(f"the set {question.about_set_id} of {question.id} is gone")
    return write_set


def _judge_lookup(
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
