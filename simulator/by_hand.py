"""What people do to the lists of a company file by hand: rename, set inactive, delete, merge."""

from typing import TYPE_CHECKING, Any

from .index import LISTS
from .records import Account, ClassObject, Customer, DeletedEntry, Item, ListObject, SalesTaxCode, Terms, Vendor

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
_REFERENCES = ("parent", "terms", "tax_code", "account", "expense_account", "entity", "class_id", "item", "customer")


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
