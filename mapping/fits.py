"""Whether an entry of a QuickBooks list can do what a mapping wants of it (qbxml.md 3.1, 3.3, 6.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mapping.currencies import currency_code
from mapping.issues import Owner, Severity
from mapping.lists import ListItem, ListKind, Lists
from mapping.roles import WORDS, Role, with_article

MAX_DEPTH = 10
"""QuickBooks nests five levels; a longer chain of parents is a circle."""

_INVOICE_TYPES = frozenset(
    {"Service", "NonInventory", "OtherCharge", "Inventory", "InventoryAssembly", "FixedAsset", "Discount"}
)
_BILL_TYPES = _INVOICE_TYPES - {"Discount"}
_INCOME = frozenset({"Income", "OtherIncome"})
_COST = frozenset({"CostOfGoodsSold", "Expense", "OtherExpense"})
_NEVER_EXPENSE = frozenset({"AccountsReceivable", "AccountsPayable", "NonPosting"})
_RARELY_EXPENSE = frozenset({"Bank", "CreditCard", "Equity", "Income"})
_SIDES = {Role.INVOICE_ITEM: ("invoice line", _INVOICE_TYPES), Role.BILL_ITEM: ("bill line", _BILL_TYPES)}
_ACCOUNTS = {
    Role.AR_ACCOUNT: ("AccountsReceivable", "accounts receivable"),
    Role.AP_ACCOUNT: ("AccountsPayable", "accounts payable"),
}
_OUR_OTHER = "Choose another entry in the mapping."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """One reason why an entry does not fit. `message` continues "The charge FUEL is linked to ..."."""

    code: str
    message: str
    next_step: str
    owner: Owner = Owner.BOOKKEEPER
    severity: Severity = Severity.ERROR

    @property
    def is_error(self) -> bool:
        """Say whether it stands in the way."""
        return self.severity is Severity.ERROR


def unfit(entry: ListItem, role: Role, lists: Lists) -> Iterator[Unfit]:
    """Give every reason why an entry, found in the list of its role, does not fit; nothing: it fits."""
    named = f"the {WORDS[entry.kind]} {entry.full_name}"
    if entry.is_gone:
        yield Unfit(
            code="target_gone",
            message=f"{named}, which was deleted in QuickBooks or merged into another entry",
            next_step=_OUR_OTHER,
            owner=Owner.TMS_USER,
        )
        return
    yield from _inactive(entry, named, lists)
    match role:
        case Role.INVOICE_ITEM | Role.BILL_ITEM:
            yield from _item(entry, role, named, lists)
        case Role.BILL_ACCOUNT:
            yield from _expense_account(entry, named)
        case Role.AR_ACCOUNT | Role.AP_ACCOUNT:
            wanted, words = _ACCOUNTS[role]
            if entry.type and entry.type != wanted:
                yield _wrong_account(named, entry.type, words)
        case Role.TEMPLATE:
            if entry.type and entry.type != "Invoice":
                yield Unfit(
                    code="template_type_unfit",
                    message=f"{named}, which is no template of invoices but of the kind {entry.type}",
                    next_step="Choose a template of the kind Invoice, or leave the template out.",
                )
        case Role.CLASS:
            if lists.facts.class_tracking is False:
                yield Unfit(
                    code="class_tracking_off",
                    message=f"{named}, but class tracking is off in this company file: documents go without a class",
                    next_step="Switch class tracking on in QuickBooks (Edit, Preferences, Accounting) if classes are "
                    "wanted.",
                    severity=Severity.WARNING,
                )
        case Role.CUSTOMER | Role.VENDOR:
            yield from _foreign_currency(entry, named, lists)
        case Role.TAX_CODE | Role.BILL_TAX_CODE:
            yield from _taxable(entry, role, named, lists)
        case Role.TERMS:
            pass


def is_reimbursable(account: ListItem) -> bool:
    """Say whether a cost on this account can be billed on to a customer, or be marked as not to be.

    QuickBooks refuses either mark on an account that holds no cost: "Target is not reimbursable" (code 3210).
    """
    return not account.type or account.type in _COST


def fits(entry: ListItem, role: Role, lists: Lists) -> bool:
    """Say whether nothing stands in the way; warnings do not."""
    return not any(reason.is_error for reason in unfit(entry, role, lists))


def ancestors(entry: ListItem, lists: Lists) -> Iterator[ListItem]:
    """Give the entries above an entry, nearest first."""
    for _ in range(MAX_DEPTH):
        parent = lists.by_list_id(entry.kind, entry.parent_list_id) if entry.parent_list_id else None
        if parent is None:
            return
        yield parent
        entry = parent


def _inactive(entry: ListItem, named: str, lists: Lists) -> Iterator[Unfit]:
    if not entry.is_active:
        yield Unfit(
            code="target_inactive",
            message=f"{named}, which is inactive in QuickBooks",
            next_step=f"Make {entry.full_name} active in QuickBooks, or choose another entry in the mapping.",
        )
        return
    for parent in ancestors(entry, lists):
        if not parent.is_active or parent.is_gone:
            yield Unfit(
                code="parent_inactive",
                message=f"{named}, which stands under {parent.full_name}, and that is inactive in QuickBooks",
                next_step=f"Make {parent.full_name} active in QuickBooks, or choose another entry in the mapping.",
            )
            return


def _item(entry: ListItem, role: Role, named: str, lists: Lists) -> Iterator[Unfit]:
    place, types = _SIDES[role]
    if entry.type and entry.type not in types:
        yield Unfit(
            code="item_type_unfit",
            message=f"{named} of the type {entry.type}, which cannot stand for a charge on {with_article(place)}",
            next_step="Choose an item of the type Service or Other Charge.",
        )
        return
    if entry.facts.get("is_two_sided", True):
        return
    # A one-sided item has one account for both directions, whichever of the two the sync wrote down.
    account_id = entry.facts.get("income_account") or entry.facts.get("expense_account")
    account = lists.by_list_id(ListKind.ACCOUNT, account_id) if account_id else None
    if account is None:
        return
    if role is Role.BILL_ITEM and account.type in _INCOME:
        yield Unfit(
            code="item_income_only",
            message=f"{named}, which posts to the income account {account.full_name} only: a bill would lower the "
            "income instead of showing a cost",
            next_step="Choose an account or a two-sided item, or tick 'This item is used in assemblies or is a "
            f"reimbursable charge' on {entry.full_name} in QuickBooks and give it an expense account.",
        )
    if role is Role.INVOICE_ITEM and account.type in _COST:
        yield Unfit(
            code="item_cost_only",
            message=f"{named}, which posts to the cost account {account.full_name} only: an invoice would lower the "
            "cost instead of showing income",
            next_step="Leave it if the charge is passed on at cost; otherwise choose an item with an income account.",
            severity=Severity.WARNING,
        )


def _expense_account(entry: ListItem, named: str) -> Iterator[Unfit]:
    if entry.type in _NEVER_EXPENSE:
        yield _wrong_account(named, entry.type, "costs of carriers")
    elif entry.type in _RARELY_EXPENSE:
        yield Unfit(
            code="account_type_unusual",
            message=f"{named} of the type {entry.type}, where costs of carriers rarely belong",
            next_step="Check that the bills shall post there; usual is an account of the type Cost of Goods Sold.",
            severity=Severity.WARNING,
        )


def _wrong_account(named: str, found: str, wanted: str) -> Unfit:
    return Unfit(
        code="account_type_unfit",
        message=f"{named} of the type {found}, which cannot take {wanted}",
        next_step=f"Choose an account for {wanted}.",
    )


def _taxable(entry: ListItem, role: Role, named: str, lists: Lists) -> Iterator[Unfit]:
    """Warn of tax on top: documents have none, so what QuickBooks adds makes its total another one (qbxml.md 0.9)."""
    where = "of each bill" if role is Role.BILL_TAX_CODE else "of each invoice to a customer who owes it"
    if entry.facts.get("is_taxable") and lists.facts.sales_tax is not False:
        yield Unfit(
            code="tax_code_taxable",
            message=f"{named}, which is taxable: QuickBooks adds sales tax on top of the total {where}",
            next_step="Choose a non-taxable code such as Non, unless sales tax is owed on freight.",
            severity=Severity.WARNING,
        )


def _foreign_currency(entry: ListItem, named: str, lists: Lists) -> Iterator[Unfit]:
    facts = lists.facts
    own, home = currency_code(entry.facts.get("currency")), currency_code(facts.home_currency)
    if facts.multi_currency is False and own and home and own != home:
        yield Unfit(
            code="currency_unfit",
            message=f"{named}, which is kept in {own}, but this company file keeps its books in {home} only",
            next_step=f"Choose an entry in {home}, or switch on multiple currencies in QuickBooks.",
        )
