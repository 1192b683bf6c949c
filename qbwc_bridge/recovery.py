"""Pure: finding out what became of a set whose answer was lost (design.md 3.4; qbxml.md 1.4, 4.5).

First, was the file restored from a backup? Then QuickBooks' memory of sets proves nothing. Otherwise ask, with an
empty set that can run nothing. Look up what that left open: by number, by what changed of the customer or vendor, and
by what is dated alike, for the clock of a PC may be days behind. Only what no question finds is absent. What is asked
when, `unresolved.py` decides, and `lookup_parts.py` what is looked up together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from qbwc_bridge.lookup_parts import CHANGED, NUMBER, Part, question_ids
from qbwc_bridge.resemblance import Found, found, number_variants, ours_among, resembling
from qbwc_bridge.rulings import (
    UNREADABLE,
    Again,
    Rejected,
    Ruling,
    SentRequest,
    Unknown,
    arrived,
    judge_hresult,
    transactions,
)
from qbwc_bridge.unresolved import PLANT_ID, TRY_ID
from qbxml.bills import BillQuery
from qbxml.company import CompanyActivityQuery, CompanyActivityRet, HostQuery
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse, build_message_set, build_request_element
from qbxml.invoices import InvoiceQuery
from qbxml.outcomes import Retry, Verdict
from qbxml.queries import EntityFilter, ModifiedDateRange, TxnDateRange

WARNING = 500
"""Status codes from here on say that something asked for could not be found (qbxml.md 6.1)."""
_FIELDS = ("TxnID", "EditSequence", "TxnNumber", "TxnDate", "RefNumber", "CurrencyRef", "ExternalGUID")
INVOICE_FIELDS = (*_FIELDS, "CustomerRef", "Subtotal", "SalesTaxTotal")
BILL_FIELDS = (*_FIELDS, "VendorRef", "AmountDue")
"""Whole transactions of a busy customer would make an answer of many megabytes."""
LOOKUP_ROWS_MAX = 500
"""More changed transactions of one customer than this cannot be read in one answer; then absence is not proven."""

CANDIDATES_MAX = 10
"""More of what resembles a document would not help anybody to decide."""

MAY_BE_THERE = Verdict(
    code="outcome_unknown",
    cause="The answer of QuickBooks was lost, and looking for the transaction gave no certain result.",
    explanation="It may already be in QuickBooks.",
    owner="bookkeeper",
    next_step="Look for it in QuickBooks by its number. If it is there, leave it; if not, export it again.",
    retry=Retry.UNKNOWN_OUTCOME,
)


def may_come_from(computer: str) -> Verdict:
    """Give the verdict on a document that `computer` fetched and may still write: no fence keeps it from that."""
    return dataclasses.replace(
        MAY_BE_THERE,
        cause="Another computer fetched it and never said what became of it.",
        explanation=f"It may already be in QuickBooks, or {computer} may still be writing it.",
        next_step=f"Restart QuickBooks on {computer}, so that nothing more comes from there. Then look for it in "
        "QuickBooks by its number. If it is there, leave it; if not, export it again.",
    )


LOST_TOO_OFTEN = Verdict(
    code="lost_too_often",
    cause="It was sent many times and never arrived; the last time QuickBooks or the connection to it broke off.",
    explanation="It was sent many times and never arrived: QuickBooks or the connection to it broke off. "
    "It is not in QuickBooks.",
    owner="us",
    next_step="Ask the support of your transport software to look at this document and at the connection; "
    "then export it again.",
    retry=Retry.NEVER,
)


ACTIVITY_ID = "activity"
CLOCKS_MAY_DIFFER = timedelta(days=1)
"""The clock and the zone of the QuickBooks computer are not ours."""


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """What the company file says of restores, and why asking for a set would prove nothing; "" when it would."""

    last_restore_time: str | None
    doubt: str = ""


def activity_document(version: str) -> str:
    """Build the question when the file was last restored from a backup (qbxml.md 1.4)."""
    return build_message_set([build_request_element(CompanyActivityQuery(), ACTIVITY_ID)], version=version)


def judge_activity(answer: MessageSetResponse | None, *, known: str | None, sent_at: datetime) -> FileCheck:
    """Say whether the file may have been restored after a set left at `sent_at`; `known` is the restore known before.

    Without a readable answer (None) nothing is known, and the set is looked up: that is right in every case.
    """
    response = answer.by_request_id(ACTIVITY_ID) if answer is not None else None
    try:
        rets = response.rets_of(CompanyActivityRet) if response is not None and not response.is_error else []
    except UnreadableResponse:
        rets = []
    if not rets:
        return FileCheck(last_restore_time=known, doubt="QuickBooks did not say when the file was last restored")
    restored = (rets[0].last_restore_time or "").strip() or None
    if restored is None:
        return FileCheck(last_restore_time=None)
    moved = known is not None and restored != known
    if moved or _time_of(restored) > sent_at - CLOCKS_MAY_DIFFER:
        return FileCheck(last_restore_time=restored, doubt=f"The company file was restored from a backup at {restored}")
    return FileCheck(last_restore_time=restored)


def _time_of(text: str) -> datetime:
    """Read a time of QuickBooks; one that cannot be read counts as the latest."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def ask_document(set_id: str, version: str) -> str:
    """Build the status check: an empty set with the same id as new and old (qbxml.md 1.4)."""
    return build_message_set((), version=version, new_message_set_id=set_id, old_message_set_id=set_id)


def fence_document(set_id: str, version: str) -> str:
    """Build the harmless query under the id of an unresolved set: its record keeps a late run from writing."""
    return build_message_set([build_request_element(HostQuery(), PLANT_ID)], version=version, new_message_set_id=set_id)


def trial_document(set_id: str, released: str | None, version: str) -> str:
    """Build a harmless set that is sent as the next write will be: with a fresh id, releasing the same old one."""
    return build_message_set(
        [build_request_element(HostQuery(), TRY_ID)],
        version=version,
        new_message_set_id=set_id,
        old_message_set_id=released,
    )


def lookup_document(part: Part, *, since: date, version: str) -> str:
    """Build the questions of a part.

    `since` should lie a day before the set left: the clock and zone of the QuickBooks computer are not ours.
    """
    askers = {one: request for request in part.sent for one in question_ids((request,), request)}
    requests = [build_request_element(_query(askers[one], one, since), one) for one in part.ids]
    return build_message_set(requests, version=version)


def _query(request: SentRequest, question: str, since: date) -> InvoiceQuery | BillQuery:
    if question.endswith(f".{NUMBER}"):
        numbers = number_variants(request.facts.ref_number)
        return query_of(request)(ref_numbers=numbers, include_ret_elements=fields_of(request))
    if question.endswith(f".{CHANGED}"):
        return entity_query(request, modified=ModifiedDateRange(from_modified_date=since.isoformat()))
    day = date.fromisoformat(request.facts.txn_date)
    return entity_query(request, dated=TxnDateRange(from_txn_date=day, to_txn_date=day))


def query_of(request: SentRequest) -> type[InvoiceQuery] | type[BillQuery]:
    """Give the query for what a request adds."""
    return InvoiceQuery if request.operation == "InvoiceAdd" else BillQuery


def fields_of(request: SentRequest) -> tuple[str, ...]:
    """Give what is read of what a request adds."""
    return INVOICE_FIELDS if request.operation == "InvoiceAdd" else BILL_FIELDS


def entity_query(
    request: SentRequest, *, modified: ModifiedDateRange | None = None, dated: TxnDateRange | None = None
) -> InvoiceQuery | BillQuery:
    """Ask for the transactions of a request's customer or vendor, by change or by date."""
    return query_of(request)(
        max_returned=LOOKUP_ROWS_MAX,
        modified_date_range=modified,
        txn_date_range=dated,
        entity_filter=_entity(request),
        include_ret_elements=fields_of(request),
    )


def judge_lookup(
    part: Sequence[SentRequest],
    answers: Mapping[str, Response],
    *,
    dead: Collection[str] = (),
    others: Collection[str] = (),
) -> list[Ruling]:
    """Rule on documents that were looked up together, by the answers to all questions about them.

    What is found decides by itself. Absence is proven by all answers only: without one of them a document stays
    unknown, and with a question that is `dead`, for QuickBooks cannot read it, nobody can decide. What resembles a
    document, and is none of the TxnIDs of `others`, is a person's decision (resemblance.py).
    """
    # Sent again in half the size: if one document kills QuickBooks, it stands alone in the end.
    half = max(1, len(part) // 2)
    return [_judge(request, answers, question_ids(part, request), dead, half, others) for request in part]


def hold_absent(rulings: Sequence[Ruling]) -> list[Ruling]:
    """Hold back what is absent but may still be written by another computer: no fence keeps it from that."""
    return [Unknown(request_id=one.request_id) if isinstance(one, Again) else one for one in rulings]


def judge_unreadable_lookup(rulings: Sequence[Ruling], sent: Sequence[SentRequest], message: str) -> list[Ruling]:
    """Rule after a look-up on a set that QuickBooks is said not to have been able to read (0x80040400).

    What proved absent was not lost: the set is split, and a document that stood alone is the culprit.
    """
    split = {ruling.request_id: ruling for ruling in judge_hresult(sent, UNREADABLE, message).rulings}
    return [split[ruling.request_id] if isinstance(ruling, Again) else ruling for ruling in rulings]


def _judge(
    request: SentRequest,
    answers: Mapping[str, Response],
    ids: Sequence[str],
    dead: Collection[str],
    half: int,
    others: Collection[str],
) -> Ruling:
    given = [answers[one] for one in ids if one in answers]
    unreadable = next((one for one in ids if one in dead), None)
    rows: list[Found] = []
    doubts: list[str] = [answer.message for answer in given if answer.is_error]
    for answer in given:
        try:
            these = [found(ret) for ret in transactions(answer)]
        except UnreadableResponse as error:
            doubts.append(str(error))
            continue
        rows += these
        is_by_entity = not (answer.request_id or "").endswith(f".{NUMBER}")
        if is_by_entity and len(these) >= LOOKUP_ROWS_MAX:
            doubts.append("Too many transactions of this customer or vendor are to be looked through")
        # A merged or deleted customer: what was written for it is now listed under another name. A number that is not
        # there is told with 500 and proves it; other warnings may leave transactions out (qbxml.md 0, 6.2).
        if not answer.is_error and answer.status_code >= (WARNING if is_by_entity else WARNING + 1):
            doubts.append(answer.message)
    ours = ours_among(request, rows)
    if ours is not None:
        return arrived(request, ours.written)
    if unreadable is None and len(given) < len(ids):
        return Unknown(request_id=request.id)
    if unreadable is not None:
        doubts.append("QuickBooks cannot read the question for it")
    alike = resembling(request, rows, others={*others, *request.ruled_out}, is_unknown=True)
    if alike:
        doubts.insert(0, "A transaction that resembles it is there")
    if doubts:
        return _undecidable(request, " ".join(dict.fromkeys(doubts)), alike)
    reason = "It is not in QuickBooks; it is sent again"
    return Again(request_id=request.id, reason=reason, passing=False, batch_max=half, lost=True)


def _entity(request: SentRequest) -> EntityFilter:
    if request.facts.entity_list_id:
        return EntityFilter(list_ids=(request.facts.entity_list_id,))
    return EntityFilter(full_names=(request.facts.entity_full_name or "",))


def _undecidable(request: SentRequest, why: str, alike: Sequence[Found]) -> Rejected:
    candidates = tuple(row.as_candidate for row in alike[:CANDIDATES_MAX])
    return Rejected(request_id=request.id, verdict=MAY_BE_THERE, message=why.strip()[:1000], candidates=candidates)
