"""A document and its rules as this company file can take them: what a preference that is off leaves no place for, and
the account in the party's currency.

Everything that is left out or put in place of a default is noted with the reason; nothing of it keeps a document back.
"""

from __future__ import annotations

from dataclasses import dataclass

from mapping.documents import CarrierBill, Invoice
from mapping.editions import Edition
from mapping.fits import is_reimbursable
from mapping.issues import Change
from mapping.links import links_of
from mapping.lists import CompanyFacts, ListItem, Lists
from mapping.party_accounts import better_account, chosen
from mapping.roles import Role
from mapping.rules import BillDefaults, CompanyRules, InvoiceDefaults, Target
from mapping.targets import find_target

_NO_CLASSES = (
    "Class tracking is off in this company file (Edit, Preferences, Accounting in QuickBooks), so the class is left "
    "out. Switch it on there if classes are wanted."
)
_NO_SALES_TAX = (
    "Sales tax is off in this company file (Edit, Preferences, Sales Tax in QuickBooks), so QuickBooks takes its "
    "non-taxable code."
)

_NO_TAX_ON_BILLS = "QuickBooks for the United States has no sales tax code on bills, so it is left out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What is mapped in place of what was given."""

    document: Invoice | CarrierBill
    rules: CompanyRules
    changes: tuple[Change, ...]


def fit(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> Fitted:
    """Leave out what the preferences have no place for, and choose accounts; what is not known changes nothing."""
    changes: list[Change] = []
    if lists.facts.class_tracking is False:
        rules = _without_classes(document, rules, changes)
        document = without_class(document, lists.facts)
    if lists.facts.sales_tax is False:
        rules = _without_tax_code(document, rules, _NO_SALES_TAX, changes)
        # With sales tax off nothing about tax is said at all, as in the US.
        rules = rules.model_copy(update={"edition": Edition.US})
    elif isinstance(document, CarrierBill) and not rules.edition.has_tax_on_every_line:
        rules = _without_tax_code(document, rules, _NO_TAX_ON_BILLS, changes)
    account = better_account(document, rules, lists)
    if account is not None:
        rules = _with_account(document, rules, account, changes)
    if isinstance(document, CarrierBill):
        rules = rules.model_copy(update={"not_reimbursable": _not_reimbursable(document, rules, lists)})
    return Fitted(document=document, rules=rules, changes=tuple(changes))


def without_class(document: Invoice | CarrierBill, facts: CompanyFacts) -> Invoice | CarrierBill:
    """Give the document as a file without class tracking sees it, so that nobody is asked to link its class."""
    if facts.class_tracking is not False or document.class_name is None:
        return document
    return document.model_copy(update={"class_name": None})


def _without_classes(document: Invoice | CarrierBill, rules: CompanyRules, changes: list[Change]) -> CompanyRules:
    defaults = _defaults(document, rules)
    if document.class_name is not None:
        changes.append(_left_out("class", "ClassRef", document.class_name, _NO_CLASSES))
    elif defaults.class_target is not None:
        path = f"defaults.{document.kind}.class"
        changes.append(_left_out(path, "ClassRef", _name(defaults.class_target), _NO_CLASSES))
    return _with_defaults(document, rules, defaults.model_copy(update={"class_target": None}))


def _without_tax_code(
    document: Invoice | CarrierBill, rules: CompanyRules, reason: str, changes: list[Change]
) -> CompanyRules:
    defaults = _defaults(document, rules)
    if defaults.tax_code is None:
        return rules
    name = _name(defaults.tax_code)
    changes.append(_left_out(f"defaults.{document.kind}.tax_code", "SalesTaxCodeRef", name, reason))
    return _with_defaults(document, rules, defaults.model_copy(update={"tax_code": None}))


def _with_account(
    document: Invoice | CarrierBill, rules: CompanyRules, account: Target, changes: list[Change]
) -> CompanyRules:
    field, tag = ("ap_account", "APAccountRef") if isinstance(document, CarrierBill) else ("ar_account", "ARAccountRef")
    before = chosen(document, rules)
    if before is not None:
        changes.append(
            Change(
                path=f"defaults.{document.kind}.{field}",
                field=tag,
                before=_name(before),
                after=_name(account),
                reason="The customer or vendor is kept in another currency than the default account, so the account "
                "in its currency is taken.",
            )
        )
    return _with_defaults(document, rules, _defaults(document, rules).model_copy(update={field: account}))


def _not_reimbursable(document: CarrierBill, rules: CompanyRules, lists: Lists) -> tuple[Target, ...]:
    found: list[Target] = []
    for link in links_of(document, rules.mapping):
        if link.role is Role.BILL_ACCOUNT and link.target is not None and link.target not in found:
            entry = find_target(link.target, link.role, lists)
            if isinstance(entry, ListItem) and not is_reimbursable(entry):
                found.append(link.target)
    return tuple(found)


def _defaults(document: Invoice | CarrierBill, rules: CompanyRules) -> InvoiceDefaults | BillDefaults:
    defaults = rules.mapping.defaults
    return defaults.invoice if isinstance(document, Invoice) else defaults.carrier_bill


def _with_defaults(
    document: Invoice | CarrierBill, rules: CompanyRules, defaults: InvoiceDefaults | BillDefaults
) -> CompanyRules:
    mapping = rules.mapping
    every = mapping.defaults.model_copy(update={document.kind: defaults})
    return rules.model_copy(update={"mapping": mapping.model_copy(update={"defaults": every})})


def _left_out(path: str, field: str, before: str, reason: str) -> Change:
    return Change(path=path, field=field, before=before, after="", reason=reason)


def _name(target: Target) -> str:
    return target.full_name or target.list_id or ""
