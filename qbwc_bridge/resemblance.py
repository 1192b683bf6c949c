"""Pure: is a transaction in QuickBooks, which is not known to be ours, perhaps the one that is to be exported?

People type invoices that are also exported, and seldom quite the same: another date, a job of the customer, a cent
more. What resembles a document is a person's decision: it is this one, or export all the same. The rules, first that
holds:

1. The same number and party, a job of the customer, or the customer of the job: whatever its date and total.
2. Our invoice number for any other customer, with the same total: entered for the wrong customer. Not so for bills, for
   two carriers may both have a bill 1001.
3. The number without its prefix or leading zeros, for the same party, with the same total.
4. Where it is unknown whether ours arrived: any other number, with the same party, date and total.

Totals are the same within a cent: people round. A party that is not known, for nothing was mapped yet, is any.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from qbwc_bridge.facts import Facts
from qbwc_bridge.rulings import SentRequest
from qbxml.bills import BillRet
from qbxml.invoices import InvoiceRet
from qbxml.written import Written, written_of
from workflows.contracts import Candidate

CENT = Decimal("0.01")
_PREFIX = re.compile(r"^[^0-9]+(?=[0-9])")
_LEADING_ZEROS = re.compile(r"^0+(?=[0-9])")


@dataclass(frozen=True, kw_only=True)
class Found:
    """An invoice or a bill in QuickBooks, as far as it is compared."""

    txn_id: str
    number: str
    day: date | None
    total: Decimal | None
    party_id: str | None
    party: str
    guid: str
    """Without braces, in lower case; "" when it has none, as what people type."""
    written: Written
    """All that QuickBooks says of it."""

    @property
    def as_candidate(self) -> Candidate:
        """Give what a person needs to decide."""
        return Candidate(
            txn_id=self.txn_id,
            number=self.number,
            date=self.day.isoformat() if self.day is not None else None,
            total=str(self.total) if self.total is not None else None,
            party=self.party,
        )


def found(ret: InvoiceRet | BillRet) -> Found:
    """Read what is compared."""
    party = ret.customer_ref if isinstance(ret, InvoiceRet) else ret.vendor_ref
    return Found(
        txn_id=ret.txn_id,
        number=(ret.ref_number or "").strip(),
        day=ret.txn_date,
        total=ret.total,
        party_id=party.list_id if party is not None else None,
        party=(party.full_name or "") if party is not None else "",
        guid=bare(ret.external_guid),
        written=written_of(ret),
    )


def bare(guid: str | None) -> str:
    """Give a GUID as it is compared; "" for none, and for the one of zeros that QuickBooks writes instead."""
    text = (guid or "").strip("{} ").casefold()
    return text if text.strip("0-") else ""


def number_variants(number: str) -> tuple[str, ...]:
    """Give the number, and what people make of it when they type it: without prefix, without leading zeros."""
    digits = _PREFIX.sub("", number)
    return tuple(dict.fromkeys((number, digits, _LEADING_ZEROS.sub("", digits))))


def ours_among(request: SentRequest, rows: Sequence[Found]) -> Found | None:
    """Find our own transaction by its GUID: the newest attempt first, then those of earlier exports of the document."""
    for guid in (request.facts.external_guid, *request.earlier_guids):
        row = next((row for row in rows if row.guid and row.guid == bare(guid)), None)
        if row is not None:
            return row
    return None


def resembling(
    request: SentRequest, rows: Sequence[Found], *, others: Collection[str] = (), is_unknown: bool = False
) -> list[Found]:
    """Give what may be the document, once each.

    `others` are TxnIDs of other exports of ours, which are none, and those that a person looked at and ruled out.
    `is_unknown` says that an attempt of ours may have arrived: then rule 4 counts, too, save for what bears another
    GUID.
    """
    by_id = {row.txn_id: row for row in rows if row.txn_id not in others}
    return [
        row for row in by_id.values() if resembles(request, row) or (is_unknown and is_same_but_number(request, row))
    ]


def resembles(request: SentRequest, row: Found) -> bool:
    """Say whether one of the rules 1 to 3 holds."""
    is_same_total = _is_same_total(request.facts, row)
    if row.number.casefold() == request.facts.ref_number.strip().casefold():
        is_invoice = request.operation == "InvoiceAdd"
        return is_same_party(request.facts, row) or (is_invoice and is_same_total)
    variants = {one.casefold() for one in number_variants(request.facts.ref_number.strip())}
    is_variant = bool(variants & {one.casefold() for one in number_variants(row.number)})
    return is_variant and is_same_total and is_same_party(request.facts, row)


def is_same_but_number(request: SentRequest, row: Found) -> bool:
    """Say whether rule 4 holds. What bears a GUID is another export's: two alike on one day are not rare."""
    is_same_day = row.day is not None and row.day.isoformat() == request.facts.txn_date
    return not row.guid and is_same_day and _is_same_total(request.facts, row) and is_same_party(request.facts, row)


def is_same_party(facts: Facts, row: Found) -> bool:
    """Say whether it is for the same customer or vendor, a job of it, or the customer of the job."""
    wanted, there = (facts.entity_full_name or "").casefold(), row.party.casefold()
    if facts.entity_list_id is not None and row.party_id == facts.entity_list_id:
        return True
    if not wanted:
        return facts.entity_list_id is None
    return wanted == there or there.startswith(f"{wanted}:") or (bool(there) and wanted.startswith(f"{there}:"))


def _is_same_total(facts: Facts, row: Found) -> bool:
    return row.total is not None and abs(row.total - Decimal(facts.total)) <= CENT
