"""Pure: what QuickBooks holds, compared with what was meant (design.md 9.6; qbxml.md 0.9, 3.8).

It is there, whatever it holds: a difference never undoes that. What the answer does not say is not compared; a figure
that cannot be read is a difference, for nobody can say that it is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from mapping.currencies import currency_code
from qbwc_bridge.facts import Facts
from qbxml.written import Written
from workflows.contracts import Difference, DifferenceCause

_FIGURE = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,10})?")
_SHOWN_MAX = 209
"""The longest name of a customer; a longer text is no value that anybody could compare."""


def differences(
    operation: str, facts: Facts, written: Written, *, currency: str | None = None
) -> tuple[Difference, ...]:
    """Give each field in which the transaction of an Add is otherwise than `facts` say, in a fixed order.

    `currency` is the code of the document's; figures of both sides are in the transaction's own currency.
    """
    is_invoice = operation == "InvoiceAdd"
    found = (
        _total(facts, written, is_invoice=is_invoice),
        _currency(currency, written),
        _entity(facts, written, "customer" if is_invoice else "carrier"),
        _date(facts, written),
        _ref_number(facts, written),
    )
    return tuple(one for one in found if one is not None)


def _total(facts: Facts, written: Written, *, is_invoice: bool) -> Difference | None:
    parts = (written.subtotal, written.sales_tax_total) if is_invoice else (written.amount_due,)
    if parts[0] is None:
        return None
    figures = list(_figures(part for part in parts if part is not None))
    if None in figures:
        return _difference("total", facts.total, " + ".join(part for part in parts if part is not None))
    read = [figure for figure in figures if figure is not None]
    total, meant = sum(read, Decimal(0)), Decimal(facts.total)
    if total == meant:
        return None
    is_taxed = is_invoice and read[0] == meant
    cause = DifferenceCause.SALES_TAX if is_taxed else DifferenceCause.QUICKBOOKS
    return _difference("total", facts.total, f"{total:.2f}", cause)


def _figures(texts: Iterator[str]) -> Iterator[Decimal | None]:
    for text in texts:
        yield Decimal(text) if _FIGURE.fullmatch(text) else None


def _entity(facts: Facts, written: Written, path: str) -> Difference | None:
    """Compare ListIDs, which a new name does not change; names only where one side has no ListID."""
    if facts.entity_list_id and written.entity_list_id:
        is_same = facts.entity_list_id.casefold() == written.entity_list_id.casefold()
    elif facts.entity_full_name and written.entity_full_name:
        is_same = facts.entity_full_name.casefold() == written.entity_full_name.casefold()
    else:
        return None
    if is_same:
        return None
    meant = facts.entity_full_name or facts.entity_list_id or ""
    return _difference(path, meant, written.entity_full_name or written.entity_list_id)


def _currency(meant: str | None, written: Written) -> Difference | None:
    """Compare codes; a currency that QuickBooks calls by a name we do not know is not compared."""
    code = currency_code(written.currency)
    if meant is None or code is None or code == meant:
        return None
    return _difference("currency", meant, written.currency)


def _date(facts: Facts, written: Written) -> Difference | None:
    if written.txn_date is None or written.txn_date == facts.txn_date:
        return None
    return _difference("date", facts.txn_date, written.txn_date)


def _ref_number(facts: Facts, written: Written) -> Difference | None:
    # Every transaction is answered with its date, and without its number only when it has none (qbxml.md 7.4).
    is_told = written.ref_number is not None or written.txn_date is not None
    if not is_told or written.ref_number == facts.ref_number:
        return None
    return _difference("ref_number", facts.ref_number, written.ref_number)


def _difference(
    path: str, sent: str, books: str | None, by: DifferenceCause = DifferenceCause.QUICKBOOKS
) -> Difference:
    return Difference(path=path, sent=sent, books=books[:_SHOWN_MAX] if books is not None else None, by=by)
