"""What a target of the mapping stands for in a transaction, and so in which QuickBooks list it must be."""

from __future__ import annotations

from enum import StrEnum

from mapping.lists import ListKind


class Role(StrEnum):
    """The places of a transaction that a target can fill."""

    INVOICE_ITEM = "invoice_item"
    BILL_ITEM = "bill_item"
    BILL_ACCOUNT = "bill_account"
    CUSTOMER = "customer"
    VENDOR = "vendor"
    TERMS = "terms"
    CLASS = "class"
    AR_ACCOUNT = "ar_account"
    AP_ACCOUNT = "ap_account"
    TEMPLATE = "template"
    TAX_CODE = "tax_code"
    BILL_TAX_CODE = "bill_tax_code"

    @property
    def kind(self) -> ListKind:
        """Give the list."""
        return _KINDS[self]


_KINDS = {
    Role.INVOICE_ITEM: ListKind.ITEM,
    Role.BILL_ITEM: ListKind.ITEM,
    Role.BILL_ACCOUNT: ListKind.ACCOUNT,
    Role.CUSTOMER: ListKind.CUSTOMER,
    Role.VENDOR: ListKind.VENDOR,
    Role.TERMS: ListKind.TERMS,
    Role.CLASS: ListKind.CLASS,
    Role.AR_ACCOUNT: ListKind.ACCOUNT,
    Role.AP_ACCOUNT: ListKind.ACCOUNT,
    Role.TEMPLATE: ListKind.TEMPLATE,
    Role.TAX_CODE: ListKind.SALES_TAX_CODE,
    Role.BILL_TAX_CODE: ListKind.SALES_TAX_CODE,
}

WORDS = {
    ListKind.ITEM: "item",
    ListKind.ACCOUNT: "account",
    ListKind.CUSTOMER: "customer",
    ListKind.VENDOR: "vendor",
    ListKind.TERMS: "terms",
    ListKind.CLASS: "class",
    ListKind.SALES_TAX_CODE: "sales tax code",
    ListKind.TEMPLATE: "template",
}
"""The lists as people name one entry of them."""


def with_article(noun: str) -> str:
    """Put "a" or "an" before a noun."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
