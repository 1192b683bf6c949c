"""Targets against QuickBooks' lists: found, named as today, and fit for their place, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapping.fits import fits
from mapping.issues import Owner, Severity
from mapping.known_lists import NOTHING_KNOWN, KnownLists
from mapping.lists import CompanyFacts, ListItem, ListKind
from mapping.roles import Role
from mapping.rules import CompanyMapping, parse_mapping
from mapping.targets import mapping_issues, resolve_mapping, spots
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from tests.support.company_files import entries_of, facts_of, lists_of


def clock() -> datetime:
    return datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def company() -> CompanyFile:
    return freight_company(clock=clock)


def a_mapping(data: dict[str, Any]) -> CompanyMapping:
    parsed = parse_mapping(data)
    assert isinstance(parsed, CompanyMapping), parsed
    return parsed


def test_the_sample_gets_a_list_id_everywhere(load_sample: Callable[[str], Any], company: CompanyFile) -> None:
    """By name or by id, each target is stored with both, as QuickBooks writes them; doing it again changes nothing."""
    resolved = resolve_mapping(a_mapping(load_sample("mapping.json")), lists_of(company))
    assert isinstance(resolved, CompanyMapping), resolved
    found = list(spots(resolved))
    assert len(found) == len(list(spots(a_mapping(load_sample("mapping.json"))))) > 30
    for spot in found:
        assert spot.target.list_id is not None
        assert company.full_name(spot.target.list_id) == spot.target.full_name
    assert resolve_mapping(resolved, lists_of(company)) == resolved


def test_before_the_first_sync_names_are_kept(load_sample: Callable[[str], Any]) -> None:
    mapping = a_mapping(load_sample("mapping.json"))
    assert resolve_mapping(mapping, NOTHING_KNOWN) == mapping


def test_a_list_that_did_not_come_over_is_not_checked(company: CompanyFile) -> None:
    lists = KnownLists([entry for entry in entries_of(company) if entry.kind is ListKind.VENDOR])
    mapping = a_mapping(
        {"customers": {"c": {"full_name": "Nobody"}}, "carriers": {"v": {"full_name": "acme CARRIER llc"}}}
    )
    resolved = resolve_mapping(mapping, lists)
    assert isinstance(resolved, CompanyMapping)
    assert resolved.customers == mapping.customers
    assert resolved.carriers["v"].full_name == "Acme Carrier LLC"


def test_a_renamed_entry_gets_its_new_name(company: CompanyFile) -> None:
    customer = company.state.customers[0]
    company.rename(customer.list_id, "Cafe Rio Group")
    given = {"customers": {"c": {"list_id": customer.list_id, "full_name": "Cafe Rio Foods"}}}
    resolved = resolve_mapping(a_mapping(given), lists_of(company))
    assert isinstance(resolved, CompanyMapping)
    assert resolved.customers["c"].full_name == "Cafe Rio Group"


def _name(name: str) -> dict[str, Any]:
    return {"full_name": name}


def _bill(name: str, to: str = "item") -> dict[str, Any]:
    return {"charges": {"X": {"carrier_bill": {to: _name(name)}}}}


def _invoice(name: str) -> dict[str, Any]:
    return {"charges": {"X": {"invoice": {"item": _name(name)}}}}


def _default(kind: str, **targets: str) -> dict[str, Any]:
    return {"defaults": {kind: {name.rstrip("_"): _name(target) for name, target in targets.items()}}}


UNFIT: list[tuple[str, str, dict[str, Any]]] = [
    ("target_unknown", "customers.c", {"customers": {"c": _name("Nobody")}}),
    ("target_unknown", "customers.c", {"customers": {"c": {"list_id": "80000999-1"}}}),
    ("target_wrong_list", "carriers.v", {"carriers": {"v": _name("Cafe Rio Foods")}}),
    ("target_wrong_list", "customers.c", {"customers": {"c": _name("Acme Carrier LLC")}}),
    ("target_wrong_list", "charges.X.carrier_bill.item", _bill("Purchased Transportation")),
    ("target_wrong_list", "charges.X.carrier_bill.account", _bill("Carrier Linehaul", "account")),
    ("target_inactive", "customers.c", {"customers": {"c": _name("Closed Door Furniture")}}),
    ("target_inactive", "carriers.v", {"carriers": {"v": _name("Gone Trucking Inc")}}),
    ("target_inactive", "terms.t", {"terms": {"t": _name("Net 90")}}),
    ("target_inactive", "classes.k", {"classes": {"k": _name("Intermodal")}}),
    ("target_inactive", "charges.X.invoice.item", _invoice("Reefer Fuel")),
    ("item_type_unfit", "charges.X.invoice.item", _invoice("Out of State")),
    ("item_type_unfit", "charges.X.carrier_bill.item", _bill("Out of State")),
    ("item_type_unfit", "charges.X.carrier_bill.item", _bill("Discount")),
    ("item_income_only", "charges.X.carrier_bill.item", _bill("Linehaul")),
    ("account_type_unfit", "charges.X.carrier_bill.account", _bill("Accounts Receivable", "account")),
    ("account_type_unfit", "defaults.carrier_bill.account", _default("carrier_bill", account="Accounts Payable")),
    ("account_type_unfit", "defaults.invoice.ar_account", _default("invoice", ar_account="Freight Income")),
    ("account_type_unfit", "defaults.carrier_bill.ap_account", _default("carrier_bill", ap_account="Checking")),
    ("template_type_unfit", "defaults.invoice.template", _default("invoice", template="Custom Estimate")),
    ("target_unknown", "defaults.invoice.tax_code", _default("invoice", tax_code="Xyz")),
]


@pytest.mark.parametrize(("code", "path", "data"), UNFIT)
def test_what_does_not_fit_is_refused(company: CompanyFile, code: str, path: str, data: dict[str, Any]) -> None:
    issues = resolve_mapping(a_mapping(data), lists_of(company))
    assert isinstance(issues, list)
    (found,) = [issue for issue in issues if issue.code == code]
    assert found.path == path
    assert found.message[0].isupper() and found.message.endswith(".")
    assert found.next_step.endswith(".")
    assert found.severity is Severity.ERROR


def test_every_reason_comes_at_once(company: CompanyFile) -> None:
    data = {"customers": {"a": _name("Nobody"), "b": _name("Closed Door Furniture")}, "terms": {"t": _name("Net 30")}}
    issues = resolve_mapping(a_mapping(data), lists_of(company))
    assert isinstance(issues, list)
    assert [(issue.code, issue.path) for issue in issues] == [
        ("target_unknown", "customers.a"),
        ("target_inactive", "customers.b"),
    ]


def test_an_entry_that_vanished_is_refused(company: CompanyFile) -> None:
    entries = [
        ListItem(kind=ListKind.CUSTOMER, list_id="1", full_name="Merged Away", is_gone=True),
        *entries_of(company),
    ]
    (issue,) = mapping_issues(a_mapping({"customers": {"c": {"list_id": "1"}}}), KnownLists(entries))
    assert issue.code == "target_gone"
    assert "Merged Away" in issue.message


def test_two_of_one_name_are_not_guessed_between() -> None:
    twins = [ListItem(kind=ListKind.TERMS, list_id=name, full_name="Net 30") for name in ("1", "2")]
    (issue,) = mapping_issues(a_mapping({"terms": {"t": _name("net 30")}}), KnownLists(twins))
    assert (issue.code, issue.owner) == ("target_not_unique", Owner.TMS_USER)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_an_inactive_parent_is_found_at_any_depth(depth: int) -> None:
    chain = [ListItem(kind=ListKind.CUSTOMER, list_id="0", full_name="Top", is_active=False)]
    for level in range(1, depth + 1):
        chain.append(
            ListItem(
                kind=ListKind.CUSTOMER, list_id=str(level), full_name=f"Job {level}", parent_list_id=str(level - 1)
            )
        )
    (issue,) = mapping_issues(a_mapping({"customers": {"c": {"list_id": str(depth)}}}), KnownLists(chain))
    assert issue.code == "parent_inactive"
    assert "Top" in issue.message


def test_parents_in_a_circle_come_to_an_end() -> None:
    ring = [
        ListItem(kind=ListKind.CLASS, list_id="1", full_name="A", parent_list_id="2"),
        ListItem(kind=ListKind.CLASS, list_id="2", full_name="B", parent_list_id="1"),
    ]
    assert mapping_issues(a_mapping({"classes": {"k": {"list_id": "1"}}}), KnownLists(ring)) == []


def test_class_tracking_off(company: CompanyFile) -> None:
    company.preferences.class_tracking = False
    issues = mapping_issues(a_mapping({"classes": {"k": _name("Brokerage")}}), lists_of(company))
    assert [(issue.code, issue.is_error) for issue in issues] == [("class_tracking_off", False)]


def test_a_customer_in_another_currency_needs_multi_currency() -> None:
    entry = ListItem(kind=ListKind.CUSTOMER, list_id="1", full_name="Maple", facts={"currency": "Canadian Dollar"})
    mapping = a_mapping({"customers": {"c": {"list_id": "1"}}})
    off = CompanyFacts(multi_currency=False, home_currency="US Dollar")
    assert [issue.code for issue in mapping_issues(mapping, KnownLists([entry], off))] == ["currency_unfit"]
    on = CompanyFacts(multi_currency=True, home_currency="US Dollar")
    assert mapping_issues(mapping, KnownLists([entry], on)) == []


def test_warnings_do_not_refuse(company: CompanyFile) -> None:
    data = {"charges": {"X": {"carrier_bill": {"account": _name("Checking")}}}}
    mapping = a_mapping(data)
    assert [(issue.code, issue.severity) for issue in mapping_issues(mapping, lists_of(company))] == [
        ("account_type_unusual", Severity.WARNING)
    ]
    assert isinstance(resolve_mapping(mapping, lists_of(company)), CompanyMapping)


ITEM_TYPES = {
    "Service": (True, True),
    "NonInventory": (True, True),
    "OtherCharge": (True, True),
    "Inventory": (True, True),
    "InventoryAssembly": (True, True),
    "FixedAsset": (True, True),
    "Discount": (True, False),
    "Subtotal": (False, False),
    "Payment": (False, False),
    "SalesTax": (False, False),
    "SalesTaxGroup": (False, False),
    "Group": (False, False),
}


@pytest.mark.parametrize("item_type", ITEM_TYPES)
def test_which_item_types_stand_on_which_lines(item_type: str) -> None:
    entry = ListItem(kind=ListKind.ITEM, list_id="1", full_name="X", type=item_type)
    lists = KnownLists([entry])
    assert (fits(entry, Role.INVOICE_ITEM, lists), fits(entry, Role.BILL_ITEM, lists)) == ITEM_TYPES[item_type]


_COMPANY = freight_company(clock=clock)
_ENTRIES = entries_of(_COMPANY)
_SECTIONS = {
    "customers": ListKind.CUSTOMER,
    "carriers": ListKind.VENDOR,
    "terms": ListKind.TERMS,
    "classes": ListKind.CLASS,
}


@st.composite
def _targets(draw: st.DrawFn) -> dict[str, Any]:
    section = draw(st.sampled_from(sorted(_SECTIONS)))
    entry = draw(st.sampled_from(_ENTRIES))
    by_id = {"list_id": entry.list_id}
    by_name = {"full_name": draw(st.sampled_from([entry.full_name, entry.full_name.upper(), "Nothing Of This Name"]))}
    target = draw(st.sampled_from([by_id, by_name, by_id | {"full_name": "Old Name"}]))
    return {section: {"key": target}}


@given(data=_targets(), inactive=st.sets(st.sampled_from([entry.list_id for entry in _ENTRIES])))
@settings(max_examples=150, deadline=None)
def test_a_resolved_mapping_is_whole_or_every_target_is_accounted_for(data: dict[str, Any], inactive: set[str]) -> None:
    """Either each target is an active entry of the right list with today's name, or an issue stands at its path."""
    entries = [
        ListItem(
            kind=entry.kind,
            list_id=entry.list_id,
            full_name=entry.full_name,
            type=entry.type,
            is_active=entry.list_id not in inactive,
            parent_list_id=entry.parent_list_id,
            facts=entry.facts,
        )
        for entry in _ENTRIES
    ]
    parsed = parse_mapping(data)
    if isinstance(parsed, list):
        return  # a name too long for its list
    lists = KnownLists(entries, facts_of(_COMPANY))
    resolved = resolve_mapping(parsed, lists)
    ((section, _),) = data.items()
    if isinstance(resolved, list):
        assert {issue.path for issue in resolved} == {f"{section}.key"}
        return
    target = getattr(resolved, section)["key"]
    found = lists.by_list_id(_SECTIONS[section], target.list_id)
    assert found is not None and found.is_active and found.full_name == target.full_name
