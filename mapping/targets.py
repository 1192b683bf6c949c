"""Targets of a mapping held against QuickBooks' lists: found, named as they are called today, and fit for their place.

Before a list came over, nothing about it can be said, and names are kept as they were given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mapping.fits import Unfit, unfit
from mapping.issues import Issue, Owner
from mapping.lists import ListItem, ListKind, Lists
from mapping.roles import WORDS, Role, with_article
from mapping.rules import CompanyMapping, Target
from mapping.sales_tax import tax_issues

_SYNC = "Choose an entry that is in QuickBooks; if it is new there, let the Web Connector run once and try again."
# Where people look for the other thing of the same name.
_NEIGHBOURS = {
    ListKind.CUSTOMER: ListKind.VENDOR,
    ListKind.VENDOR: ListKind.CUSTOMER,
    ListKind.ITEM: ListKind.ACCOUNT,
    ListKind.ACCOUNT: ListKind.ITEM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One target inside a mapping. `steps` leads there from the top: `("charges", "FUEL", "invoice", "item")`."""

    steps: tuple[str, ...]
    role: Role
    target: Target

    @property
    def path(self) -> str:
        """Give the place as issues write it."""
        return ".".join(self.steps)

    @property
    def what(self) -> str:
        """Name what is linked, as the subject of a sentence."""
        return subject(self.steps[0], self.steps[1])


def subject(section: str, key: str) -> str:
    """Name an entry of the mapping as the subject of a sentence."""
    words = {
        "charges": "The charge",
        "customers": "The customer",
        "carriers": "The carrier",
        "terms": "The terms",
        "classes": "The class",
    }
    if section == "defaults":
        return "The default of invoices" if key == "invoice" else "The default of carrier bills"
    return f"{words[section]} {key}"


def spots(mapping: CompanyMapping) -> Iterator[Spot]:
    """Give every target of a mapping."""
    for code, rule in mapping.charges.items():
        if rule.invoice is not None:
            steps = ("charges", code, "invoice", "item")
            yield Spot(steps=steps, role=Role.INVOICE_ITEM, target=rule.invoice.item)
        if rule.carrier_bill is not None:
            bill = {"item": (Role.BILL_ITEM, rule.carrier_bill.item)}
            bill["account"] = (Role.BILL_ACCOUNT, rule.carrier_bill.account)
            yield from _given(("charges", code, "carrier_bill"), bill)
    for section, role, table in (
        ("customers", Role.CUSTOMER, mapping.customers),
        ("carriers", Role.VENDOR, mapping.carriers),
        ("terms", Role.TERMS, mapping.terms),
        ("classes", Role.CLASS, mapping.classes),
    ):
        for key, target in table.items():
            yield Spot(steps=(section, key), role=role, target=target)
    yield from default_spots(mapping)


def default_spots(mapping: CompanyMapping) -> Iterator[Spot]:
    """Give the targets among the defaults."""
    invoice, bill = mapping.defaults.invoice, mapping.defaults.carrier_bill
    for_invoices = {
        "item": (Role.INVOICE_ITEM, invoice.item),
        "ar_account": (Role.AR_ACCOUNT, invoice.ar_account),
        "template": (Role.TEMPLATE, invoice.template),
        "tax_code": (Role.TAX_CODE, invoice.tax_code),
        "class": (Role.CLASS, invoice.class_target),
    }
    for_bills = {
        "item": (Role.BILL_ITEM, bill.item),
        "account": (Role.BILL_ACCOUNT, bill.account),
        "ap_account": (Role.AP_ACCOUNT, bill.ap_account),
        "tax_code": (Role.BILL_TAX_CODE, bill.tax_code),
        "class": (Role.CLASS, bill.class_target),
    }
    yield from _given(("defaults", "invoice"), for_invoices)
    yield from _given(("defaults", "carrier_bill"), for_bills)


def _given(steps: tuple[str, ...], places: Mapping[str, tuple[Role, Target | None]]) -> Iterator[Spot]:
    for name, (role, target) in places.items():
        if target is not None:
            yield Spot(steps=(*steps, name), role=role, target=target)


def find_target(target: Target, role: Role, lists: Lists) -> ListItem | Unfit | None:
    """Find the entry that a target means; None when its list is not known yet."""
    kind = role.kind
    if not lists.is_known(kind):
        return None
    if target.list_id is not None:
        found = lists.by_list_id(kind, target.list_id)
        return found if found is not None else _missing(target, kind, lists)
    named = lists.by_full_name(kind, target.full_name or "")
    if len(named) == 1:
        return named[0]
    if not named:
        return _missing(target, kind, lists)
    return Unfit(
        code="target_not_unique",
        message=f"the {WORDS[kind]} {target.full_name}, but QuickBooks has {len(named)} of this name",
        next_step="Choose one of them by its ListID.",
        owner=Owner.TMS_USER,
    )


def _missing(target: Target, kind: ListKind, lists: Lists) -> Unfit:
    shown = target.full_name or target.list_id
    other = _NEIGHBOURS.get(kind)
    if other is not None and _is_there(target, other, lists):
        return Unfit(
            code="target_wrong_list",
            message=f"{shown}, which is {with_article(WORDS[other])} in QuickBooks where "
            f"{with_article(WORDS[kind])} is needed",
            next_step=f"Choose an entry of the {WORDS[kind]} list.",
            owner=Owner.TMS_USER,
        )
    return Unfit(
        code="target_unknown",
        message=f"the {WORDS[kind]} {shown}, which is not in the company file",
        next_step=_SYNC,
        owner=Owner.TMS_USER,
    )


def _is_there(target: Target, kind: ListKind, lists: Lists) -> bool:
    if target.list_id is not None:
        return lists.by_list_id(kind, target.list_id) is not None
    return bool(lists.by_full_name(kind, target.full_name or ""))


def target_issues(target: Target, role: Role, what: str, path: str, lists: Lists) -> list[Issue]:
    """Give everything that speaks against a target, warnings too; `what` begins the sentence."""
    found = find_target(target, role, lists)
    reasons = [found] if isinstance(found, Unfit) else [] if found is None else list(unfit(found, role, lists))
    return [
        Issue(
            code=reason.code,
            path=path,
            message=f"{what} is linked to {reason.message}.",
            next_step=reason.next_step,
            owner=reason.owner,
            severity=reason.severity,
        )
        for reason in reasons
    ]


def mapping_issues(mapping: CompanyMapping, lists: Lists) -> list[Issue]:
    """Give everything that speaks against a mapping as it stands, warnings too."""
    issues = [
        issue for spot in spots(mapping) for issue in target_issues(spot.target, spot.role, spot.what, spot.path, lists)
    ]
    return issues if mapping.defaults.invoice.tax_code is not None else [*issues, *_taxed(mapping, lists)]


def _taxed(mapping: CompanyMapping, lists: Lists) -> Iterator[Issue]:
    """Warn of customers who owe sales tax while invoice lines have no code that says otherwise."""
    if lists.facts.sales_tax is False:
        return
    for spot in spots(mapping):
        found = find_target(spot.target, spot.role, lists) if spot.role is Role.CUSTOMER else None
        if isinstance(found, ListItem):
            yield from tax_issues(found, spot.path, [], lists)


def resolve_mapping(
    mapping: CompanyMapping, lists: Lists, *, warnings: list[Issue] | None = None
) -> CompanyMapping | list[Issue]:
    """Give the mapping with the ListID and today's full name in every target, or every reason why it cannot stand.

    What only somebody should look at is added to `warnings`.
    """
    issues = mapping_issues(mapping, lists)
    errors = [issue for issue in issues if issue.is_error]
    if errors:
        return errors
    if warnings is not None:
        warnings += issues
    data = mapping.model_dump(mode="json")
    for spot in spots(mapping):
        found = find_target(spot.target, spot.role, lists)
        if isinstance(found, ListItem):
            place: dict[str, Any] = data
            for step in spot.steps[:-1]:
                place = place[step]
            place[spot.steps[-1]] = {"list_id": found.list_id, "full_name": found.full_name}
    return CompanyMapping.model_validate(data)
