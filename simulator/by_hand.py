"""What people do to a company file by hand: rename, hide, delete, merge; type what is also exported; turn tax on."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lxml import etree

from .faults import Faults
from .index import LISTS
from .posting import post
from .records import (
    Account,
    ClassObject,
    Customer,
    DeletedEntry,
    Item,
    ListObject,
    Posted,
    SalesTaxCode,
    Terms,
    Vendor,
)

if TYPE_CHECKING:
    from .company import CompanyFile

_TYPES: dict[type[ListObject], str] = {
    Account: "Account",
    ClassObject: "Class",
    Customer: "Customer",
    SalesTaxCode: "SalesTaxCode",
    Terms: "StandardTerms",
    Vendor: "Vendor",
}
JOB = "Job entered by hand"
"""The job under a customer that people take instead of the customer, when there is none yet."""
_REFERENCES = ("parent", "terms", "tax_code", "account", "expense_account", "entity", "class_id", "item", "customer")


@dataclass(frozen=True)
class Typed:
    """How what a person types differs from what is exported."""

    ref_number: str | None = None
    days: int = 0
    is_for_job: bool = False
    """For a job of the customer instead of the customer; bills have no such thing."""
    cents: int = 0
    """On the first line."""


SAME = Typed()


def type_like(company: "CompanyFile", add: str, typed: Typed = SAME) -> Posted:
    """A person enters what an Add request describes, without a GUID; no fault that was ordered is used up by it."""
    request = etree.fromstring(add)
    element = request[0]
    for guid in list(element.iterchildren("ExternalGUID")):
        element.remove(guid)
    number, day = element.find("RefNumber"), element.find("TxnDate")
    if number is not None and typed.ref_number is not None:
        number.text = typed.ref_number
    if day is not None and typed.days:
        day.text = (date.fromisoformat(day.text or "") + timedelta(days=typed.days)).isoformat()
    amount = next((child for child in element.iter("Amount")), None)
    if amount is not None and typed.cents:
        amount.text = f"{Decimal(amount.text or '0') + Decimal(typed.cents) / 100:.2f}"
    ordered, company.faults = company.faults, Faults()
    try:
        entry = post(company, element)
    finally:
        company.faults = ordered
    if typed.is_for_job and isinstance(company.entry(entry.entity), Customer):
        entry.entity = _job_of(company, entry.entity).list_id
    return entry


def _job_of(company: "CompanyFile", list_id: str) -> Customer:
    parent = company.entry(list_id)
    jobs = [child for child in company.below(list_id) if isinstance(child, Customer)]
    if jobs or not isinstance(parent, Customer):
        return jobs[0]
    return company.add_customer(JOB, parent=parent)


def turn_on_sales_tax(company: "CompanyFile", name: str, percent: Decimal) -> Item:
    """Lines with a taxable code get this tax on top of their sum (qbxml.md 0.9)."""
    known = next((item for item in company.state.items if item.kind == "SalesTax" and item.name == name), None)
    item = known or company.add_item(name, None, kind="SalesTax", description=name, percent=percent)
    item.percent = percent
    company.preferences.sales_tax_item = item.list_id
    return item


def list_of(entry: ListObject) -> str:
    """The list that an entry stands in."""
    names = dict(zip((Customer, Vendor, Item, Account, Terms, ClassObject, SalesTaxCode), LISTS, strict=False))
    return names.get(type(entry), "templates")


def rename(company: "CompanyFile", entry: ListObject, name: str) -> None:
    """Entries below move along; their TimeModified stays, which is the harder case for whoever asks for changes."""
    full_name = ":".join([*entry.full_name.split(":")[:-1], name])
    if full_name.lower() != entry.full_name.lower() and company.is_taken(list_of(entry), full_name):
        raise ValueError(f"{full_name!r} is already in use")
    entry.name = name
    _move(company, entry, full_name)


def delete(company: "CompanyFile", entry: ListObject) -> None:
    """An entry disappears with what is below it; QuickBooks remembers each for 90 days (qbxml.md 4.4)."""
    gone = [entry, *company.below(entry.list_id)]
    for one in gone:
        _remember(company, one)
    ids = {one.list_id for one in gone}
    name = list_of(entry)
    setattr(company.state, name, [kept for kept in getattr(company.state, name) if kept.list_id not in ids])
    company.index.forget()


def merge(company: "CompanyFile", entry: ListObject, into: ListObject) -> None:
    """An entry is merged into another: what is below it and all references move over, and its ListID is gone.

    Nothing that moves gets another TimeModified.
    """
    if type(entry) is not type(into) or entry is into or into in list(company.below(entry.list_id)):
        raise ValueError(f"{entry.full_name!r} cannot be merged into {into.full_name!r}")
    children = [child for child in company.below(entry.list_id) if child.parent == entry.list_id]
    for child in children:
        target = next(
            (other for other in company.below(into.list_id) if _is_twin(other, child, into)),
            None,
        )
        if target is not None:
            merge(company, child, target)
        else:
            child.parent = into.list_id
            _move(company, child, f"{into.full_name}:{child.name}")
    state = company.state
    lines = (line for posted in state.ledger for line in posted.lines)
    referring: list[Any] = [*company.entries(), *state.ledger, *lines]
    for one in referring:
        for name in _REFERENCES:
            if getattr(one, name, None) == entry.list_id:
                setattr(one, name, into.list_id)
    company.index.forget()
    delete(company, entry)


def _is_twin(other: ListObject, child: ListObject, into: ListObject) -> bool:
    return other.parent == into.list_id and other.name.lower() == child.name.lower() and type(other) is type(child)


def _move(company: "CompanyFile", entry: ListObject, full_name: str) -> None:
    old, entry.full_name = entry.full_name, full_name
    for below in company.below(entry.list_id):
        below.full_name = full_name + below.full_name[len(old) :]
    company.index.forget()


def _remember(company: "CompanyFile", entry: ListObject) -> None:
    kind = f"Item{entry.kind}" if isinstance(entry, Item) else _TYPES.get(type(entry))
    if kind is None:
        return  # QuickBooks keeps no record of templates
    company.state.deleted.append(
        DeletedEntry(
            type=kind,
            list_id=entry.list_id,
            full_name=entry.full_name,
            time_created=entry.time_created,
            time_deleted=company.local_time(),
        )
    )
