"""One door for both kinds of document."""

from __future__ import annotations

from dataclasses import replace

from mapping.carrier_bills import map_carrier_bill
from mapping.documents import CarrierBill, Invoice
from mapping.fitting import fit
from mapping.invoices import map_invoice
from mapping.issues import Issue, Owner
from mapping.lists import Lists
from mapping.preflight import preflight
from mapping.ref_numbers import Taken, is_taken
from mapping.result import Mapped
from mapping.rules import CompanyRules


def map_document(
    document: Invoice | CarrierBill, rules: CompanyRules, *, taken: Taken, external_guid: str
) -> Mapped | list[Issue]:
    """Build the QuickBooks transaction of a document, or give every reason why it cannot be built."""
    if isinstance(document, Invoice):
        mapped = map_invoice(document, rules, taken=taken, external_guid=external_guid)
    else:
        mapped = map_carrier_bill(document, rules, taken=taken, external_guid=external_guid)
    if isinstance(mapped, Mapped) and is_taken(mapped.ref_number, taken):
        return [_number_in_use(document, mapped.ref_number)]
    return mapped


def check_document(
    document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists, *, taken: Taken, external_guid: str
) -> Mapped | list[Issue]:
    """Map a document and hold it against what is known of the company file: everything before QuickBooks sees it.

    What the file has no place for is left out first, and noted. Errors of both come back together, warnings behind
    them; a document with warnings only is mapped.
    """
    fitted = fit(document, rules, lists)
    mapped = map_document(fitted.document, fitted.rules, taken=taken, external_guid=external_guid)
    found = preflight(fitted.document, fitted.rules, lists)
    errors = [issue for issue in found if issue.is_error]
    warnings = [issue for issue in found if not issue.is_error]
    if isinstance(mapped, list):
        return [*mapped, *errors, *warnings]
    if errors:
        return [*errors, *warnings]
    return replace(mapped, changes=[*fitted.changes, *mapped.changes], warnings=warnings)


def _number_in_use(document: Invoice | CarrierBill, ref_number: str) -> Issue:
    """Refuse a second document with the number of another one: QuickBooks would take both (qbxml.md 0, fact 3)."""
    same = "bill of this carrier" if isinstance(document, CarrierBill) else "invoice"
    return Issue(
        code="number_in_use",
        path="number",
        message=f"Another exported {same} already has the number {ref_number} in QuickBooks.",
        next_step="Check whether this is the same document twice; if not, give it a number of its own.",
        owner=Owner.TMS_USER,
    )
