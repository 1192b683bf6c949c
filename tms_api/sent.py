"""What was sent to QuickBooks, as it was frozen then, and what the TMS or the mapping says otherwise today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from mapping.documents import CarrierBill, Invoice, parse_document
from mapping.links import Link, links_of
from mapping.rules import CompanyMapping
from store.tables import Export
from workflows.contracts import OUTCOME_UNKNOWN, ExportState, Transaction


class SentTarget(BaseModel):
    """An entry of QuickBooks that something was sent as."""

    list_id: str | None = Field(description="ListID; null: it was sent by its name.")
    full_name: str | None = Field(description="Its name then.", examples=["Cafe Rio Foods"])


class SentParty(SentTarget):
    """The customer or carrier."""

    id: str = Field(description="Id in the TMS.", examples=["cus_88"])
    name: str = Field(description="Name in the TMS.", examples=["Cafe Rio Foods, Inc."])


class SentCode(SentTarget):
    """Terms or a class."""

    name: str = Field(description="As the TMS called it.", examples=["Net 30"])


class SentCharge(SentTarget):
    """The item or account of a line."""

    kind: str = Field(description="`item` or `account`.", examples=["item"])


class SentLine(BaseModel):
    """One line."""

    charge: str = Field(description="Charge code of the TMS.", examples=["LINEHAUL"])
    description: str | None = Field(description="Text of the line in the TMS.")
    quantity: str | None = Field(description="Quantity in the TMS.")
    rate: str | None = Field(description="Rate in the TMS.")
    amount: str = Field(description="Amount.", examples=["1850.00"])
    target: SentCharge = Field(description="What it is in QuickBooks.")
    customer: SentParty | None = Field(description="Customer or job that bears the cost.")


class SentHead(BaseModel):
    """What a transaction was sent with, without its lines."""

    number: str = Field(description="Number of the document in the TMS.", examples=["INV-2026-004821"])
    ref_number: str = Field(description="Number in QuickBooks.", examples=["2026-004821"])
    date: str = Field(description="Date.", examples=["2026-11-20"])
    currency: str = Field(description="Currency.", examples=["USD"])
    total: str = Field(description="Total.", examples=["2062.50"])
    party: SentParty = Field(description="Customer or carrier.")


class SentDocument(SentHead):
    """What a transaction was sent with, frozen when it left."""

    due_date: str | None = Field(description="Due date.")
    memo: str | None = Field(description="Memo, with what was added to it.")
    terms: SentCode | None = Field(description="Terms.")
    class_: SentCode | None = Field(alias="class", serialization_alias="class", description="Class.")
    lines: list[SentLine] = Field(description="Lines.")


class ChangedSince(BaseModel):
    """One field that the TMS or the mapping says otherwise than it was sent."""

    path: str = Field(description="Where in the document.", examples=["total"])
    sent: str | None = Field(description="What was sent; null: nothing.", examples=["2062.50"])
    now: str | None = Field(description="What is said today; null: nothing.", examples=["2100.00"])
    where: Literal["document", "mapping"] = Field(description="Who says otherwise: the TMS, or the mapping.")
    message: str = Field(description="One plain sentence.")


def sent_of(row: Export) -> SentDocument | None:
    """Give what is in QuickBooks of ours, or may be; None while nothing has left, and for what a person found there."""
    is_unknown = (row.error or {}).get("code") == OUTCOME_UNKNOWN
    is_out = row.state in (ExportState.SENT, ExportState.SUCCESSFUL) or is_unknown
    if row.sent is None or not is_out:
        return None
    if row.quickbooks is not None and Transaction.model_validate(row.quickbooks).confirmed_by_person:
        return None
    return SentDocument.model_validate(row.sent)


def changed_since(
    sent: SentDocument, exported: Mapping[str, Any], handed: Mapping[str, Any] | None, mapping: CompanyMapping
) -> list[ChangedSince]:
    """Compare what was sent with the document as it was handed over last (None: not handed over), and the mapping."""
    document = parse_document(exported)
    if isinstance(document, list):
        return []
    return [*_of_document(document, handed), *_of_mapping(sent, document, mapping)]


def _of_document(exported: Invoice | CarrierBill, handed: Mapping[str, Any] | None) -> Iterator[ChangedSince]:
    if handed is None:
        return
    document = parse_document(handed)
    if isinstance(document, list):
        message = "The TMS has handed over something since that cannot be read."
        yield ChangedSince(path="", sent=None, now=None, where="document", message=message)
        return
    before, after = dict(_values(exported)), dict(_values(document))
    for path in dict.fromkeys([*before, *after]):
        sent, now = before.get(path), after.get(path)
        if sent != now:
            message = f"It was sent with {_said(path)} {sent or '(nothing)'}; the TMS now says {now or '(nothing)'}."
            yield ChangedSince(path=path, sent=sent, now=now, where="document", message=message)


def _values(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give each value with its path; numbers and dates in one form, so that only what they say counts."""
    match value:
        case BaseModel():
            for name, field in type(value).model_fields.items():
                yield from _values(getattr(value, name), f"{path}.{field.alias or name}".lstrip("."))
        case list() | tuple():
            for index, one in enumerate(value):
                yield from _values(one, f"{path}[{index}]")
        case None:
            return
        case Decimal():
            yield path, f"{value:.2f}" if value == round(value, 2) else format(value.normalize(), "f")
        case date():
            yield path, value.isoformat()
        case _:
            yield path, str(value)


def _of_mapping(sent: SentDocument, document: Invoice | CarrierBill, mapping: CompanyMapping) -> Iterator[ChangedSince]:
    targets = _targets(sent, "carrier.id" if isinstance(document, CarrierBill) else "customer.id")
    for link in links_of(document, mapping):
        before = targets.get(link.path)
        if before is not None and not _is_same(before, link):
            now = link.target.full_name or link.target.list_id if link.target is not None else None
            name = before.full_name or before.list_id
            said = f"goes to {now}" if now is not None else "is not linked"
            message = f"{link.what} was sent as {name}; by the mapping of today it {said}."
            yield ChangedSince(path=link.path, sent=name, now=now, where="mapping", message=message)


def _targets(sent: SentDocument, party: str) -> dict[str, SentTarget]:
    found: dict[str, SentTarget] = {party: sent.party}
    found |= {path: one for path, one in (("terms", sent.terms), ("class", sent.class_)) if one is not None}
    for index, line in enumerate(sent.lines):
        found[f"lines[{index}].charge"] = line.target
        if line.customer is not None:
            found[f"lines[{index}].customer.id"] = line.customer
    return found


def _is_same(before: SentTarget, link: Link) -> bool:
    """Compare ListIDs, which a new name does not change; names only where one side has none."""
    if link.target is None:
        return before.list_id is None and before.full_name is None
    if before.list_id and link.target.list_id:
        return before.list_id == link.target.list_id
    return (before.full_name or "").casefold() == (link.target.full_name or "").casefold()


def _said(path: str) -> str:
    return f"the {path.replace('_', ' ')}" if "[" not in path and "." not in path else path
