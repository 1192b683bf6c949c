"""The documents that TMS.ai hands over: invoices and carrier bills, checked field by field.

Importable by workflows: nothing but pydantic.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from mapping.issues import Issue, Owner
from mapping.parsing import issues_of

MAX_LINES = 1000
MAX_TEXT = 4000
MAX_CODE = 100

_DECIMAL = re.compile(r"[+-]?[0-9]{1,10}(?:\.[0-9]{1,10})?")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CENT = Decimal("0.01")
# QuickBooks Desktop knows no date before its own calendar begins.
_FIRST_DATE = date(1901, 1, 1)


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        value = format(value, "f")
    if isinstance(value, float):
        raise ValueError(
            'it is a binary number, which cannot hold cents exactly; write a decimal string such as "212.50"'
        )
    # bool is an int to Python, never a quantity to a person.
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError('it is not a decimal string such as "212.50", with at most 10 digits before the point')
    return Decimal(value)


def _money(value: object) -> Decimal:
    number = _decimal(value)
    cents = number.quantize(_CENT)
    if cents != number:
        raise ValueError("an amount has at most two decimals")
    # A minus before nothing would be another text for the same amount.
    return abs(cents) if cents == 0 else cents


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        found = value
    elif isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            found = date.fromisoformat(value)
        except ValueError:
            raise ValueError("it is not a day of the calendar") from None
    else:
        raise ValueError("it is not a date written as YYYY-MM-DD")
    if found < _FIRST_DATE:
        raise ValueError("QuickBooks knows no date before 1901")
    return found


def _blank_is_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


_DECIMAL_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": r"^[+-]?\d{1,10}(\.\d{1,10})?$", "examples": ["1850.00"]}
)
Money = Annotated[Decimal, BeforeValidator(_money), _DECIMAL_SCHEMA]
Number = Annotated[Decimal, BeforeValidator(_decimal), _DECIMAL_SCHEMA]
Day = Annotated[date, BeforeValidator(_date)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^\.*[A-Za-z0-9_\-][A-Za-z0-9_.\-]*$")]
"""Not dots alone: clients take `..` in an address for a step up, so nobody could ask for it."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CODE)]
OptionalText = Annotated[Text | None, BeforeValidator(_blank_is_absent)]
OptionalCode = Annotated[Code | None, BeforeValidator(_blank_is_absent)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


class Party(_Model):
    """A customer or a carrier, by the id it has in the TMS."""

    id: Id = Field(description="Id in the TMS; the company's mapping links it to QuickBooks.")
    name: Text = Field(description="Name as people in the TMS know it; shown in messages, never sent as a reference.")


class Address(_Model):
    """A postal address as it shall stand on the transaction."""

    name: OptionalText = Field(default=None, description="First line of the address block.")
    street: tuple[Text, ...] = Field(default=(), max_length=10, description="Street lines, in order.")
    city: OptionalText = Field(default=None, description="City.")
    state: OptionalText = Field(default=None, description="State or province.")
    postal_code: OptionalText = Field(default=None, description="ZIP or postal code.")
    country: OptionalText = Field(default=None, description="Country.")


class References(_Model):
    """The numbers by which people in freight find a shipment."""

    load: OptionalCode = Field(default=None, description="Load number.")
    pro: OptionalCode = Field(default=None, description="PRO number.")
    bol: OptionalCode = Field(default=None, description="Bill of lading number.")
    customer_po: OptionalCode = Field(default=None, description="The customer's purchase order.")


class _Line(_Model):
    id: Id | None = Field(default=None, description="Id of the line in the TMS.")
    charge: Code = Field(description="Charge code of the TMS; the company's mapping gives its item or account.")
    description: OptionalText = Field(default=None, description="Text of the line.")
    quantity: Number | None = Field(default=None, description="Quantity, as a decimal string.")
    rate: Number | None = Field(default=None, description="Price of one, as a decimal string.")
    amount: Money = Field(description="Amount of the line, as a decimal string with at most two decimals.")
    service_date: Day | None = Field(default=None, description="Day of the service.")


class InvoiceLine(_Line):
    """One charge of an invoice."""


class BillLine(_Line):
    """One charge of a carrier bill."""

    customer: Party | None = Field(default=None, description="Customer or job that bears the cost.")
    billable: StrictBool = Field(default=False, description="Whether QuickBooks shall offer the cost for billing.")


class _Document(_Model):
    id: Id = Field(description="Id of the document in the TMS.")
    number: Code = Field(description="Number of the document.")
    date: Day = Field(description="Posting date.")
    due_date: Day | None = Field(default=None, description="Due date.")
    terms: OptionalCode = Field(default=None, description="Payment terms; the company's mapping links them.")
    currency: OptionalCode = Field(default=None, description="ISO 4217 code; the company's home currency when absent.")
    references: References = Field(default=References(), description="Numbers of the shipment.")
    class_name: OptionalCode = Field(default=None, alias="class", description="Class; the company's mapping links it.")
    memo: OptionalText = Field(default=None, description="Free text for the bookkeeper.")
    total: Money = Field(description="Sum of the line amounts.")


class Invoice(_Document):
    """What a customer owes."""

    kind: Literal["invoice"] = Field(description="Always `invoice`.")
    customer: Party = Field(description="Bill-to customer.")
    bill_to: Address | None = Field(default=None, description="Address on the invoice; the customer's own when absent.")
    lines: tuple[InvoiceLine, ...] = Field(min_length=1, max_length=MAX_LINES, description="Charges.")


class CarrierBill(_Document):
    """What a carrier is owed; `number` is the carrier's own invoice number."""

    kind: Literal["carrier_bill"] = Field(description="Always `carrier_bill`.")
    carrier: Party = Field(description="Carrier.")
    remit_to: Address | None = Field(default=None, description="Where the payment goes, for factored carriers.")
    lines: tuple[BillLine, ...] = Field(min_length=1, max_length=MAX_LINES, description="Charges.")


Document = Annotated[Invoice | CarrierBill, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Invoice | CarrierBill] = TypeAdapter(Document)


def parse_document(data: Mapping[str, Any]) -> Invoice | CarrierBill | list[Issue]:
    """Read a posted document, or give every reason why it cannot be read."""
    try:
        return _ADAPTER.validate_python(dict(data))
    except ValidationError as error:
        # Behind the discriminator each location starts with the kind, which is no field of the sender's.
        return issues_of(error, what="document", owner=Owner.TMS_USER, skip=1)


def party_of(document: Invoice | CarrierBill) -> str:
    """Give whose numbers a document's number must differ from: two carriers may both have a bill 1001."""
    return document.carrier.id if isinstance(document, CarrierBill) else ""


def content_hash(document: Invoice | CarrierBill) -> str:
    """Hash what the document says: equal for `"1"` and `"1.00"`, for absent and null."""
    canonical = _canonical(document.model_dump(exclude_none=True))
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    match value:
        case Decimal():
            return "0" if value == 0 else format(value.normalize(), "f")
        case date():
            return value.isoformat()
        case dict():
            return {key: _canonical(item) for key, item in value.items()}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case _:
            return value
