"""Each reason why a document is refused, and that all of them are told together."""

from __future__ import annotations

import pytest

from mapping.issues import Owner
from mapping.result import Mapped
from mapping.rules import CompanyRules, RefNumberRule


def _invoice_cases():
    yield "charge_not_mapped", "lines[1].charge", lambda d: d["lines"][1].update(charge="HAZMAT")
    yield "customer_not_linked", "customer.id", lambda d: d["customer"].update(id="cus_999")
    yield "terms_not_mapped", "terms", lambda d: d.update(terms="Net 60")
    yield "class_not_mapped", "class", lambda d: d.update({"class": "Air"})
    yield "total_mismatch", "total", lambda d: d.update(total="2062.51")
    yield "name_too_long", "customer.name", lambda d: d["customer"].update(name="N" * 121)
    yield "unknown_currency", "currency", lambda d: d.update(currency="USX")
    yield "currency_mismatch", "currency", lambda d: d.update(currency="CAD")
    yield "due_before_date", "due_date", lambda d: d.update(due_date="2026-11-19")
    yield "amount_mismatch", "lines[0].amount", lambda d: d["lines"][0].update(rate="1850.02")
    yield (
        "negative_total",
        "total",
        lambda d: d.update(total="-5.00", lines=[{"charge": "LINEHAUL", "amount": "-5.00"}]),
    )


def _bill_cases():
    yield "charge_not_mapped", "lines[0].charge", lambda d: d["lines"][0].update(charge="DISCOUNT")
    yield "carrier_not_linked", "carrier.id", lambda d: d["carrier"].update(id="car_99")
    yield (
        "customer_not_linked",
        "lines[0].customer.id",
        lambda d: d["lines"][0].update(customer={"id": "x", "name": "X"}),
    )
    yield "billable_without_customer", "lines[0].billable", lambda d: d["lines"][0].update(billable=True)
    yield "name_too_long", "carrier.name", lambda d: d["carrier"].update(name="N" * 121)
    yield (
        "name_too_long",
        "lines[0].customer.name",
        lambda d: d["lines"][0].update(customer={"id": "cus_88", "name": "N" * 121}),
    )
    yield "total_mismatch", "total", lambda d: d.update(total="1.00")
    yield "due_before_date", "due_date", lambda d: d.update(due_date="2026-11-20")
    yield (
        "negative_total",
        "total",
        lambda d: d.update(total="-5.00", lines=[{"charge": "LINEHAUL", "amount": "-5.00"}]),
    )


def _assert_only(issues, code, path):
    assert [(issue.code, issue.path) for issue in issues] == [(code, path)]
    for sentence in (issues[0].message, issues[0].next_step):
        assert sentence.endswith(".") and sentence[0].isupper()


@pytest.mark.parametrize(("code", "path", "spoil"), [*_invoice_cases()])
def test_invoice_issue(run, invoice, code, path, spoil):
    spoil(invoice)
    _assert_only(run(invoice), code, path)


@pytest.mark.parametrize(("code", "path", "spoil"), [*_bill_cases()])
def test_bill_issue(run, bill, code, path, spoil):
    spoil(bill)
    _assert_only(run(bill), code, path)


def test_every_issue_at_once(run, invoice):
    for _, _, spoil in _invoice_cases():
        spoil(invoice)
    invoice["lines"] = [
        {"charge": "A", "quantity": "2", "rate": "3", "amount": "7.00"},
        {"charge": "B", "amount": "-9.00"},
    ]
    assert {issue.code for issue in run(invoice)} == {
        "charge_not_mapped",
        "customer_not_linked",
        "terms_not_mapped",
        "class_not_mapped",
        "total_mismatch",
        "name_too_long",
        "currency_mismatch",
        "due_before_date",
        "amount_mismatch",
        "negative_total",
    }


def test_the_next_step_names_the_screen(run, invoice):
    invoice["lines"][1]["charge"] = "HAZMAT"
    (issue,) = run(invoice)
    assert issue.next_step == "Open Mapping > Charges and choose an External Item for HAZMAT."
    assert issue.owner is Owner.TMS_USER


def test_a_charge_is_reported_on_each_of_its_lines(run, bill):
    for line in bill["lines"]:
        line["charge"] = "HAZMAT"
    assert [issue.path for issue in run(bill)] == ["lines[0].charge", "lines[1].charge"]


def test_another_currency_with_multi_currency(run, rules, invoice):
    invoice["currency"] = "cad"
    assert isinstance(run(invoice, rules=rules.model_copy(update={"multi_currency": True})), Mapped)


def test_a_rule_can_refuse_long_numbers(run, rules, invoice):
    strict = rules.model_copy(update={"ref_number_rule": RefNumberRule.REFUSE})
    _assert_only(run(invoice, rules=strict), "number_too_long", "number")


def test_numbers_can_run_out(run, invoice):
    _assert_only(run(invoice, taken=lambda _: True), "number_not_free", "number")


def test_without_a_mapping_everything_is_named(run, invoice):
    codes = [issue.code for issue in run(invoice, rules=CompanyRules())]
    assert codes == [
        "customer_not_linked",
        "terms_not_mapped",
        "class_not_mapped",
        "charge_not_mapped",
        "charge_not_mapped",
    ]
