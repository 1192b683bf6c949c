"""What resembles a document, rule by rule: each decides about money."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from qbwc_bridge.facts import Facts
from qbwc_bridge.resemblance import Found, number_variants, ours_among, resembles, resembling
from qbwc_bridge.rulings import SentRequest
from qbxml.written import Written

GUID = "{57F3B9B6-86F1-4FCC-B1FF-966DE1813D20}"
ZEROS = "{00000000-0000-0000-0000-000000000000}"


def request(operation: str = "InvoiceAdd", **facts: Any) -> SentRequest:
    known = {
        "ref_number": "INV-1001",
        "entity_list_id": "80000001-1",
        "entity_full_name": "Cafe Rio",
        "total": "2062.50",
        "txn_date": "2026-11-20",
        "external_guid": GUID,
    }
    return SentRequest(id="REQ1", operation=operation, attempt=1, facts=Facts(**{**known, **facts}))


def row(**fields: Any) -> Found:
    same = {
        "txn_id": "1A-1",
        "number": "INV-1001",
        "day": date(2026, 11, 20),
        "total": Decimal("2062.50"),
        "party_id": "80000001-1",
        "party": "Cafe Rio",
        "guid": "",
    }
    return Found(written=Written(txn_id=str(fields.get("txn_id", "1A-1"))), **{**same, **fields})


JOB = {"party_id": "80000009-1", "party": "Cafe Rio:Dallas"}
OTHER = {"party_id": "80000002-1", "party": "Cafe Rio Two"}


@pytest.mark.parametrize(
    ("typed", "is_alike"),
    [
        ({}, True),
        ({"number": "inv-1001 ".strip()}, True),
        ({"day": date(2026, 12, 24)}, True),
        ({"total": Decimal("1.00")}, True),
        ({"total": None}, True),
        (JOB, True),
        ({**JOB, "party": "cafe rio:DALLAS", "total": Decimal("5")}, True),
        (OTHER, True),  # rule 2: our number and total, for the wrong customer
        ({**OTHER, "total": Decimal("2062.51")}, True),
        ({**OTHER, "total": Decimal("2062.52")}, False),
        ({"number": "1001"}, True),
        ({"number": "001001"}, True),
        ({"number": "001001", **JOB}, True),
        ({"number": "1001", "total": Decimal("2062.52")}, False),
        ({"number": "1001", **OTHER}, False),
        ({"number": "INV-1002"}, False),
        ({"number": ""}, False),
        ({"number": "10010"}, False),
    ],
)
def test_an_invoice_with_the_number_resembles(typed: dict[str, Any], is_alike: bool) -> None:
    assert resembles(request(), row(**typed)) is is_alike


@pytest.mark.parametrize(
    ("typed", "is_alike"),
    [
        ({}, True),
        ({"total": Decimal("7")}, True),
        (OTHER, False),  # two carriers may both have this number, and the same rate
        ({"number": "1001"}, True),
        ({"number": "1001", "total": Decimal("7")}, False),
    ],
)
def test_a_bill_of_another_vendor_never_resembles(typed: dict[str, Any], is_alike: bool) -> None:
    assert resembles(request("BillAdd"), row(**typed)) is is_alike


@pytest.mark.parametrize(
    ("typed", "is_alike"),
    [
        ({}, True),
        ({"total": Decimal("2062.49")}, True),
        (JOB, True),
        ({"day": date(2026, 11, 21)}, False),
        ({"total": Decimal("2062.00")}, False),
        (OTHER, False),
        ({"guid": "another-export"}, False),
    ],
)
def test_with_another_number_only_what_may_be_our_lost_one_resembles(typed: dict[str, Any], is_alike: bool) -> None:
    there = row(number="7", **typed)
    assert not resembling(request(), [there])
    assert bool(resembling(request(), [there], is_unknown=True)) is is_alike


def test_the_customer_of_a_job_resembles_the_job() -> None:
    job = request(entity_list_id="80000009-1", entity_full_name="Cafe Rio:Dallas")
    assert resembles(job, row(total=Decimal("5")))
    assert not resembles(job, row(party="Cafe", party_id="80000003-1", total=Decimal("5")))


def test_an_unknown_party_is_any() -> None:
    nobody = request(entity_list_id=None, entity_full_name=None)
    assert resembles(nobody, row(**OTHER, total=Decimal("5")))


def test_what_belongs_to_others_is_none_and_each_is_named_once() -> None:
    rows = [row(), row(), row(txn_id="2B-1"), row(txn_id="3C-1")]
    assert [one.txn_id for one in resembling(request(), rows, others={"2B-1"})] == ["1A-1", "3C-1"]


def test_ours_is_known_by_any_guid_of_its_exports_the_newest_first() -> None:
    first = "{00000000-86F1-4FCC-B1FF-966DE1813D21}"
    ours = SentRequest(id="R", operation="InvoiceAdd", attempt=1, facts=request().facts, earlier_guids=(first,))
    old, new = row(txn_id="old", guid=first.strip("{}").lower()), row(txn_id="new", guid=GUID.strip("{}").lower())
    assert ours_among(ours, [old, new]) == new
    assert ours_among(ours, [row(), old]) == old
    assert ours_among(ours, [row()]) is None


@pytest.mark.parametrize(
    ("number", "variants"),
    [
        ("INV-0042", ("INV-0042", "0042", "42")),
        ("1001", ("1001",)),
        ("0", ("0",)),
        ("ABC", ("ABC",)),
        ("", ("",)),
        ("A-1-2", ("A-1-2", "1-2")),
    ],
)
def test_a_number_is_typed_without_prefix_and_zeros(number: str, variants: tuple[str, ...]) -> None:
    assert number_variants(number) == variants
