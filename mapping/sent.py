"""What a document says in QuickBooks when it is sent, as data: kept then, whatever mapping and TMS say later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mapping.documents import CarrierBill, Invoice
from mapping.links import Link, links_of
from mapping.result import Mapped
from mapping.rules import CompanyRules, Target
from qbxml.bills import BillAdd
from qbxml.invoices import InvoiceAdd

Frozen = dict[str, Any]
"""The JSON of `SentDocument` (tms_api/sent.py)."""


def frozen(document: Invoice | CarrierBill, mapped: Mapped, rules: CompanyRules) -> Frozen:
    """Give header, party and lines with what each is in QuickBooks."""
    links = {link.path: link for link in links_of(document, rules.mapping)}
    party = document.carrier if isinstance(document, CarrierBill) else document.customer
    party_path = "carrier.id" if isinstance(document, CarrierBill) else "customer.id"
    return {
        "number": document.number,
        "ref_number": mapped.ref_number,
        "date": document.date.isoformat(),
        "due_date": document.due_date.isoformat() if document.due_date is not None else None,
        "currency": currency_of(document, rules),
        "total": str(document.total),
        "memo": mapped.transaction.memo,
        "party": {"id": party.id, "name": party.name, **_target(links, party_path)},
        "terms": _coded(document.terms, links, "terms"),
        "class": _coded(document.class_name, links, "class") if _has_class(mapped.transaction) else None,
        "lines": [_line(line, index, links) for index, line in enumerate(document.lines)],
    }


def _has_class(transaction: InvoiceAdd | BillAdd) -> bool:
    if isinstance(transaction, InvoiceAdd):
        return transaction.class_ref is not None
    of_lines = [line.class_ref for line in transaction.expense_lines] + [
        line.class_ref for line in transaction.item_lines
    ]
    return any(one is not None for one in of_lines)


def currency_of(document: Invoice | CarrierBill, rules: CompanyRules) -> str:
    """Give the code of the currency that a document is in."""
    return (document.currency or rules.home_currency).upper()


def _line(line: Any, index: int, links: Mapping[str, Link]) -> Frozen:
    customer = getattr(line, "customer", None)
    path = f"lines[{index}]"
    return {
        "charge": line.charge,
        "description": line.description,
        "quantity": format(line.quantity, "f") if line.quantity is not None else None,
        "rate": format(line.rate, "f") if line.rate is not None else None,
        "amount": str(line.amount),
        "target": {"kind": links[f"{path}.charge"].role.kind.value, **_target(links, f"{path}.charge")},
        "customer": {"id": customer.id, "name": customer.name, **_target(links, f"{path}.customer.id")}
        if customer is not None
        else None,
    }


def _coded(code: str | None, links: Mapping[str, Link], path: str) -> Frozen | None:
    return {"name": code, **_target(links, path)} if code is not None else None


def _target(links: Mapping[str, Link], path: str) -> Frozen:
    link = links.get(path)
    target: Target | None = link.target if link is not None else None
    return {
        "list_id": target.list_id if target is not None else None,
        "full_name": target.full_name if target is not None else None,
    }
