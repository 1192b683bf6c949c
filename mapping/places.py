"""The places of a mapping that a person fills: which lists an entry may come from, and how it is written there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mapping.lists import ListKind
from mapping.roles import Role

SECTIONS = ("charges", "customers", "carriers", "terms", "classes", "defaults")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One column of a section, such as the side of the carrier bills of a charge."""

    id: str
    """`charges/carrier_bill`, `customers`, `defaults/invoice/tax_code`."""
    section: str
    label: str
    roles: tuple[Role, ...]
    """What the entry may be; where there are two, an item goes before an account of the same name."""
    key: str | None = None
    """In `defaults`: the kind of document. Elsewhere each entry has a key of its own."""
    field: str | None = None
    """In `charges` the side, in `defaults` the field; None where the target stands alone."""

    @property
    def kinds(self) -> tuple[ListKind, ...]:
        """Give the lists."""
        return tuple(dict.fromkeys(role.kind for role in self.roles))


_BILL = (Role.BILL_ITEM, Role.BILL_ACCOUNT)


def _default(key: str, field: str, label: str, *roles: Role) -> Place:
    return Place(id=f"defaults/{key}/{field}", section="defaults", key=key, field=field, label=label, roles=roles)


PLACES: tuple[Place, ...] = (
    Place(
        id="charges/invoice",
        section="charges",
        field="invoice",
        label="On invoices",
        roles=(Role.INVOICE_ITEM,),
    ),
    Place(id="charges/carrier_bill", section="charges", field="carrier_bill", label="On carrier bills", roles=_BILL),
    Place(id="customers", section="customers", label="Customer in QuickBooks", roles=(Role.CUSTOMER,)),
    Place(id="carriers", section="carriers", label="Vendor in QuickBooks", roles=(Role.VENDOR,)),
    Place(id="terms", section="terms", label="Terms in QuickBooks", roles=(Role.TERMS,)),
    Place(id="classes", section="classes", label="Class in QuickBooks", roles=(Role.CLASS,)),
    _default("invoice", "item", "Item for charges that are not mapped", Role.INVOICE_ITEM),
    _default("invoice", "ar_account", "Accounts receivable", Role.AR_ACCOUNT),
    _default("invoice", "template", "Invoice template", Role.TEMPLATE),
    _default("invoice", "tax_code", "Sales tax code of each line", Role.TAX_CODE),
    _default("invoice", "class", "Class", Role.CLASS),
    _default("carrier_bill", "item", "Item or account for charges that are not mapped", *_BILL),
    _default("carrier_bill", "ap_account", "Accounts payable", Role.AP_ACCOUNT),
    _default("carrier_bill", "tax_code", "Sales tax code of each line (Canada and UK)", Role.BILL_TAX_CODE),
    _default("carrier_bill", "class", "Class", Role.CLASS),
)
_BY_ID = {place.id: place for place in PLACES}


def place(place_id: str) -> Place | None:
    """Find a place."""
    return _BY_ID.get(place_id)


def places_of(section: str) -> list[Place]:
    """Give the places of a section, in the order of the screen."""
    return [one for one in PLACES if one.section == section]


def target_at(place: Place, entry: Mapping[str, Any] | None) -> tuple[Role, dict[str, Any]] | None:
    """Give what stands in a place of a stored entry, and as what."""
    if entry is None:
        return None
    if place.field is None:
        return place.roles[0], dict(entry)
    if place.section == "charges":
        side = entry.get(place.field) or {}
        found = {name: side.get(name) for name in ("item", "account")}
    else:
        found = {name: entry.get(name) for name in _names(place)}
    for role in place.roles:
        target = found.get("account" if role is Role.BILL_ACCOUNT else "item" if len(place.roles) > 1 else _only(place))
        if target is not None:
            return role, target
    return None


def entry_with(
    place: Place, entry: Mapping[str, Any] | None, target: Mapping[str, Any] | None, role: Role | None = None
) -> dict[str, Any] | None:
    """Give the entry with a target put into a place, or with what stands there taken out; None: nothing is left."""
    if place.field is None:
        return None if target is None else dict(target)
    name = "account" if role is Role.BILL_ACCOUNT else "item"
    body = dict(entry or {})
    if place.section == "charges":
        body[place.field] = None if target is None else {name: target}
        return body if body.get("invoice") or body.get("carrier_bill") else None
    for known in _names(place):
        body[known] = None
    if target is not None:
        body[name if len(place.roles) > 1 else str(place.field)] = dict(target)
    return body


def _names(place: Place) -> tuple[str, ...]:
    return ("item", "account") if len(place.roles) > 1 else (str(place.field),)


def _only(place: Place) -> str:
    return "item" if place.section == "charges" else str(place.field)
