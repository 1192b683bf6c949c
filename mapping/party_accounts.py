"""Which A/R or A/P account takes a document: in a file with several currencies it must be one of the party's currency.

QuickBooks takes the account of the newest document of this kind where none is named, whatever its currency, so one is
named always.
"""

from __future__ import annotations

from collections.abc import Iterator

from mapping.currencies import currency_code
from mapping.documents import CarrierBill, Invoice
from mapping.issues import Issue, Owner, Severity
from mapping.links import links_of
from mapping.lists import ListItem, ListKind, Lists
from mapping.roles import WORDS, Role
from mapping.rules import CompanyRules, Target
from mapping.targets import find_target


def account_type(document: Invoice | CarrierBill) -> tuple[str, str]:
    """Give the type of the account that a document needs, and how people call it."""
    if isinstance(document, CarrierBill):
        return "AccountsPayable", "accounts payable"
    return "AccountsReceivable", "accounts receivable"


def currency_of_party(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> str | None:
    """Give the currency that the customer or carrier is kept in; None: one currency only, or not known."""
    if not lists.facts.multi_currency:
        return None
    party = _party(document, rules, lists)
    return None if party is None else currency_code(party.facts.get("currency"))


def _party(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> ListItem | None:
    link = links_of(document, rules.mapping)[0]
    found = find_target(link.target, link.role, lists) if link.target is not None else None
    return found if isinstance(found, ListItem) else None


def chosen(document: Invoice | CarrierBill, rules: CompanyRules) -> Target | None:
    """Give the default account."""
    defaults = rules.mapping.defaults
    return defaults.carrier_bill.ap_account if isinstance(document, CarrierBill) else defaults.invoice.ar_account


def _role(document: Invoice | CarrierBill) -> Role:
    return Role.AP_ACCOUNT if isinstance(document, CarrierBill) else Role.AR_ACCOUNT


def better_account(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> Target | None:
    """Give the only account of the party's currency where the default is in another one, or there is no default."""
    currency = currency_of_party(document, rules, lists)
    if currency is None:
        return None
    default = chosen(document, rules)
    if default is not None:
        found = find_target(default, _role(document), lists)
        # What does not fit for another reason is told as it is.
        if not isinstance(found, ListItem) or not found.is_active or found.is_gone:
            return None
        if currency_code(found.facts.get("currency")) in (None, currency):
            return None
    fitting = _in_currency(document, currency, lists)
    return Target(list_id=fitting[0].list_id, full_name=fitting[0].full_name) if len(fitting) == 1 else None


def _in_currency(document: Invoice | CarrierBill, currency: str, lists: Lists) -> list[ListItem]:
    wanted, _ = account_type(document)
    accounts = lists.active_of(ListKind.ACCOUNT, wanted)
    return [one for one in accounts if currency_code(one.facts.get("currency")) == currency]


def currency_issues(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> Iterator[Issue]:
    """Give what QuickBooks would refuse (3140: "The currency of the account ..."), with `better_account` in place."""
    currency = currency_of_party(document, rules, lists)
    party = _party(document, rules, lists)
    if currency is None or party is None or not lists.is_known(ListKind.ACCOUNT):
        return
    yield from _of_header(document, rules, lists, party, currency)
    home = currency_code(lists.facts.home_currency)
    for link in links_of(document, rules.mapping):
        entry = find_target(link.target, link.role, lists) if link.target is not None else None
        if link.role is not Role.BILL_ACCOUNT or not isinstance(entry, ListItem):
            continue
        own = currency_code(entry.facts.get("currency"))
        if own is not None and home is not None and own not in (home, currency):
            yield Issue(
                code="account_currency_unfit",
                path=link.path,
                message=f"{link.what} is linked to the account {entry.full_name}, which is kept in {own}, but the bill "
                f"is in {currency}.",
                next_step=f"Choose an account in {home} or {currency} for {link.name}.",
                owner=Owner.BOOKKEEPER,
            )


def _of_header(
    document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists, party: ListItem, currency: str
) -> Iterator[Issue]:
    wanted, words = account_type(document)
    accounts = lists.active_of(ListKind.ACCOUNT, wanted)
    if any(currency_code(one.facts.get("currency")) is None for one in accounts):
        return  # an account whose currency is not known may be the right one
    default = chosen(document, rules)
    found = find_target(default, _role(document), lists) if default is not None else None
    own = currency_code(found.facts.get("currency")) if isinstance(found, ListItem) else None
    fitting = _in_currency(document, currency, lists)
    if own == currency or (accounts and default is not None and own is None):
        return
    who = f"the {WORDS[party.kind]} {party.full_name} is kept in {currency}"
    name = "ap_account" if isinstance(document, CarrierBill) else "ar_account"
    path = f"defaults.{document.kind}.{name}"
    if not fitting and accounts:
        yield Issue(
            code="account_currency_missing",
            path=path,
            message=f"The company file has no active account for {words} in {currency}, and {who}.",
            next_step=f"Make an account of the type {words} in {currency} in QuickBooks, let the Web Connector run; "
            "export again.",
            owner=Owner.BOOKKEEPER,
        )
    elif fitting and isinstance(found, ListItem):
        yield Issue(
            code="account_currency_unfit",
            path=path,
            message=f"The default account for {words}, {found.full_name}, is kept in {own}, but {who}, for which there "
            f"are {len(fitting)} accounts.",
            next_step=f"Leave one account for {words} in {currency} active in QuickBooks, or choose one of them under "
            "Mapping > Defaults.",
            owner=Owner.BOOKKEEPER,
        )
    elif len(fitting) > 1:
        yield Issue(
            code="account_not_chosen",
            path=path,
            message=f"No account for {words} is chosen and there are {len(fitting)} in {currency}: QuickBooks takes "
            "the one that was used last, and refuses the document if that is in another currency.",
            next_step=f"Choose the account for {words} under Mapping > Defaults.",
            owner=Owner.BOOKKEEPER,
            severity=Severity.WARNING,
        )
