"""QuickBooks refused an entry: people are told its name and not its ListID, and its list is read again."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy.orm import Session

from mapping.lists import ListKind
from qbwc_bridge.rulings import Rejected
from qbxml import invalid_references
from qbxml.invalid_references import Why
from store import list_syncs, lists

_GONE = frozenset({"3000", "3120", "3240"})
"""Codes by which an id that is no more is refused as well (qbxml.md 6.2)."""


def kind_of(words: str) -> ListKind | None:
    """Give the list that QuickBooks' words mean: `AR Account`, `InvoiceLine SalesTaxCode`; None: one we do not keep."""
    name = words.replace(" ", "").casefold()
    if name.endswith("salestaxcode"):
        return ListKind.SALES_TAX_CODE
    if name.startswith("itemsalestax"):
        return ListKind.ITEM
    endings = (
        ("account", ListKind.ACCOUNT),
        ("customer", ListKind.CUSTOMER),
        ("customer:job", ListKind.CUSTOMER),
        ("vendor", ListKind.VENDOR),
        ("item", ListKind.ITEM),
        ("terms", ListKind.TERMS),
        ("class", ListKind.CLASS),
        ("template", ListKind.TEMPLATE),
    )
    return next((kind for ending, kind in endings if name.endswith(ending)), None)


def told_by_name(session: Session, company_id: str, ruling: Rejected) -> Rejected:
    """Give the ruling with the name that the entry has in our lists in place of its ListID."""
    if ruling.verdict.code in _GONE:
        return _named_in_message(session, company_id, ruling)
    if ruling.verdict.code != str(invalid_references.CODE):
        return ruling
    found = invalid_references.read(ruling.message)
    kind = kind_of(found.kind)
    entry = lists.entry(session, company_id, kind, found.list_id) if kind is not None and found.list_id else None
    if entry is None:
        return ruling
    named = invalid_references.entry_of(dataclasses.replace(found, name=entry.full_name))
    return dataclasses.replace(
        ruling,
        verdict=named.verdict(ruling.verdict.code),
        message=ruling.message.replace(f'"{found.name}"', f'"{entry.full_name}"'),
    )


def _named_in_message(session: Session, company_id: str, ruling: Rejected) -> Rejected:
    """Name a ListID of which the message does not say whose list it is from; ListIDs of two lists never meet."""
    message = ruling.message
    for list_id in dict.fromkeys(invalid_references.list_ids(message)):
        found = (lists.entry(session, company_id, kind, list_id) for kind in ListKind)
        entry = next((one for one in found if one is not None), None)
        if entry is not None:
            message = message.replace(f'"{list_id}"', f'"{entry.full_name}"')
    return dataclasses.replace(ruling, message=message)


def read_again(session: Session, company_id: str, ruling: Rejected, *, at: datetime) -> None:
    """Have the lists read in the next session when one has lost an entry: the one that QuickBooks names as a whole."""
    if ruling.verdict.code == str(invalid_references.CODE):
        found = invalid_references.read(ruling.message)
        if found.why not in (Why.GONE, Why.INACTIVE, Why.UNSAID):
            return
        kind = kind_of(found.kind)
        if kind is not None:
            list_syncs.ask_whole(session, company_id, kind)
    elif ruling.verdict.code not in _GONE:
        return
    list_syncs.request_sync(session, company_id, at=at, full=False)
