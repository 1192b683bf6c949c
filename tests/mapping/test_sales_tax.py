"""Tax that nothing in the document overrides is warned of; whether QuickBooks adds it is open, so it is either way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mapping.dispatch import check_document
from mapping.result import Mapped
from mapping.rules import CompanyMapping, CompanyRules, parse_mapping
from mapping.targets import mapping_issues
from qbxml.envelope import build_message_set, build_request_element
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from tests.support.company_files import lists_of

from .test_foresight import GOOD, GUID, a_document

TAX = {"tax_code_missing", "customer_taxable", "item_taxable", "tax_code_taxable"}


def a_book(customer: str | None, item: str | None, *, sales_tax: bool = True) -> CompanyFile:
    book = freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))
    book.turn_on_sales_tax("County", "8.25")
    codes = {code.name: code.list_id for code in book.state.tax_codes}
    for one in book.state.customers:
        if one.full_name == "Cafe Rio Foods":
            one.tax_code = codes[customer] if customer else None
    for entry in book.state.items:
        if entry.full_name == "Linehaul":
            entry.tax_code = codes[item] if item else None
    if not sales_tax:
        book.preferences.sales_tax_item = None
    return book


def rules_of(code: str | None) -> CompanyRules:
    defaults: dict[str, Any] = {} if code is None else {"invoice": {"tax_code": {"full_name": code}}}
    parsed = parse_mapping({**GOOD, "defaults": defaults})
    assert isinstance(parsed, CompanyMapping)
    return CompanyRules(mapping=parsed)


@pytest.mark.parametrize("takes_items", [False, True])
@pytest.mark.parametrize(
    ("customer", "item", "default", "sales_tax", "warned"),
    [
        ("Tax", "Tax", None, True, ["customer_taxable"]),
        ("Tax", None, None, True, ["customer_taxable"]),
        ("Non", "Tax", None, True, ["tax_code_missing"]),
        (None, "Tax", None, True, ["item_taxable"]),
        (None, "Non", None, True, ["tax_code_missing"]),
        ("Tax", "Tax", "Non", True, []),
        ("Tax", "Tax", "Tax", True, ["tax_code_taxable"]),
        (None, None, "Tax", True, ["tax_code_taxable"]),
        ("Non", "Tax", "Tax", True, []),
        ("Tax", "Tax", None, False, []),
    ],
)
def test_tax_that_may_come_on_top(
    customer: str | None, item: str | None, default: str | None, sales_tax: bool, warned: list[str], takes_items: bool
) -> None:
    """Where nothing is said, QuickBooks adds none, whichever way it takes lines without a code."""
    book = a_book(customer, item, sales_tax=sales_tax)
    book.switches.line_without_code_takes_that_of_its_item = takes_items
    rules = rules_of(default)
    found = check_document(a_document("invoice", {}), rules, lists_of(book), taken=(), external_guid=GUID)
    assert isinstance(found, Mapped), found
    assert [issue.code for issue in found.warnings if issue.code in TAX] == warned
    book.open_session("TMS").process_request(build_message_set([build_request_element(found.transaction, "R1")]))
    is_taxed = book.invoices[-1].tax_total > 0
    assert not is_taxed or set(warned) & {"customer_taxable", "item_taxable", "tax_code_taxable"}


@pytest.mark.parametrize(
    ("customer", "default", "warned"),
    [("Tax", None, True), ("Non", None, False), (None, None, False), ("Tax", "Non", False)],
)
def test_linking_a_customer_who_owes_tax_is_warned_of(customer: str | None, default: str | None, warned: bool) -> None:
    issues = mapping_issues(rules_of(default).mapping, lists_of(a_book(customer, None)))
    found = [(issue.path, issue.is_error) for issue in issues if issue.code == "customer_taxable"]
    assert found == ([("customers.cus_88", False)] if warned else [])


def test_a_job_owes_what_its_customer_owes() -> None:
    book = a_book(None, None)
    tax = next(code.list_id for code in book.state.tax_codes if code.name == "Tax")
    next(one for one in book.state.customers if one.full_name == "Ironwood Building Supply").tax_code = tax
    parsed = parse_mapping({"customers": {"j": {"full_name": "Ironwood Building Supply:Load 100777"}}})
    assert isinstance(parsed, CompanyMapping)
    assert [issue.code for issue in mapping_issues(parsed, lists_of(book))] == ["customer_taxable"]
