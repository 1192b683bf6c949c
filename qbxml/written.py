"""What QuickBooks says of a transaction of ours that is there, read field by field as text (qbxml.md 3.8).

The answer to an Add is read on every call of a session, and whatever is odd in it must not undo the proof that the
transaction is there: so nothing is converted or validated here, and one pass over the first fields is all it costs.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from qbxml.bills import BillRet
from qbxml.invoices import InvoiceRet

_FIELDS = {
    "EditSequence": "edit_sequence",
    "TxnNumber": "txn_number",
    "TxnDate": "txn_date",
    "RefNumber": "ref_number",
    "Subtotal": "subtotal",
    "SalesTaxTotal": "sales_tax_total",
    "AmountDue": "amount_due",
}
_ENTITIES = ("CustomerRef", "VendorRef")
_LINES = ("InvoiceLineRet", "InvoiceLineGroupRet", "ExpenseLineRet", "ItemLineRet", "ItemGroupLineRet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A transaction that is in QuickBooks, in QuickBooks' own texts. None: the answer does not say it."""

    txn_id: str
    edit_sequence: str | None = None
    ref_number: str | None = None
    txn_number: str | None = None
    txn_date: str | None = None
    """`YYYY-MM-DD`."""
    entity_list_id: str | None = None
    """Of the customer or vendor."""
    entity_full_name: str | None = None
    subtotal: str | None = None
    """Invoices: the sum of the lines before sales tax, in the transaction's currency."""
    sales_tax_total: str | None = None
    amount_due: str | None = None
    """Bills: the sum of the lines, in the transaction's currency."""
    currency: str | None = None
    """As QuickBooks names it, such as `US Dollar`; only where the file keeps several currencies."""


def read_written(txn_id: str, ret: etree._Element | None) -> Written:
    """Read the fields in front of the lines, each that is there; without a Ret, the id is all that is known."""
    found: dict[str, str | None] = {}
    for child in ret.iterchildren("*") if ret is not None else ():
        tag = str(child.tag)
        name = _FIELDS.get(tag)
        if name is not None:
            found[name] = (child.text or "").strip() or None
        elif tag in _ENTITIES:
            found["entity_list_id"] = _text(child, "ListID")
            found["entity_full_name"] = _text(child, "FullName")
        elif tag == "CurrencyRef":
            found["currency"] = _text(child, "FullName")
        elif tag in _LINES:
            break  # nothing that is asked for stands behind them, and there may be a thousand
    return Written(txn_id=txn_id, **found)


def written_of(ret: InvoiceRet | BillRet) -> Written:
    """Say the same of a transaction that a query found."""
    entity = ret.customer_ref if isinstance(ret, InvoiceRet) else ret.vendor_ref
    return Written(
        txn_id=ret.txn_id,
        edit_sequence=ret.edit_sequence,
        ref_number=ret.ref_number or None,
        txn_number=_str(ret.txn_number),
        txn_date=_str(ret.txn_date),
        entity_list_id=entity.list_id if entity is not None else None,
        entity_full_name=entity.full_name if entity is not None else None,
        subtotal=_str(ret.subtotal) if isinstance(ret, InvoiceRet) else None,
        sales_tax_total=_str(ret.sales_tax_total) if isinstance(ret, InvoiceRet) else None,
        amount_due=_str(ret.amount_due) if isinstance(ret, BillRet) else None,
        currency=ret.currency_ref.full_name if ret.currency_ref is not None else None,
    )


def _text(node: etree._Element, path: str) -> str | None:
    return (node.findtext(path) or "").strip() or None


def _str(value: object) -> str | None:
    return None if value is None else str(value)
