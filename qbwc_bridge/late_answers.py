"""Answers that nothing waits for any more: they may prove what was undecided, or show a duplicate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from qbwc_bridge import books_check
from qbwc_bridge.asking import sent_request
from qbwc_bridge.matching import Answer
from qbwc_bridge.rulings import Arrived, SentRequest, judge_answers
from qbwc_bridge.settling import Settling, note_incident, outcome_of
from qbxml.envelope import MessageSetResponse, UnreadableResponse
from store import queue, states
from store.tables import Company, Export, MessageSet, Request
from workflows.contracts import Outcome


class LateAnswers:
    """Uses a late answer in the caller's transaction."""

    def __init__(self, *, clock: Callable[[], datetime], settling: Settling) -> None:
        self._clock = clock
        self._settling = settling

    def record(self, session: Session, owner: Company, answer: Answer) -> None:
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
                if isinstance(ruling, Arrived) and _is_still_undecided(session, request):
                    request.outcome = outcome_of(ruling).model_dump(mode="json")
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
            request.outcome = outcome_of(ruling).model_dump(mode="json")
            return True
        books_check.note_written(owner, request.operation, ruling.txn_id, ruling.edit_sequence)
        owner.last_success_at = self._clock()
        write_set = session.get(MessageSet, request.message_set_id) if request.message_set_id else None
        self._settling.end(session, write_set, request, outcome_of(ruling))
        return True

    def _incident(self, session: Session, owner: Company, code: str, text: str) -> None:
        note_incident(session, owner, code, text, at=self._clock())


def _is_still_undecided(session: Session, request: Request) -> bool:
    """Say whether nothing newer was sent for the document, so that the proof ends the doubt."""
    export = session.get(Export, request.export_id)
    newest = queue.newest_request(session, request.export_id)
    return export is not None and export.quickbooks is None and newest is not None and newest.id == request.id


def _as_sent_before(request: SentRequest, parsed: MessageSetResponse) -> SentRequest:
    """Give the request with the attempt that the answer is about: it may have been queued again since."""
    attempts = [
        int(attempt)
        for answer in parsed.responses
        for name, _, attempt in [(answer.request_id or "").rpartition(".")]
        if name == request.id and attempt.isdigit()
    ]
    return dataclasses.replace(request, attempt=attempts[0]) if attempts else request
