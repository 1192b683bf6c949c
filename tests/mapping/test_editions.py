"""Documents of QuickBooks for the United States, Canada and the United Kingdom, posted into files of each."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from mapping.dispatch import check_document
from mapping.editions import Edition, edition_of
from mapping.issues import Issue
from mapping.result import Mapped
from mapping.rules import CompanyRules, rules_for
from qbxml.envelope import build_message_set, build_request_element
from simulator.company import CompanyFile
from simulator.errors import QuickBooksError
from simulator.sample_company import british_company, canadian_company, freight_company
from tests.support.company_files import facts_of, lists_of

from .test_foresight import GOOD, GUID, a_document

MAKERS: dict[str, Callable[..., CompanyFile]] = {"US": freight_company, "CA": canadian_company, "UK": british_company}
CURRENCY = {"US": "USD", "CA": "CAD", "UK": "GBP"}
NAMES = {"US": "QBD", "CA": "QBCA", "UK": "QBUK"}
SCHEMA = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "schema" / "validate.py"
KINDS = ["invoice", "carrier_bill"]


def a_book(country: str) -> CompanyFile:
    return MAKERS[country](clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))


def checked(
    book: CompanyFile, kind: str, code: str | None, *, given: str = "US", told: bool = True
) -> Mapped | list[Issue]:
    """The company is set up as `given`, and QuickBooks tells its own edition."""
    defaults: dict[str, Any] = {} if code is None else {kind: {"tax_code": {"full_name": code}}}
    facts = facts_of(book) if told else None
    rules = rules_for({**GOOD, "defaults": defaults}, country=given, ref_number_rule="keep_end", facts=facts)
    assert isinstance(rules, CompanyRules)
    document = a_document(kind, {"currency": CURRENCY[book.state.country]})
    return check_document(document, rules, lists_of(book), taken=(), external_guid=GUID)


def message_set(mapped: Mapped) -> str:
    return build_message_set([build_request_element(mapped.transaction, "R1")])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("country", "code", "tax"),
    [
        ("US", None, "0.00"),
        ("CA", "E", "0.00"),
        ("CA", "G", "92.50"),
        ("CA", "H", "240.50"),
        ("UK", "E", "0.00"),
        ("UK", "S", "370.00"),
    ],
)
def test_it_is_posted_without_tax_in_its_amounts(kind: str, country: str, code: str | None, tax: str) -> None:
    """The tax comes on top, and a taxable code is warned of."""
    book = a_book(country)
    found = checked(book, kind, code)
    assert isinstance(found, Mapped), found
    answer = etree.fromstring(book.open_session("TMS").process_request(message_set(found)).encode())
    assert answer[0][0].get("statusCode") == "0", answer[0][0].get("statusMessage")
    posted = book.ledger[-1]
    assert (posted.subtotal, posted.tax_total) == (Decimal("1850.00"), Decimal(tax))
    is_warned = "tax_code_taxable" in [issue.code for issue in found.warnings]
    assert is_warned == (posted.tax_total > 0)


@pytest.fixture(scope="module")
def schema() -> ModuleType:
    if not SCHEMA.exists():
        pytest.skip("the published qbXML schemas are not beside this checkout")
    spec = importlib.util.spec_from_file_location("qbxml_schema_of_editions", SCHEMA)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("country", "code"), [("US", None), ("CA", "G"), ("UK", "S")])
def test_the_schema_of_the_edition_takes_it(schema: ModuleType, kind: str, country: str, code: str | None) -> None:
    """And that of the United States has no place for what the others need."""
    found = checked(a_book(country), kind, code)
    assert isinstance(found, Mapped), found
    data = message_set(found).encode()
    assert schema.errors("13.0", data) == []
    assert schema.edition_errors(data, NAMES[country]) == []
    assert (schema.edition_errors(data, "QBD") == []) == (country == "US")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("country", ["CA", "UK"])
def test_a_line_without_a_tax_code_is_foreseen(kind: str, country: str) -> None:
    """One choice mends all documents."""
    found = checked(a_book(country), kind, None)
    assert isinstance(found, list)
    assert [(issue.code, issue.path) for issue in found if issue.is_error] == [
        ("tax_code_missing", f"defaults.{kind}.tax_code")
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("country", ["CA", "UK"])
def test_with_sales_tax_off_nothing_is_said_of_it(kind: str, country: str) -> None:
    book = a_book(country)
    book.preferences.sales_tax_item = None
    book.switches.amounts_include_tax = False
    found = checked(book, kind, "E")
    assert isinstance(found, Mapped), found
    assert "Tax" not in message_set(found)
    assert [change.field for change in found.changes] == ["SalesTaxCodeRef"]
    book.open_session("TMS").process_request(message_set(found))
    assert book.ledger[-1].total == Decimal("1850.00")


def test_in_the_united_states_a_bill_bears_no_tax_code() -> None:
    """It could not even be parsed there, so a code that was chosen is left out."""
    book = a_book("US")
    found = checked(book, "carrier_bill", "Non")
    assert isinstance(found, Mapped), found
    assert [(change.path, change.after) for change in found.changes] == [("defaults.carrier_bill.tax_code", "")]
    abroad = checked(a_book("CA"), "carrier_bill", "E")
    assert isinstance(abroad, Mapped)
    with pytest.raises(QuickBooksError, match="0x80040400"):
        book.open_session("TMS").process_request(message_set(abroad))


@pytest.mark.parametrize("kind", KINDS)
def test_what_quickbooks_tells_goes_before_what_was_given(kind: str) -> None:
    book = a_book("US")
    found = checked(book, kind, None, given="CA")
    assert isinstance(found, Mapped), found
    assert "IsTaxIncluded" not in message_set(found)


@pytest.mark.parametrize("kind", KINDS)
def test_another_country_is_refused_plainly(kind: str) -> None:
    book = a_book("US")
    book.state.country = "AU"
    defaults = {"invoice": {"tax_code": {"full_name": "Non"}}}
    rules = rules_for({**GOOD, "defaults": defaults}, country="US", ref_number_rule="keep_end", facts=facts_of(book))
    assert isinstance(rules, CompanyRules)
    found = check_document(a_document(kind, {}), rules, lists_of(book), taken=(), external_guid=GUID)
    assert isinstance(found, list)
    assert [issue.code for issue in found if issue.is_error] == ["edition_unsupported"]


@pytest.mark.parametrize(
    ("told", "given", "edition"),
    [
        (None, "CA", Edition.CANADA),
        ("US", "CA", Edition.US),
        ("ca", "US", Edition.CANADA),
        ("UK", "US", Edition.UK),
        ("GB", "US", Edition.UK),
        ("AU", "US", None),
        ("", "UK", Edition.UK),
    ],
)
def test_which_edition_it_is(told: str | None, given: str, edition: Edition | None) -> None:
    assert edition_of(told, given) is edition
