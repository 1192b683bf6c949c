"""Pure: finding out what became of a set whose answer was lost (design.md 3.4; qbxml.md 1.4, 4.5).

Ask first, with an empty set that can run nothing. Look up what that left open, by number and by entity. Only what
neither question finds is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from qbwc_bridge.rulings import Again, Arrived, Rejected, Ruling, SentRequest, Unknown, transactions
from qbxml.bills import BillQuery, BillRet
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse, build_message_set, build_request_element
from qbxml.invoices import InvoiceQuery, InvoiceRet
from qbxml.outcomes import Retry, Verdict
from qbxml.queries import EntityFilter, ModifiedDateRange

WARNING = 500
"""Status codes from here on say that something asked for could not be found (qbxml.md 6.1)."""
_FIELDS = ("TxnID", "EditSequence", "TxnNumber", "TxnDate", "RefNumber", "ExternalGUID")
INVOICE_FIELDS = (*_FIELDS, "CustomerRef", "Subtotal", "SalesTaxTotal")
BILL_FIELDS = (*_FIELDS, "VendorRef", "AmountDue")
"""Whole transactions of a busy customer would make an answer of many megabytes."""
LOOKUP_ROWS_MAX = 500
"""More changed transactions of one customer than this cannot be read in one answer; then absence is not proven."""

MAY_BE_THERE = Verdict(
    code="outcome_unknown",
    cause="The answer of QuickBooks was lost, and looking for the transaction gave no certain result.",
    explanation="It may already be in QuickBooks.",
    owner="bookkeeper",
    next_step="Look for it in QuickBooks by its number. If it is there, leave it; if not, export it again.",
    retry=Retry.UNKNOWN_OUTCOME,
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


def ask_document(set_id: str, version: str) -> str:
    """Build the status check: an empty set with the same id as new and old (qbxml.md 1.4)."""
    return build_message_set((), version=version, new_message_set_id=set_id, old_message_set_id=set_id)


def lookup_document(sent: Sequence[SentRequest], *, since: date, version: str) -> str:
    """Build a query by RefNumber for each request, and one by modification time for each customer or vendor.

    `since` should lie a day before the set left: the clock and zone of the QuickBooks computer are not ours.
    """
    requests: list[str] = []
    askers = _askers(sent)
    for request in sent:
        query, fields = (
            (InvoiceQuery, INVOICE_FIELDS) if request.operation == "InvoiceAdd" else (BillQuery, BILL_FIELDS)
        )
        by_number = query(ref_numbers=(request.facts.ref_number,), include_ret_elements=fields)
        requests.append(build_request_element(by_number, f"{request.wire_id}.n"))
        if askers[_entity_key(request)] is not request:
            continue
        by_entity = query(
            max_returned=LOOKUP_ROWS_MAX,
            modified_date_range=ModifiedDateRange(from_modified_date=since.isoformat()),
            entity_filter=_entity(request),
            include_ret_elements=fields,
        )
        requests.append(build_request_element(by_entity, f"{request.wire_id}.e"))
    return build_message_set(requests, version=version)


def judge_lookup(sent: Sequence[SentRequest], answer: MessageSetResponse) -> list[Ruling]:
    """Rule on each request from both queries; without both answers nothing is proven and it stays unknown."""
    entities = {
        key: next(
            (
                found
                for r in sent
                if _entity_key(r) == key and (found := answer.by_request_id(f"{r.wire_id}.e")) is not None
            ),
            None,
        )
        for key in _askers(sent)
    }
    # Sent again in half the size: if one document kills QuickBooks, it stands alone in the end.
    half = max(1, len(sent) // 2)
    return [
        _judge(request, answer.by_request_id(f"{request.wire_id}.n"), entities[_entity_key(request)], half)
        for request in sent
    ]


def _askers(sent: Sequence[SentRequest]) -> dict[tuple[str, str], SentRequest]:
    """Give the first request of each customer or vendor: its entity query serves them all."""
    askers: dict[tuple[str, str], SentRequest] = {}
    for request in sent:
        askers.setdefault(_entity_key(request), request)
    return askers


def _entity_key(request: SentRequest) -> tuple[str, str]:
    return request.operation, request.facts.entity_list_id or request.facts.entity_full_name or ""


def _judge(request: SentRequest, by_number: Response | None, by_entity: Response | None, half: int) -> Ruling:
    if by_number is None or by_entity is None:
        return Unknown(request_id=request.id)
    if by_number.is_error or by_entity.is_error:
        return _undecidable(request, f"{by_number.message} {by_entity.message}")
    try:
        rows = [*transactions(by_number), *transactions(by_entity)]
        is_cut = len(transactions(by_entity)) >= LOOKUP_ROWS_MAX
    except UnreadableResponse as error:
        return _undecidable(request, str(error))
    ours = next((row for row in rows if _same_guid(row.external_guid, request.facts.external_guid)), None)
    if ours is not None:
        return Arrived(
            request_id=request.id,
            txn_id=ours.txn_id,
            edit_sequence=ours.edit_sequence,
            ref_number=ours.ref_number,
            txn_number=str(ours.txn_number) if ours.txn_number is not None else None,
        )
    doubts = {
        "A transaction with the same customer or vendor, total and date is there": any(
            _looks_alike(request, row) for row in rows
        ),
        "Too many transactions of this customer or vendor changed lately": is_cut,
        # A merged or deleted customer: what was written for it is now listed under another name.
        by_entity.message: by_entity.status_code >= WARNING,
    }
    doubt = next((text for text, applies in doubts.items() if applies), None)
    if doubt is not None:
        return _undecidable(request, doubt)
    reason = "It is not in QuickBooks; it is sent again"
    return Again(request_id=request.id, reason=reason, passing=False, batch_max=half, lost=True)


def _looks_alike(request: SentRequest, row: InvoiceRet | BillRet) -> bool:
    """A row without any GUID, of the same entity, total and date: ours, or one that somebody typed in."""
    if row.external_guid and row.external_guid.strip("{}0-"):
        return False  # another export's
    entity = row.customer_ref if isinstance(row, InvoiceRet) else row.vendor_ref
    facts = request.facts
    same_entity = entity is not None and (
        (facts.entity_list_id is not None and entity.list_id == facts.entity_list_id)
        or (entity.full_name or "").casefold() == (facts.entity_full_name or "\0").casefold()
    )
    total = (
        (row.subtotal or Decimal(0)) + (row.sales_tax_total or Decimal(0))
        if isinstance(row, InvoiceRet)
        else row.amount_due
    )
    same_date = row.txn_date is not None and row.txn_date.isoformat() == facts.txn_date
    return same_entity and same_date and total == Decimal(facts.total)


def _same_guid(one: str | None, other: str) -> bool:
    return one is not None and one.strip("{}").casefold() == other.strip("{}").casefold()


def _entity(request: SentRequest) -> EntityFilter:
    if request.facts.entity_list_id:
        return EntityFilter(list_ids=(request.facts.entity_list_id,))
    return EntityFilter(full_names=(request.facts.entity_full_name or "",))


def _undecidable(request: SentRequest, why: str) -> Rejected:
    return Rejected(request_id=request.id, verdict=MAY_BE_THERE, message=why.strip()[:1000])
