"""Pre-flight: everything about a document that can be known before QuickBooks sees it.

`mapping/invoices.py` and `carrier_bills.py` find what the TMS itself got wrong; here the document and its links are
held against the lists and preferences of the company file. Errors keep the document back, warnings never do.
"""

from __future__ import annotations

from collections.abc import Iterator

from mapping.amounts import AmountMismatch, line_money
from mapping.currencies import currency_code
from mapping.documents import CarrierBill, Invoice
from mapping.editions import NAMES, edition_of, unsupported
from mapping.fits import ancestors
from mapping.issues import Issue, Owner, Severity
from mapping.links import Link, links_of
from mapping.lists import ListItem, ListKind, Lists
from mapping.party_accounts import account_type, chosen, currency_issues
from mapping.roles import WORDS, Role
from mapping.rules import CompanyRules
from mapping.sales_tax import is_taxable, tax_issues
from mapping.targets import find_target, target_issues

_PARTIES = (Role.CUSTOMER, Role.VENDOR)


def preflight(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> list[Issue]:
    """Give every issue of a document that the lists and preferences show; nothing is checked before they are known."""
    links = links_of(document, rules.mapping)
    issues = [*_links(links, lists), *_document(document), *_preferences(document, rules, lists)]
    party = _entry(links[0], lists)
    if party is not None:
        issues += _party(document, party, links[0], rules, lists)
    if isinstance(document, Invoice) and lists.facts.sales_tax is not False:
        issues = _with_tax(issues, party, links, rules, lists)
    issues += _lines(document, links, lists)
    issues += currency_issues(document, rules, lists)
    return issues


def _with_tax(
    issues: list[Issue], party: ListItem | None, links: list[Link], rules: CompanyRules, lists: Lists
) -> list[Issue]:
    """Say of tax what is true of this customer, in place of what is true of any."""
    if party is None:
        return issues
    if rules.mapping.defaults.invoice.tax_code is not None:
        is_exempt = is_taxable(party, lists) is False
        return [issue for issue in issues if not (is_exempt and issue.code == "tax_code_taxable")]
    items = [(link.path, entry) for link in links if link.role is Role.INVOICE_ITEM and (entry := _entry(link, lists))]
    found = list(tax_issues(party, links[0].path, items, lists))
    return [*(issue for issue in issues if issue.is_error or not (found and issue.code == "tax_code_missing")), *found]


def _links(links: list[Link], lists: Lists) -> Iterator[Issue]:
    for link in links:
        if link.target is not None:
            yield from target_issues(link.target, link.role, link.what, link.path, lists)


def _entry(link: Link, lists: Lists) -> ListItem | None:
    found = find_target(link.target, link.role, lists) if link.target is not None else None
    return found if isinstance(found, ListItem) else None


def _document(document: Invoice | CarrierBill) -> Iterator[Issue]:
    if document.total == 0:
        yield _warning(
            "zero_total",
            "total",
            "The document adds up to nothing; QuickBooks will show it as paid.",
            "Export it if it shall be on file; otherwise leave it out.",
            Owner.TMS_USER,
        )


def _preferences(document: Invoice | CarrierBill, rules: CompanyRules, lists: Lists) -> Iterator[Issue]:
    facts = lists.facts
    is_bill = isinstance(document, CarrierBill)
    if facts.closing_date is not None and document.date <= facts.closing_date:
        yield Issue(
            code="closed_period",
            path="date",
            message=f"The date {document.date} lies in the period that the company closed on {facts.closing_date}.",
            next_step="Agree on a later date for the document, or have the QuickBooks administrator move the closing "
            "date; then export it again.",
            owner=Owner.BOOKKEEPER,
        )
    if edition_of(facts.country) is None:
        yield unsupported(facts.country)
    defaults = rules.mapping.defaults
    tax_code = defaults.carrier_bill.tax_code if is_bill else defaults.invoice.tax_code
    if facts.sales_tax and rules.edition.has_tax_on_every_line and tax_code is None:
        yield Issue(
            code="tax_code_missing",
            path=f"defaults.{document.kind}.tax_code",
            message=f"QuickBooks for {NAMES[rules.edition]} wants a sales tax code on every line, and none is chosen.",
            next_step="Open Mapping > Defaults and choose the sales tax code of each line.",
            owner=Owner.BOOKKEEPER,
        )
    elif facts.sales_tax and not is_bill and tax_code is None:
        yield _warning(
            "tax_code_missing",
            "defaults.invoice.tax_code",
            "Sales tax is on in QuickBooks, but invoices have no tax code: every line will be non-taxable.",
            "Open Mapping > Defaults and choose the sales tax code of invoice lines, such as Non.",
        )
    wanted, words = account_type(document)
    name = "ap_account" if is_bill else "ar_account"
    is_chosen = chosen(document, rules) is not None
    if not is_chosen and lists.is_known(ListKind.ACCOUNT) and not lists.active_of(ListKind.ACCOUNT, wanted):
        yield Issue(
            code="posting_account_missing",
            path=f"defaults.{document.kind}.{name}",
            message=f"The company file has no active account for {words}.",
            next_step=f"Make an account of the type {words} in QuickBooks, let the Web Connector run; export again.",
            owner=Owner.BOOKKEEPER,
        )


def _party(
    document: Invoice | CarrierBill, party: ListItem, link: Link, rules: CompanyRules, lists: Lists
) -> Iterator[Issue]:
    words = WORDS[party.kind]
    family = [party, *ancestors(party, lists)]
    currency, own = _currencies(document, party, rules)
    if own is not None and currency != own and lists.facts.multi_currency:
        yield Issue(
            code="currency_mismatch",
            path="currency",
            message=f"The document is in {currency}, but the {words} {party.full_name} is kept in {own} in QuickBooks.",
            next_step=f"Link {link.name} to a {words} in {currency}, or export the document in {own}.",
            owner=Owner.BOOKKEEPER,
        )
    # A job takes address and terms from the customer above it (qbxml.md 7.8).
    if isinstance(document, Invoice) and document.bill_to is None and _all_without(family, "has_address"):
        yield _warning(
            "bill_to_missing",
            "bill_to",
            f"The invoice has no bill-to address, and neither has the customer {party.full_name} in QuickBooks.",
            f"Give {party.full_name} an address in QuickBooks, or send `bill_to` with the invoice.",
        )
    if document.terms is None and document.due_date is None and _all_without(family, "terms"):
        due = "due on its date" if isinstance(document, Invoice) else "due as the preferences of QuickBooks say"
        yield _warning(
            "terms_missing",
            "terms",
            f"The document has neither terms nor a due date, and {party.full_name} has no terms: it will be {due}.",
            f"Give {party.full_name} terms in QuickBooks, or send `terms` or `due_date` with the document.",
        )


def _currencies(document: Invoice | CarrierBill, party: ListItem, rules: CompanyRules) -> tuple[str, str | None]:
    return (document.currency or rules.home_currency).upper(), currency_code(party.facts.get("currency"))


def _all_without(family: list[ListItem], fact: str) -> bool:
    """Say whether QuickBooks told of each that it has none; what it did not tell is no finding."""
    return all(fact in entry.facts and not entry.facts[fact] for entry in family)


def _lines(document: Invoice | CarrierBill, links: list[Link], lists: Lists) -> Iterator[Issue]:
    if isinstance(document, CarrierBill):
        return
    charges = [link for link in links if link.section == "charges"]
    for index, (line, link) in enumerate(zip(document.lines, charges, strict=True)):
        money = line_money(line.amount, line.quantity, line.rate)
        if isinstance(money, AmountMismatch) or money.quantity is None:
            continue
        item = _entry(link, lists)
        if item is not None and item.type == "Discount":
            yield Issue(
                code="discount_with_quantity",
                path=f"lines[{index}].quantity",
                message=f"The item {item.full_name} is a discount, which QuickBooks keeps without a quantity.",
                next_step="Leave quantity and rate out of the line, or link the charge to another item.",
            )


def _warning(code: str, path: str, message: str, next_step: str, owner: Owner = Owner.BOOKKEEPER) -> Issue:
    return Issue(code=code, path=path, message=message, next_step=next_step, owner=owner, severity=Severity.WARNING)
