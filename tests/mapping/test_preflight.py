"""Pre-flight: what the lists and preferences say about a document, errors and warnings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapping.dispatch import check_document
from mapping.documents import parse_document
from mapping.known_lists import NOTHING_KNOWN, KnownLists
from mapping.links import awaited_by_issues, awaited_by_refusal, excerpt, links_of
from mapping.lists import CompanyFacts, ListItem, ListKind
from mapping.preflight import preflight
from mapping.result import Mapped, external_guid_for
from mapping.rules import CompanyMapping, CompanyRules, parse_mapping, rules_for
from mapping.unmapped import unmapped
from simulator.sample_company import freight_company
from tests.support.company_files import lists_of

GUID = external_guid_for("co_1", "invoice", "1", "1")
GOOD = ["linehaul_fuel", "discount", "customer_job", "credit_line", "tonu"]


def _document(data: dict[str, Any]) -> Any:
    parsed = parse_document(data)
    assert not isinstance(parsed, list), parsed
    return parsed


def _rules(data: dict[str, Any], **more: Any) -> CompanyRules:
    mapping = parse_mapping(data)
    assert isinstance(mapping, CompanyMapping), mapping
    return CompanyRules(mapping=mapping, **more)


def _lists(facts: CompanyFacts | None = None, *more: ListItem, **customer: Any) -> KnownLists:
    entries = [
        ListItem(kind=ListKind.CUSTOMER, list_id="P", full_name="Parent", facts=customer.pop("above", {})),
        ListItem(kind=ListKind.CUSTOMER, list_id="C", full_name="Parent:C", parent_list_id="P", facts=customer),
        ListItem(kind=ListKind.ITEM, list_id="I", full_name="Linehaul", type="Service"),
        ListItem(kind=ListKind.ITEM, list_id="D", full_name="Rebate", type="Discount"),
    ]
    return KnownLists([*entries, *more], facts)


MAPPING: dict[str, Any] = {
    "customers": {"c": {"list_id": "C"}},
    "charges": {"L": {"invoice": {"item": {"list_id": "I"}}}, "D": {"invoice": {"item": {"list_id": "D"}}}},
}


def an_invoice(**changes: Any) -> Any:
    data: dict[str, Any] = {
        "kind": "invoice",
        "id": "1",
        "number": "1",
        "customer": {"id": "c", "name": "C"},
        "date": "2026-11-20",
        "lines": [{"charge": "L", "amount": "10.00"}],
        "total": "10.00",
    }
    return _document(data | changes)


def found(lists: KnownLists, rules: CompanyRules | None = None, **changes: Any) -> list[tuple[str, str, str]]:
    issues = preflight(an_invoice(**changes), rules or _rules(MAPPING), lists)
    assert all(issue.message.endswith(".") and issue.next_step.endswith(".") for issue in issues)
    return [(issue.code, issue.path, issue.severity.value) for issue in issues]


@pytest.mark.parametrize("name", GOOD)
def test_the_samples_pass(load_sample: Callable[[str], Any], rules: CompanyRules, name: str) -> None:
    """Against the company file that they were written for, good samples have no errors."""
    lists = lists_of(freight_company(clock=lambda: datetime(2026, 11, 23, tzinfo=UTC)))
    document = _document(load_sample(f"invoices/{name}.json"))
    assert isinstance(check_document(document, rules, lists, taken=(), external_guid=GUID), Mapped)


def test_nothing_known_nothing_said(load_sample: Callable[[str], Any], rules: CompanyRules) -> None:
    assert preflight(_document(load_sample("invoices/linehaul_fuel.json")), rules, NOTHING_KNOWN) == []


def test_a_customer_without_address_and_terms() -> None:
    """Only when QuickBooks said so, only when the document has none either, and a job has those of its parent."""
    bare = _lists(has_address=False, terms=None, above={"has_address": False, "terms": None})
    missing = [("bill_to_missing", "bill_to", "warning"), ("terms_missing", "terms", "warning")]
    assert found(bare) == missing
    assert found(_lists()) == []
    assert found(_lists(has_address=False, terms=None, above={"has_address": True, "terms": "T"})) == []
    assert found(bare, due_date="2026-12-20") == missing[:1]
    assert found(bare, bill_to={"city": "Reno"}) == missing[1:]


@pytest.mark.parametrize(("closing", "closed"), [("2026-11-19", False), ("2026-11-20", True), ("2026-12-31", True)])
def test_the_closing_date(closing: str, closed: bool) -> None:
    codes = found(_lists(CompanyFacts(closing_date=date.fromisoformat(closing))))
    assert codes == ([("closed_period", "date", "error")] if closed else [])


def test_a_total_of_nothing_is_only_worth_a_look() -> None:
    codes = found(_lists(), lines=[{"charge": "L", "amount": "0.00"}], total="0.00")
    assert codes == [("zero_total", "total", "warning")]


def test_sales_tax_without_a_tax_code() -> None:
    on = _lists(CompanyFacts(sales_tax=True))
    assert found(on) == [("tax_code_missing", "defaults.invoice.tax_code", "warning")]
    with_code = _rules({**MAPPING, "defaults": {"invoice": {"tax_code": {"full_name": "Non"}}}})
    assert found(on, with_code) == []
    assert found(_lists(CompanyFacts(sales_tax=False))) == []


@pytest.mark.parametrize(
    ("taxable", "sales_tax", "warned"),
    [(True, True, True), (True, None, True), (True, False, False), (False, True, False), (None, True, False)],
)
def test_a_taxable_code_is_warned_of_before_quickbooks_adds_tax(
    taxable: bool | None, sales_tax: bool | None, warned: bool
) -> None:
    """Where sales tax is off QuickBooks adds none; of a code whose kind is not known nothing is said."""
    code = ListItem(kind=ListKind.SALES_TAX_CODE, list_id="X", full_name="Tax", facts={"is_taxable": taxable})
    lists = _lists(CompanyFacts(sales_tax=sales_tax), code)
    rules = _rules({**MAPPING, "defaults": {"invoice": {"tax_code": {"list_id": "X"}}}})
    issues = [("tax_code_taxable", "defaults.invoice.tax_code", "warning")] if warned else []
    assert found(lists, rules) == issues


def test_the_customers_currency() -> None:
    facts = CompanyFacts(multi_currency=True, home_currency="US Dollar")
    rules = _rules(MAPPING, multi_currency=True)
    lists = _lists(facts, currency="Canadian Dollar")
    assert found(lists, rules) == [("currency_mismatch", "currency", "error")]
    assert found(lists, rules, currency="CAD") == []
    assert found(_lists(facts, currency="Some Dollar"), rules) == []


def test_preferences_decide_on_currencies() -> None:
    """QuickBooks' own word goes before the country's usual currency."""
    rules = rules_for({}, country="US", ref_number_rule="keep_end", facts=CompanyFacts(home_currency="Canadian Dollar"))
    assert isinstance(rules, CompanyRules)
    assert (rules.home_currency, rules.multi_currency) == ("CAD", False)
    rules = rules_for({}, country="UK", ref_number_rule="keep_end", facts=CompanyFacts(multi_currency=True))
    assert isinstance(rules, CompanyRules)
    assert (rules.home_currency, rules.multi_currency) == ("GBP", True)


def test_a_discount_takes_no_quantity() -> None:
    line = {"charge": "D", "quantity": "2", "rate": "5.00", "amount": "10.00"}
    assert found(_lists(), lines=[line]) == [("discount_with_quantity", "lines[0].quantity", "error")]
    assert found(_lists(), lines=[{"charge": "D", "amount": "10.00"}]) == []


def test_errors_of_mapping_and_preflight_come_together() -> None:
    lists = _lists(CompanyFacts(closing_date=date(2026, 12, 31), sales_tax=True))
    document = an_invoice(lines=[{"charge": "HAZMAT", "amount": "10.00"}])
    issues = check_document(document, _rules(MAPPING), lists, taken=(), external_guid=GUID)
    assert isinstance(issues, list)
    assert [issue.code for issue in issues] == ["charge_not_mapped", "closed_period", "tax_code_missing"]


def test_warnings_ride_along() -> None:
    mapped = check_document(
        an_invoice(), _rules(MAPPING), _lists(CompanyFacts(sales_tax=True)), taken=(), external_guid=GUID
    )
    assert isinstance(mapped, Mapped)
    assert [issue.code for issue in mapped.warnings] == ["tax_code_missing"]


def _bill(**changes: Any) -> Any:
    return _document(
        {
            "kind": "carrier_bill",
            "id": "1",
            "number": "1",
            "carrier": {"id": "v", "name": "Acme"},
            "date": "2026-11-20",
            "class": "K",
            "terms": "T",
            "lines": [
                {"charge": "L", "amount": "10.00", "customer": {"id": "c", "name": "C"}},
                {"charge": "F", "amount": "1.00"},
            ],
            "total": "11.00",
        }
        | changes
    )


def test_what_an_export_waits_for() -> None:
    """Each issue at a link names the entry of the mapping, and the defaults where those would do."""
    document = _bill()
    rules = _rules({"terms": {"T": {"full_name": "Net 30"}}})
    issues = check_document(document, rules, NOTHING_KNOWN, taken=(), external_guid=GUID)
    assert isinstance(issues, list)
    assert set(awaited_by_issues(document, rules.mapping, issues)) == {
        "carriers/v",
        "classes/K",
        "charges/L",
        "charges/F",
        "customers/c",
        "defaults/carrier_bill",
    }


@pytest.mark.parametrize(
    ("code", "message", "keys"),
    [
        ("3140", 'There is an invalid reference to QuickBooks Terms "Net 30" in the Bill.', ["terms/T"]),
        ("3140", 'There is an invalid reference to QuickBooks Customer "80-1" in the Bill line.', ["customers/c"]),
        (
            "3140",
            "Something else.",
            ["carriers/v", "terms/T", "classes/K", "charges/L", "charges/F", "customers/c"],
        ),
        ("3175", 'There is an invalid reference to QuickBooks Terms "Net 30" in the Bill.', []),
        ("outcome_unknown", "", []),
    ],
)
def test_what_a_refused_export_waits_for(code: str, message: str, keys: list[str]) -> None:
    """The entry that QuickBooks names; if it names none, any that the document uses; nothing for other refusals."""
    target = {"full_name": "Somebody"}
    rules = _rules(
        {
            "terms": {"T": {"list_id": "9-9", "full_name": "Net 30"}},
            "classes": {"K": target},
            "carriers": {"v": target},
            "customers": {"c": {"list_id": "80-1"}},
            "charges": {name: {"carrier_bill": {"account": target}} for name in ("L", "F")},
        }
    )
    found = awaited_by_refusal(_bill(), rules.mapping, code, message)
    assert set(found) == set(keys)


def test_what_is_unmapped_is_counted_with_its_names() -> None:
    documents = [
        _bill(),
        _bill(carrier={"id": "v", "name": "Acme LLC"}),
        _bill(carrier={"id": "v", "name": "Acme LLC"}),
    ]
    missing = unmapped(documents, _rules({"classes": {"K": {"full_name": "x"}}}).mapping)
    assert {(one.section, one.key, one.side, one.name, one.uses) for one in missing} == {
        ("carriers", "v", None, "Acme LLC", 3),
        ("terms", "T", None, "T", 3),
        ("charges", "L", "carrier_bill", "L", 3),
        ("charges", "F", "carrier_bill", "F", 3),
        ("customers", "c", None, "C", 3),
    }


def test_the_part_of_the_mapping_that_a_document_uses(load_sample: Callable[[str], Any]) -> None:
    """Nothing else is read, and the links are the same."""
    mapping = load_sample("mapping.json")
    for name in ("invoices/customer_job", "carrier_bills/expense_and_item_lines_job"):
        document = _document(load_sample(f"{name}.json"))
        part = excerpt(mapping, document)
        assert links_of(document, _rules(part).mapping) == links_of(document, _rules(mapping).mapping)
        assert len(part["customers"]) <= 2 < len(mapping["customers"])
    assert excerpt({}, _bill())["defaults"] == {}


def test_a_default_covers_a_charge() -> None:
    mapping = _rules({"defaults": {"carrier_bill": {"account": {"full_name": "COGS"}}}}).mapping
    charges = [link for link in links_of(_bill(), mapping) if link.section == "charges"]
    assert all(link.is_default and link.target is not None for link in charges)
    assert "charges" not in {one.section for one in unmapped([_bill()], mapping)}


_KINDS = st.sampled_from(list(ListKind))


@given(
    entries=st.lists(
        st.builds(
            ListItem,
            kind=_KINDS,
            list_id=st.sampled_from(["C", "P", "I", "D", "X"]),
            full_name=st.sampled_from(["A", "B", "A:B"]),
            type=st.sampled_from(["", "Service", "SalesTax", "Group", "Income", "AccountsPayable", "Invoice"]),
            is_active=st.booleans(),
            is_gone=st.booleans(),
            parent_list_id=st.sampled_from([None, "C", "P", "X"]),
            facts=st.dictionaries(st.sampled_from(["terms", "has_address", "currency", "is_two_sided"]), st.none()),
        ),
        max_size=12,
    ),
    facts=st.builds(CompanyFacts, class_tracking=st.none() | st.booleans(), sales_tax=st.none() | st.booleans()),
)
@settings(max_examples=150, deadline=None)
def test_it_never_breaks_and_warnings_never_block(entries: list[ListItem], facts: CompanyFacts) -> None:
    """Whatever the lists hold, the answer is a mapped document or errors; an active fitting entry is never refused."""
    lists = KnownLists(entries, facts)
    checked = check_document(an_invoice(), _rules(MAPPING), lists, taken=(), external_guid=GUID)
    if isinstance(checked, Mapped):
        assert not any(issue.is_error for issue in checked.warnings)
        return
    assert any(issue.is_error for issue in checked)
    customer = lists.by_list_id(ListKind.CUSTOMER, "C")
    if customer is not None and customer.is_active and not customer.is_gone and customer.parent_list_id is None:
        assert not [issue for issue in checked if issue.path == "customer.id"]
