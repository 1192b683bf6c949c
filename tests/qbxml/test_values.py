from __future__ import annotations

import datetime
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from qbxml.invoices import InvoiceAdd, InvoiceLineAdd
from qbxml.values import (
    Address,
    Amount,
    Day,
    Guid,
    Price,
    Quantity,
    Ref,
    Ref31,
    format_amount,
    format_price,
    format_quantity,
    same_guid,
)

AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Amount)
PRICE: TypeAdapter[Decimal] = TypeAdapter(Price)
QUANTITY: TypeAdapter[Decimal] = TypeAdapter(Quantity)
DAY: TypeAdapter[datetime.date] = TypeAdapter(Day)
GUID: TypeAdapter[str] = TypeAdapter(Guid)


@given(st.decimals(min_value=-(10**13) + 1, max_value=10**13 - 1, places=2))
def test_amounts_have_two_decimals_and_come_back(value: Decimal) -> None:
    written = format_amount(value)
    assert re.fullmatch(r"-?[0-9]{1,13}\.[0-9]{2}", written)
    assert AMOUNT.validate_python(written) == value
    assert written != "-0.00"


@given(st.decimals(min_value=-(10**10) + 1, max_value=10**10 - 1, places=5))
def test_prices_and_quantities_come_back(value: Decimal) -> None:
    price, quantity = format_price(value), format_quantity(value)
    assert re.fullmatch(r"-?[0-9]{1,10}\.[0-9]{2,5}", price)
    assert re.fullmatch(r"-?[0-9]{1,10}(\.[0-9]{0,4}[1-9])?", quantity)
    assert PRICE.validate_python(price) == value
    assert QUANTITY.validate_python(quantity) == value


@pytest.mark.parametrize("value", ["1E+3", Decimal("1E3"), 1000, " 1000.00 ", "1000.000"])
def test_same_amount_however_written(value: Any) -> None:
    assert format_amount(AMOUNT.validate_python(value)) == "1000.00"


@pytest.mark.parametrize("value", [1.5, True, "1.005", "abc", "", "NaN", "Infinity", "1,5", 10**13, None])
def test_refused_amounts(value: Any) -> None:
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(value)


def test_written_forms() -> None:
    assert format_price(Decimal("103")) == "103.00"
    assert format_price(Decimal("0.12345")) == "0.12345"
    assert format_quantity(Decimal("2.50")) == "2.5"
    assert format_quantity(Decimal("100")) == "100"
    assert format_amount(Decimal("-0")) == "0.00"


def test_days() -> None:
    assert DAY.validate_python("2026-11-02") == datetime.date(2026, 11, 2)
    for bad in (datetime.datetime(2026, 11, 2, tzinfo=datetime.UTC), "2026-11-02T00:00:00", "02.11.2026", "2026-13-01"):
        with pytest.raises(ValidationError):
            DAY.validate_python(bad)


@given(st.uuids())
def test_guids(value: uuid.UUID) -> None:
    written = GUID.validate_python(str(value))
    assert re.fullmatch(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", written)
    assert GUID.validate_python(written) == written
    assert same_guid(str(value), written)


def test_unreadable_guids_are_never_the_same() -> None:
    assert not same_guid(None, None)
    assert not same_guid("0", "0")
    with pytest.raises(ValidationError):
        GUID.validate_python("0")


def test_id_goes_before_name_and_the_name_is_kept_for_people() -> None:
    ref = Ref(list_id="80000001-1", full_name="Acme")
    assert ref.to_xml() == b"<Ref><ListID>80000001-1</ListID></Ref>"
    assert ref.full_name == "Acme"
    assert Ref(full_name="Acme").to_xml(exclude_none=True) == b"<Ref><FullName>Acme</FullName></Ref>"


def test_references_and_addresses_say_something() -> None:
    with pytest.raises(ValidationError, match="ListID or a FullName"):
        Ref(full_name=" ")
    with pytest.raises(ValidationError, match="without any line"):
        Address(city="")


def test_length_of_a_name_matters_only_when_it_is_sent() -> None:
    adapter: TypeAdapter[Ref] = TypeAdapter(Ref31)
    assert adapter.validate_python(Ref(list_id="1-1", full_name="x" * 32))
    with pytest.raises(ValidationError, match="takes 31"):
        adapter.validate_python(Ref(full_name="x" * 32))


@pytest.mark.parametrize(
    "fields",
    [
        {"ref_number": "L10000123456"},
        {"po_number": "x" * 26},
        {"other": "x" * 30},
        {"memo": "x" * 4096},
        {"memo": "a\x00b"},
        {"bill_address": Address(addr1="x")} | {"unknown": 1},
        {"lines": ({"quantity": 1},)},
    ],
)
def test_invoice_refuses_what_quickbooks_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InvoiceAdd(customer_ref=Ref(full_name="Acme"), **fields)


def test_blank_text_is_left_out() -> None:
    invoice = InvoiceAdd(customer_ref=Ref(full_name="Acme"), memo="  ", po_number="")
    assert b"Memo" not in bytes(invoice.to_xml(exclude_none=True))


def test_models_are_frozen_and_survive_json() -> None:
    invoice = InvoiceAdd(
        customer_ref=Ref(list_id="1-1", full_name="Acme"), lines=(InvoiceLineAdd(desc="x", amount=Decimal("1.5")),)
    )
    with pytest.raises(ValidationError):
        invoice.memo = "other"  # type: ignore[misc]
    assert InvoiceAdd.model_validate_json(invoice.model_dump_json()) == invoice
