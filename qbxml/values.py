"""The value types of qbXML (qbxml.md 5.2) and the two aggregates that nearly every message uses."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, model_validator
from pydantic_xml import element, xml_field_serializer
from pydantic_xml.element.element import XmlElementWriter

from qbxml.base import ReadModel, RequestModel

_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def _decimal(value: Any, *, integer_digits: int, decimals: int, kind: str) -> Decimal:
    if isinstance(value, (float, bool)):
        # 0.1 + 0.2 as binary floating point is what produces codes 3040 and 3045 in the field.
        raise ValueError(f"{kind}: give a Decimal, an integer or text, not {type(value).__name__}")
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise ValueError(f"{kind}: {value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{kind}: {value!r} is not a finite number")
    if number == 0:
        return Decimal(0)  # drops a minus sign and any exponent
    if number.adjusted() >= integer_digits:
        raise ValueError(f"{kind}: {value!r} has more than {integer_digits} digits before the point")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        raise ValueError(f"{kind}: {value!r} has more than {decimals} decimals")
    return number


def _amount(value: Any) -> Decimal:
    return _decimal(value, integer_digits=13, decimals=2, kind="amount")


def _price(value: Any) -> Decimal:
    return _decimal(value, integer_digits=10, decimals=5, kind="price")


def _quantity(value: Any) -> Decimal:
    return _decimal(value, integer_digits=10, decimals=5, kind="quantity")


def format_amount(value: Decimal) -> str:
    """Exactly two decimals: `212.5` is refused by QuickBooks with code 3040 (qbxml.md 5.2)."""
    return f"{_amount(value):.2f}"


def format_price(value: Decimal) -> str:
    """Two to five decimals."""
    whole, _, fraction = f"{_price(value):.5f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def format_quantity(value: Decimal) -> str:
    """At most five decimals, none when they are zero, the way QuickBooks answers (qbxml.md 5.2)."""
    return f"{_quantity(value):.5f}".rstrip("0").removesuffix(".")


#: Money. More than two decimals are refused, never rounded: rounding is a decision of the mapping.
Amount = Annotated[Decimal, BeforeValidator(_amount), PlainSerializer(format_amount, return_type=str, when_used="json")]
#: A unit price or rate.
Price = Annotated[Decimal, BeforeValidator(_price), PlainSerializer(format_price, return_type=str, when_used="json")]
#: A quantity.
Quantity = Annotated[
    Decimal, BeforeValidator(_quantity), PlainSerializer(format_quantity, return_type=str, when_used="json")
]


def _date(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        # The day of a moment depends on a time zone that only the caller knows.
        raise ValueError("give a date, not a date with time")
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
        raise ValueError(f"{value!r} is not a date like 2026-11-02")
    return value.strip() if isinstance(value, str) else value


#: A day without zone, written YYYY-MM-DD.
Day = Annotated[datetime.date, BeforeValidator(_date)]


def normalise_guid(value: str | uuid.UUID) -> str:
    """`{8-4-4-4-12}` in upper case, from a UUID or from text with or without braces (qbxml.md 5.2, code 3065)."""
    match = _GUID.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a GUID")
    return "{" + match[1].upper() + "}"


def same_guid(left: str | None, right: str | None) -> bool:
    """Whether both are the same GUID, whatever the case and braces; unreadable or missing is never the same."""
    try:
        return left is not None and right is not None and normalise_guid(left) == normalise_guid(right)
    except ValueError:
        return False


Guid = Annotated[str, BeforeValidator(normalise_guid)]


def _checked_text(max_length: int | None) -> Callable[[str], str]:
    def check(value: str) -> str:
        if found := _FORBIDDEN.search(value):
            raise ValueError(f"the character U+{ord(found[0]):04X} cannot be sent to QuickBooks")
        if max_length is not None and len(value) > max_length:
            raise ValueError(f"{value!r} has {len(value)} characters; QuickBooks takes {max_length}")
        return value

    return check


# Lengths count characters after unescaping (qbxml.md 5.5). The names follow the notation of the element lists.
Str = Annotated[str, AfterValidator(_checked_text(None))]
Str3 = Annotated[str, AfterValidator(_checked_text(3))]
Str5 = Annotated[str, AfterValidator(_checked_text(5))]
Str11 = Annotated[str, AfterValidator(_checked_text(11))]
Str13 = Annotated[str, AfterValidator(_checked_text(13))]
Str20 = Annotated[str, AfterValidator(_checked_text(20))]
Str21 = Annotated[str, AfterValidator(_checked_text(21))]
Str25 = Annotated[str, AfterValidator(_checked_text(25))]
Str29 = Annotated[str, AfterValidator(_checked_text(29))]
Str31 = Annotated[str, AfterValidator(_checked_text(31))]
Str36 = Annotated[str, AfterValidator(_checked_text(36))]
Str41 = Annotated[str, AfterValidator(_checked_text(41))]
Str50 = Annotated[str, AfterValidator(_checked_text(50))]
Str209 = Annotated[str, AfterValidator(_checked_text(209))]
Str4095 = Annotated[str, AfterValidator(_checked_text(4095))]


class RefRet(ReadModel):
    """A reference in an answer; either part may be missing."""

    list_id: str | None = element(tag="ListID", default=None)
    full_name: str | None = element(tag="FullName", default=None)


class Ref(RequestModel):
    """A reference to a list entry. With both parts known only ListID is sent: it survives a rename (qbxml.md 3)."""

    list_id: Str36 | None = element(tag="ListID", default=None)
    full_name: Str209 | None = element(tag="FullName", default=None)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.list_id is None and self.full_name is None:
            raise ValueError("a reference needs a ListID or a FullName")
        return self

    @xml_field_serializer("full_name")
    def _full_name_only_without_id(self, writer: XmlElementWriter, value: str | None, field_name: str) -> None:
        if self.list_id is None and value is not None:
            child = writer.make_element(tag="FullName", nsmap=None)
            child.set_text(value)
            writer.append_element(child)


def _ref_with_name_of(max_length: int) -> AfterValidator:
    def check(value: Ref) -> Ref:
        # With a ListID the name is not sent, so its length does not matter.
        if value.list_id is None and value.full_name is not None and len(value.full_name) > max_length:
            raise ValueError(
                f"{value.full_name!r} has {len(value.full_name)} characters; QuickBooks takes {max_length}"
            )
        return value

    return AfterValidator(check)


Ref3 = Annotated[Ref, _ref_with_name_of(3)]
Ref5 = Annotated[Ref, _ref_with_name_of(5)]
Ref15 = Annotated[Ref, _ref_with_name_of(15)]
Ref31 = Annotated[Ref, _ref_with_name_of(31)]
Ref41 = Annotated[Ref, _ref_with_name_of(41)]
Ref101 = Annotated[Ref, _ref_with_name_of(101)]
Ref159 = Annotated[Ref, _ref_with_name_of(159)]


class Address(RequestModel):
    """An address as it is sent: at most ten lines, of which five print (qbxml.md 5.6)."""

    addr1: Str41 | None = element(tag="Addr1", default=None)
    addr2: Str41 | None = element(tag="Addr2", default=None)
    addr3: Str41 | None = element(tag="Addr3", default=None)
    addr4: Str41 | None = element(tag="Addr4", default=None)
    addr5: Str41 | None = element(tag="Addr5", default=None)
    city: Str31 | None = element(tag="City", default=None)
    state: Str21 | None = element(tag="State", default=None)
    postal_code: Str13 | None = element(tag="PostalCode", default=None)
    country: Str31 | None = element(tag="Country", default=None)
    note: Str41 | None = element(tag="Note", default=None)

    @model_validator(mode="after")
    def _has_a_line(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("an address without any line; leave the address out instead")
        return self


class AddressRet(ReadModel):
    """An address in an answer."""

    addr1: str | None = element(tag="Addr1", default=None)
    addr2: str | None = element(tag="Addr2", default=None)
    addr3: str | None = element(tag="Addr3", default=None)
    addr4: str | None = element(tag="Addr4", default=None)
    addr5: str | None = element(tag="Addr5", default=None)
    city: str | None = element(tag="City", default=None)
    state: str | None = element(tag="State", default=None)
    postal_code: str | None = element(tag="PostalCode", default=None)
    country: str | None = element(tag="Country", default=None)
    note: str | None = element(tag="Note", default=None)


class DataExtRet(ReadModel):
    """A custom or private data field in an answer; the Web Connector keeps its FileID in one (web-connector.md 2.1)."""

    owner_id: str | None = element(tag="OwnerID", default=None)
    name: str = element(tag="DataExtName", default="")
    type: str | None = element(tag="DataExtType", default=None)
    value: str = element(tag="DataExtValue", default="")
