"""Whether QuickBooks may put sales tax on invoice lines that name no tax code: by the customer's and the items' own."""

from __future__ import annotations

from collections.abc import Iterator

from mapping.fits import ancestors
from mapping.issues import Issue, Owner, Severity
from mapping.lists import ListItem, ListKind, Lists

_NEXT = (
    "Choose the sales tax code of invoice lines under Mapping > Defaults: a non-taxable one such as Non, unless "
    "freight is taxed."
)


def is_taxable(entry: ListItem, lists: Lists) -> bool | None:
    """Say whether the tax code of a customer or item is taxable; None: it has none, or nobody knows.

    A job without a code has that of the customer above it.
    """
    for one in (entry, *ancestors(entry, lists)):
        code_id = one.facts.get("tax_code")
        code = lists.by_list_id(ListKind.SALES_TAX_CODE, code_id) if code_id else None
        if code is not None:
            taxable = code.facts.get("is_taxable")
            return bool(taxable) if taxable is not None else None
    return None


def tax_issues(customer: ListItem, path: str, items: list[tuple[str, ListItem]], lists: Lists) -> Iterator[Issue]:
    """Warn of tax that nothing in the document overrides. `path` and those of the items say where they stand."""
    owes = is_taxable(customer, lists)
    if owes:
        yield Issue(
            code="customer_taxable",
            path=path,
            message=f"The customer {customer.full_name} owes sales tax in QuickBooks, and invoice lines have no tax "
            "code: QuickBooks may add sales tax on top of the total.",
            next_step=_NEXT,
            owner=Owner.BOOKKEEPER,
            severity=Severity.WARNING,
        )
        return
    if owes is None:
        for where, item in items:
            if is_taxable(item, lists):
                yield Issue(
                    code="item_taxable",
                    path=where,
                    message=f"The item {item.full_name} is taxable in QuickBooks, and invoice lines have no tax code: "
                    "QuickBooks may add sales tax on top of the total.",
                    next_step=_NEXT,
                    owner=Owner.BOOKKEEPER,
                    severity=Severity.WARNING,
                )
                return
