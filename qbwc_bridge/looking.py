"""Pure: looking for a document in QuickBooks before it is added, and looking up what a person says of one.

The first Add of a document is preceded by a query for its number: somebody may have typed it in. A person's word that
an earlier attempt did not arrive opens the way to a deeper look, by number, by changes and by date, as after a lost
answer (recovery.py); it never leads past it. A person's word that it is there, as a claim, is looked up and compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pydantic import BaseModel

from qbwc_bridge.lookup_parts import CHANGED, DATED, NUMBER
from qbwc_bridge.recovery import CANDIDATES_MAX, WARNING, entity_query, fields_of, query_of
from qbwc_bridge.resemblance import (
    CENT,
    Found,
    found,
    is_same_but_number,
    is_same_party,
    number_variants,
    ours_among,
    resembles,
    resembling,
)
from qbwc_bridge.rulings import Arrived, Rejected, SentRequest, arrived, transactions
from qbxml.bills import BillQuery
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse, build_message_set, build_request_element
from qbxml.invoices import InvoiceQuery
from qbxml.outcomes import Retry, Verdict, classify_status
from qbxml.queries import ModifiedDateRange, TxnDateRange
from workflows.contracts import FOUND_IN_QUICKBOOKS, Candidate

LOOK, VERIFY = "look", "verify"
"""Kinds of message sets, and what their requestIDs begin with."""
TRANSACTION = "t"
"""The question for one TxnID."""
ALONE_MAX = 2
"""So often QuickBooks must fail to answer a question that was alone: an HRESULT names no document."""
DEATHS_MAX = 6
"""So often a session must end with it, where the session could not go on: QuickBooks may have other troubles."""

FOUND_THERE = Verdict(
    code=FOUND_IN_QUICKBOOKS,
    cause="QuickBooks has a transaction that resembles the document, and it is not known to be ours.",
    explanation="It was not sent: QuickBooks already has what looks like it.",
    owner="bookkeeper",
    next_step='Look at it in QuickBooks. If it is this document, choose "It is this one"; if it is another one, '
    'choose "Export all the same".',
    retry=Retry.NEVER,
)
LOOK_FAILED = Verdict(
    code="look_failed",
    cause="QuickBooks could not answer whether the document is there already.",
    explanation="It was not sent: QuickBooks could not say whether it is already there.",
    owner="us",
    next_step="Ask the support of your transport software to look at this document; then export it again.",
    retry=Retry.NEVER,
)
NOT_CONFIRMED = Verdict(
    code="not_confirmed",
    cause="Somebody said which transaction in QuickBooks the document is, and QuickBooks has no such one.",
    explanation="QuickBooks does not have it as you said.",
    owner="bookkeeper",
    next_step="Look it up in QuickBooks and confirm it with the right TxnID. If it is not there, export it again.",
    retry=Retry.NEVER,
)


class Claim(BaseModel):
    """A person's word that a document is in QuickBooks."""

    txn_id: str | None = None
    """Without one it is found by its number."""
    by: str
    is_seen: bool = False
    """It was named as a candidate: whoever chose it knew its date and total."""


class Earlier(BaseModel):
    """How an attempt left that proved absent, before its mapping changed."""

    ref_number: str
    entity_list_id: str | None = None
    entity_full_name: str | None = None


class Look(BaseModel):
    """What a look for one request must know, beside its facts."""

    guids: list[str] = []
    """Of earlier requests of the same document."""
    ruled_out: list[str] = []
    """TxnIDs of which a person said that they are not it."""
    since: date | None = None
    """An attempt since that day may have arrived: the look is deep, and never left out."""
    claim: Claim | None = None
    earlier: list[Earlier] = []
    """Under these, too, our GUID may stand: a computer that was slow may have written an attempt after all."""


@dataclass(frozen=True, kw_only=True)
class Clear:
    """Nothing in QuickBooks resembles it: it may be added in this session."""

    request_id: str


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """QuickBooks did not answer all that was asked about it."""

    request_id: str
    why: str
    is_culprit: bool
    """It answered this question with an error of its own, or not at all."""


LookRuling = Arrived | Rejected | Clear | Unanswered


def question_ids(request: SentRequest, look: Look) -> tuple[str, ...]:
    """Give the ids of the questions about a request; the id in the middle names it."""
    if look.claim is not None:
        return (f"{VERIFY}.{request.id}.{NUMBER if look.claim.txn_id is None else TRANSACTION}",)
    kinds = (NUMBER, CHANGED, DATED) if look.since is not None and _has_party(request) else (NUMBER,)
    before = [f"{kind}{index}" for index in range(len(look.earlier)) for kind in (NUMBER, CHANGED)]
    return tuple(f"{LOOK}.{request.id}.{kind}" for kind in (*kinds, *before))


def request_ids(asked: Sequence[str]) -> list[str]:
    """Give the ids of the requests that questions are about, once each."""
    return list(dict.fromkeys(one.split(".")[1] for one in asked))


def questions(request: SentRequest, look: Look) -> list[str]:
    """Build the questions about a request, as elements of a message set."""
    return [build_request_element(_query(request, look, one), one) for one in question_ids(request, look)]


def document(elements: Sequence[str], version: str) -> str:
    """Build the message set of a look."""
    return build_message_set(elements, version=version)


def judge(
    request: SentRequest, look: Look, answer: MessageSetResponse | None, *, others: Mapping[str, str]
) -> LookRuling:
    """Rule on one request; `others` names the documents of ours that own a TxnID. Without an answer: unanswered."""
    ids = question_ids(request, look)
    answers = [answer.by_request_id(one) if answer is not None else None for one in ids]
    given = [one for one in answers if one is not None]
    rows, faults = _read(given)
    ours = ours_among(request, rows)
    by = look.claim.by if look.claim is not None else None
    if ours is not None:
        return _arrived(request, ours, by)
    if look.claim is not None and look.claim.txn_id is not None:
        return _judge_claim(request, look.claim, given, rows=rows, others=others)
    is_complete = len(given) == len(ids) and not faults
    ruled_out: Collection[str] = () if look.claim is not None else request.ruled_out
    alike = resembling(request, rows, others={*others, *ruled_out}, is_unknown=look.since is not None)
    if alike and not (look.claim is not None and len(alike) == 1 and is_complete):
        return Rejected(request_id=request.id, verdict=_said(alike), message="", candidates=_candidates(alike))
    if not is_complete:
        return Unanswered(request_id=request.id, why=" ".join(faults), is_culprit=bool(faults))
    if look.claim is None:
        return Clear(request_id=request.id)
    why = f"QuickBooks has nothing like it under the number {request.facts.ref_number}."
    return _arrived(request, alike[0], by) if alike else _not_confirmed(request, why)


def _judge_claim(
    request: SentRequest, claim: Claim, given: Sequence[Response], *, rows: Sequence[Found], others: Mapping[str, str]
) -> LookRuling:
    refusal = next((one for one in given if one.is_error), None)
    row = next((row for row in rows if row.txn_id == claim.txn_id), None)
    if not given or (refusal is not None and _may_pass(refusal)):
        return Unanswered(request_id=request.id, why=refusal.message if refusal else "", is_culprit=False)
    if row is None:
        kind = "invoice" if request.operation == "InvoiceAdd" else "bill"
        why = f"QuickBooks has no {kind} with the TxnID {claim.txn_id}."
        return _not_confirmed(request, why, message=refusal.message if refusal is not None else "")
    if row.txn_id in others:
        return _not_confirmed(request, f"The TxnID {claim.txn_id} is that of {others[row.txn_id]}.")
    if _is_confirmed(request, claim, row):
        return _arrived(request, row, claim.by)
    text = f"The TxnID {claim.txn_id} is {described(row)}, which differs from the document."
    return _not_confirmed(request, text, (row,))


def _may_pass(refusal: Response) -> bool:
    return classify_status(refusal.status_code, refusal.severity, refusal.message).retry is Retry.RETRY_LATER


def _is_confirmed(request: SentRequest, claim: Claim, row: Found) -> bool:
    """Say whether what a person named may be the document.

    What they chose from candidates, knowing its date and total, must resemble it. Otherwise the party and the total
    must be the same, and the number or the date.
    """
    if claim.is_seen and (resembles(request, row) or is_same_but_number(request, row)):
        return True
    total = row.total is not None and abs(row.total - Decimal(request.facts.total)) <= CENT
    day = row.day is not None and row.day.isoformat() == request.facts.txn_date
    variants = {one.casefold() for one in number_variants(request.facts.ref_number)}
    number = bool(variants & {one.casefold() for one in number_variants(row.number)})
    return total and (number or day) and is_same_party(request.facts, row)


def described(row: Found) -> str:
    """Describe a transaction as a bookkeeper finds it."""
    day = f", dated {row.day.isoformat()}" if row.day is not None else ""
    total = f", over {row.total}" if row.total is not None else ""
    return f"{row.number or 'without a number'} of {row.party or 'nobody'}{day}{total}"


def _said(alike: Sequence[Found]) -> Verdict:
    others = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
    return dataclasses.replace(
        FOUND_THERE, explanation=f"{FOUND_THERE.explanation.rstrip('.')}: {described(alike[0])}{others}."
    )


def _not_confirmed(request: SentRequest, why: str, rows: Sequence[Found] = (), message: str = "") -> Rejected:
    verdict = dataclasses.replace(NOT_CONFIRMED, explanation=why)
    return Rejected(request_id=request.id, verdict=verdict, message=message[:1000], candidates=_candidates(rows))


def _candidates(rows: Sequence[Found]) -> tuple[Candidate, ...]:
    return tuple(row.as_candidate for row in rows[:CANDIDATES_MAX])


def _arrived(request: SentRequest, row: Found, by: str | None) -> Arrived:
    return dataclasses.replace(arrived(request, row.written), confirmed_by=by)


def _read(given: Sequence[Response]) -> tuple[list[Found], list[str]]:
    """Give the transactions of answers, and why some of them are not complete.

    500 for a number or a TxnID means that it is not there (qbxml.md 6.1); for a customer or vendor, that nothing was
    looked through. A list that is cut is none of these: number and date were asked for, too.
    """
    rows: list[Found] = []
    faults: list[str] = []
    for answer in given:
        asked = answer.request_id or ""
        # A customer of an earlier attempt may be gone by now; it was asked for by its number, too.
        by_party = not asked.endswith((f".{NUMBER}", f".{TRANSACTION}")) and not _is_earlier(asked)
        is_complete = answer.status_code < WARNING or (answer.status_code == WARNING and not by_party)
        if not is_complete:
            faults.append(answer.message)
        try:
            rows += [found(ret) for ret in transactions(answer)]
        except UnreadableResponse as error:
            faults.append(str(error))
    return rows, faults


def _is_earlier(question: str) -> bool:
    return question[-1:].isdigit()


def _has_party(request: SentRequest) -> bool:
    return bool(request.facts.entity_list_id or request.facts.entity_full_name)


def _query(request: SentRequest, look: Look, question: str) -> InvoiceQuery | BillQuery:
    query, fields = query_of(request), fields_of(request)
    if _is_earlier(question):
        before = look.earlier[int(question.rpartition(".")[2][1:])]
        request = dataclasses.replace(request, facts=dataclasses.replace(request.facts, **before.model_dump()))
        question = question.rstrip("0123456789")
    if question.endswith(f".{TRANSACTION}") and look.claim is not None:
        return query(txn_ids=(look.claim.txn_id or "",), include_ret_elements=fields)
    if question.endswith(f".{NUMBER}"):
        return query(ref_numbers=number_variants(request.facts.ref_number), include_ret_elements=fields)
    if question.endswith(f".{CHANGED}"):
        since = (look.since or date.fromisoformat(request.facts.txn_date)).isoformat()
        return entity_query(request, modified=ModifiedDateRange(from_modified_date=since))
    day = date.fromisoformat(request.facts.txn_date)
    return entity_query(request, dated=TxnDateRange(from_txn_date=day, to_txn_date=day))
