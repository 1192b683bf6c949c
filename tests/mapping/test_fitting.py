"""What a preference that is off has no place for is left out of the document, and said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mapping.dispatch import check_document
from mapping.documents import CarrierBill, Invoice
from mapping.known_lists import KnownLists
from mapping.result import Mapped
from mapping.rules import CompanyMapping, CompanyRules, parse_mapping
from qbxml.bills import BillAdd
from qbxml.invoices import InvoiceAdd
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from tests.support.company_files import entries_of, facts_of

from .test_foresight import GOOD, GUID, a_document


@pytest.fixture
def company() -> CompanyFile:
    return freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))


def checked(company: CompanyFile, document: Invoice | CarrierBill, facts: dict[str, Any], **mapping: Any) -> Mapped:
    lists = KnownLists(entries_of(company), facts_of(company).model_copy(update=facts))
    parsed = parse_mapping(GOOD | mapping)
    assert isinstance(parsed, CompanyMapping)
    found = check_document(document, CompanyRules(mapping=parsed), lists, taken=(), external_guid=GUID)
    assert isinstance(found, Mapped), found
    return found


def classes(mapped: Mapped) -> list[bool]:
    transaction = mapped.transaction
    if isinstance(transaction, InvoiceAdd):
        return [transaction.class_ref is not None]
    return [line.class_ref is not None for line in (*transaction.expense_lines, *transaction.item_lines)]


DEFAULT_CLASS = {
    "invoice": {"class": {"full_name": "Brokerage"}},
    "carrier_bill": {"class": {"full_name": "Brokerage"}},
}


@pytest.mark.parametrize("kind", ["invoice", "carrier_bill"])
@pytest.mark.parametrize(
    ("tracking", "named", "defaults", "sent", "noted"),
    [
        (False, "K", {}, False, ("class", "K")),
        (False, "NOBODY LINKED IT", {}, False, ("class", "NOBODY LINKED IT")),
        (False, "K", DEFAULT_CLASS, False, ("class", "K")),
        (False, None, DEFAULT_CLASS, False, ("defaults.{kind}.class", "Brokerage")),
        (False, None, {}, False, None),
        (True, "K", {}, True, None),
        (None, "K", {}, True, None),
        (True, None, DEFAULT_CLASS, True, None),
    ],
)
def test_classes(
    company: CompanyFile,
    kind: str,
    tracking: bool | None,
    named: str | None,
    defaults: dict[str, Any],
    sent: bool,
    noted: tuple[str, str] | None,
) -> None:
    """Off: left out, also one that nobody linked, as there is none to choose. Not told, or on: sent."""
    document = a_document(kind, {"class": named})
    mapped = checked(company, document, {"class_tracking": tracking}, defaults=defaults)
    assert classes(mapped) == [sent]
    changes = [(change.path, change.before) for change in mapped.changes]
    assert changes == ([] if noted is None else [(noted[0].format(kind=kind), noted[1])])
    assert all("class tracking is off" in change.reason.casefold() for change in mapped.changes)


@pytest.mark.parametrize(("sales_tax", "sent"), [(False, False), (True, True), (None, True)])
def test_the_tax_code_of_invoice_lines(company: CompanyFile, sales_tax: bool | None, sent: bool) -> None:
    mapped = checked(
        company,
        a_document("invoice", {}),
        {"sales_tax": sales_tax},
        defaults={"invoice": {"tax_code": {"full_name": "Non"}}},
    )
    assert isinstance(mapped.transaction, InvoiceAdd)
    assert [line.sales_tax_code_ref is not None for line in mapped.transaction.lines] == [sent]
    assert [change.field for change in mapped.changes] == ([] if sent else ["SalesTaxCodeRef"])


@pytest.mark.parametrize(
    ("account", "billable", "mark", "noted"),
    [
        ("Purchased Transportation", False, "NotBillable", False),
        ("Purchased Transportation", True, "Billable", False),
        ("Claims Expense", True, "Billable", False),
        ("Quick Pay Discounts", False, None, False),
        ("Quick Pay Discounts", True, None, True),
    ],
)
def test_only_costs_bear_a_billable_mark(
    company: CompanyFile, account: str, billable: bool, mark: str | None, noted: bool
) -> None:
    """Another account is "not reimbursable"; that a line should have been billed on is not lost in silence."""
    customer = {"id": "job", "name": "Ironwood"}
    line = {"charge": "LINEHAUL", "amount": "1850.00", "customer": customer, "billable": billable}
    charges = {"LINEHAUL": {"carrier_bill": {"account": {"full_name": account}}}}
    mapped = checked(company, a_document("carrier_bill", {"lines": [line]}), {}, charges=charges)
    assert isinstance(mapped.transaction, BillAdd)
    assert [one.billable_status for one in mapped.transaction.expense_lines] == [mark]
    assert [change.path for change in mapped.changes] == (["lines[0].billable"] if noted else [])
