"""What may be posted, and how the sender is told what may not."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from mapping.documents import CarrierBill, Invoice, content_hash, parse_document


def _only(data):
    issues = parse_document(data)
    assert isinstance(issues, list) and len(issues) == 1, issues
    assert issues[0].message.endswith(".") and issues[0].next_step.endswith(".")
    return issues[0]


def test_an_invoice_is_read(invoice):
    document = parse_document(invoice)
    assert isinstance(document, Invoice)
    assert document.date == date(2026, 11, 20)
    assert document.class_name == "Brokerage"
    assert document.lines[1].amount == Decimal("212.50")


def test_a_bill_is_read(bill):
    assert isinstance(parse_document(bill), CarrierBill)


def test_a_document_survives_json(invoice):
    document = parse_document(invoice)
    again = json.loads(document.model_dump_json())
    assert again["class"] == "Brokerage"
    assert again["lines"][0]["rate"] == "1850.00"
    assert parse_document(again) == document


def test_blank_and_null_are_absent(invoice):
    blank = {**invoice, "memo": "  ", "class": "", "terms": None, "bill_to": None, "due_date": None}
    for field in ("memo", "class", "terms", "bill_to", "due_date"):
        del invoice[field]
    assert parse_document(blank) == parse_document(invoice)


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"kind": "quote"}, "kind_unknown", "kind"),
        ({"kind": None}, "kind_unknown", "kind"),
        ({"id": "a/b"}, "field_invalid", "id"),
        ({"id": "x" * 65}, "text_too_long", "id"),
        ({"id": ""}, "field_invalid", "id"),
        ({"number": "9" * 101}, "text_too_long", "number"),
        ({"date": "20.11.2026"}, "field_invalid", "date"),
        ({"date": "2026-02-30"}, "field_invalid", "date"),
        ({"date": "1899-12-31"}, "field_invalid", "date"),
        ({"date": 1763596800}, "field_invalid", "date"),
        ({"date": "2026-11-20T00:00:00"}, "field_invalid", "date"),
        ({"memo": "m" * 4001}, "text_too_long", "memo"),
        ({"total": 2062.5}, "field_invalid", "total"),
        ({"total": "2062.505"}, "field_invalid", "total"),
        ({"total": "2,062.50"}, "field_invalid", "total"),
        ({"total": "NaN"}, "field_invalid", "total"),
        ({"total": "1e3"}, "field_invalid", "total"),
        ({"total": True}, "field_invalid", "total"),
        ({"total": "12345678901.00"}, "field_invalid", "total"),
        ({"surprise": 1}, "field_unknown", "surprise"),
        ({"class_name": "Brokerage"}, "field_unknown", "class_name"),
        ({"lines": []}, "list_empty", "lines"),
        ({"lines": [{"charge": "FUEL", "amount": "0"}] * 1001}, "list_too_long", "lines"),
        ({"lines": [{"charge": "FUEL"}]}, "field_missing", "lines[0].amount"),
        ({"lines": [{"charge": "FUEL", "amount": "1", "billable": True}]}, "field_unknown", "lines[0].billable"),
        ({"customer": {"id": "c"}}, "field_missing", "customer.name"),
        ({"memo": "\ud800"}, "field_invalid", "memo"),
    ],
)
def test_refused(invoice, change, code, path):
    issue = _only({**invoice, **change})
    assert (issue.code, issue.path) == (code, path)


def test_every_fault_at_once(bill):
    bill["lines"][0]["amount"] = 1.5
    bill["lines"][1]["amount"] = "x"
    del bill["number"]
    issues = parse_document(bill)
    assert [issue.path for issue in issues] == ["number", "lines[0].amount", "lines[1].amount"]
    assert "decimal string" in issues[1].message


def test_the_hash_knows_what_is_the_same(invoice):
    same = json.loads(json.dumps(invoice))
    same["lines"][0]["quantity"] = "1.000"
    same["total"] = "2062.5"
    same["lines"][1]["service_date"] = None
    other = {**invoice, "memo": "Dallas TX - Elko NV"}
    assert content_hash(parse_document(same)) == content_hash(parse_document(invoice))
    assert content_hash(parse_document(other)) != content_hash(parse_document(invoice))


def test_the_hash_never_changes(invoice):
    assert content_hash(parse_document(invoice)) == "859d3e96c43193f38f5d3d9128a4a0089cd5244af6d744878054b7460aececee"
