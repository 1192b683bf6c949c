"""Every link of one document: what it names, where, and which entry of the mapping says what that is in QuickBooks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mapping.documents import CarrierBill, Invoice, Party
from mapping.issues import Issue
from mapping.roles import Role
from mapping.rules import CompanyMapping, Target
from mapping.targets import default_spots, subject

KEY_MAX = 160
"""A code has at most 100 characters, and a section's name stands before it."""

_REFERENCE = re.compile(r'reference to QuickBooks [A-Za-z ]+ "([^"]*)"')
_REFERENCE_CODES = frozenset({"3000", "3120", "3130", "3140", "3240", "3250", "3270", "3280"})
"""QuickBooks' codes that another target, or a mended one, can end (qbxml.md 6.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One use of the mapping by a document; `target` is None when nobody has linked it."""

    role: Role
    path: str
    """Where in the document, or in the defaults of the mapping."""
    section: str
    key: str
    name: str
    """What people in the TMS call it."""
    target: Target | None
    is_default: bool = False
    """The target is the company's default for what has no entry of its own."""

    @property
    def what(self) -> str:
        """Name it as the subject of a sentence."""
        return subject(self.section, self.name if self.section in ("customers", "carriers") else self.key)

    def entries(self, kind: str) -> list[str]:
        """Name the entries of the mapping that can change this link, as `section/key`."""
        own = f"{self.section}/{self.key}"
        has_default = self.section == "charges" and (self.target is None or self.is_default)
        return [own, f"defaults/{kind}"] if has_default else [own]


def excerpt(mapping: Mapping[str, Any], *documents: Invoice | CarrierBill) -> dict[str, Any]:
    """Give the part of a stored mapping that documents use: to read 50,000 customers for one takes a second."""
    used: dict[str, set[str]] = {
        "charges": set(),
        "customers": set(),
        "carriers": set(),
        "terms": set(),
        "classes": set(),
    }
    for document in documents:
        parties = [getattr(document, "customer", None), *(getattr(line, "customer", None) for line in document.lines)]
        used["charges"].update(line.charge for line in document.lines)
        used["customers"].update(party.id for party in parties if party is not None)
        if isinstance(document, CarrierBill):
            used["carriers"].add(document.carrier.id)
        if document.terms is not None:
            used["terms"].add(document.terms)
        if document.class_name is not None:
            used["classes"].add(document.class_name)
    part = {
        section: {key: mapping[section][key] for key in keys if key in mapping.get(section, {})}
        for section, keys in used.items()
    }
    return {**part, "defaults": mapping.get("defaults", {})}


def links_of(document: Invoice | CarrierBill, mapping: CompanyMapping) -> list[Link]:
    """Give the links of a document, in its own order."""
    return list(_links(document, mapping))


def _links(document: Invoice | CarrierBill, mapping: CompanyMapping) -> Iterator[Link]:
    is_bill = isinstance(document, CarrierBill)
    if isinstance(document, CarrierBill):
        yield _party(document.carrier, "carrier", "carriers", Role.VENDOR, mapping.carriers.get(document.carrier.id))
    else:
        yield _customer(document.customer, "customer", mapping)
    if document.terms is not None:
        yield _coded(document.terms, "terms", "terms", Role.TERMS, mapping.terms.get(document.terms))
    if document.class_name is not None:
        target = mapping.classes.get(document.class_name)
        yield _coded(document.class_name, "class", "classes", Role.CLASS, target)
    for spot in default_spots(mapping):
        # Items and accounts stand on the lines that use them; a class of the document's own goes first.
        name = spot.steps[-1]
        if spot.steps[1] != document.kind or name in ("item", "account"):
            continue
        if name != "class" or document.class_name is None:
            yield Link(
                role=spot.role, path=spot.path, section="defaults", key=document.kind, name=name, target=spot.target
            )
    for index, line in enumerate(document.lines):
        yield _charge(line.charge, f"lines[{index}].charge", mapping, is_bill=is_bill)
        customer = getattr(line, "customer", None)
        if customer is not None:
            yield _customer(customer, f"lines[{index}].customer", mapping)


def _customer(party: Party, path: str, mapping: CompanyMapping) -> Link:
    return _party(party, path, "customers", Role.CUSTOMER, mapping.customers.get(party.id))


def _party(party: Party, path: str, section: str, role: Role, target: Target | None) -> Link:
    return Link(role=role, path=f"{path}.id", section=section, key=party.id, name=party.name, target=target)


def _coded(code: str, path: str, section: str, role: Role, target: Target | None) -> Link:
    return Link(role=role, path=path, section=section, key=code, name=code, target=target)


def _charge(code: str, path: str, mapping: CompanyMapping, *, is_bill: bool) -> Link:
    rule = mapping.charges.get(code)
    defaults = mapping.defaults.carrier_bill if is_bill else mapping.defaults.invoice
    own = None if rule is None else rule.carrier_bill if is_bill else rule.invoice
    chosen = own or defaults
    account = getattr(chosen, "account", None)
    item_role = Role.BILL_ITEM if is_bill else Role.INVOICE_ITEM
    return Link(
        role=item_role if account is None else Role.BILL_ACCOUNT,
        path=path,
        section="charges",
        key=code,
        name=code,
        target=account or chosen.item,
        is_default=own is None,
    )


def awaited_by_issues(document: Invoice | CarrierBill, mapping: CompanyMapping, issues: Iterable[Issue]) -> list[str]:
    """Name the entries of the mapping, as `section/key`, that can end one of these issues."""
    found = {issue.path for issue in issues if issue.is_error}
    links = [link for link in _links(document, mapping) if link.path in found]
    return _distinct(link.entries(document.kind) for link in links)


def awaited_by_refusal(document: Invoice | CarrierBill, mapping: CompanyMapping, code: str, message: str) -> list[str]:
    """Name the entries of the mapping that can end QuickBooks' refusal; the one that it names, if it names one."""
    if code not in _REFERENCE_CODES:
        return []
    links = list(_links(document, mapping))
    named = _REFERENCE.search(message)
    if named is not None:
        value = named[1].casefold()
        meant = [link for link in links if link.target is not None and value in _names(link.target)]
        links = meant or links
    return _distinct(link.entries(document.kind) for link in links)


def _names(target: Target) -> set[str]:
    return {text.casefold() for text in (target.list_id, target.full_name) if text is not None}


def _distinct(groups: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(key for group in groups for key in group))
