"""Comparing what the store holds of QuickBooks' lists with what the simulated company file holds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from simulator.company import CompanyFile
from simulator.records import Account, ClassObject, Customer, Item, ListObject, SalesTaxCode, Template, Terms, Vendor
from store.engine import Database
from store.list_tables import ListEntry
from store.sync_tables import CompanySync, ListSync

KINDS = {
    "customers": "customer",
    "vendors": "vendor",
    "items": "item",
    "accounts": "account",
    "terms": "terms",
    "classes": "class",
    "tax_codes": "sales_tax_code",
    "templates": "template",
}
KINDS_OF: dict[type[ListObject], str] = {
    Customer: "customer",
    Vendor: "vendor",
    Item: "item",
    Account: "account",
    Terms: "terms",
    ClassObject: "class",
    SalesTaxCode: "sales_tax_code",
    Template: "template",
}
Known = dict[tuple[str, str], tuple[Any, ...]]


def in_quickbooks(company: CompanyFile) -> Known:
    """Every entry of the file: name, type, whether it is active, parent, facts."""
    return {
        (kind, entry.list_id): (entry.full_name, _type(entry), entry.is_active, entry.parent, _told(_facts(entry)))
        for name, kind in KINDS.items()
        for entry in getattr(company.state, name)
    }


def in_store(database: Database, company_id: str = "acme") -> Known:
    """Every entry of the store that is not gone, in the same form."""
    with database.transaction() as session:
        rows = session.scalars(select(ListEntry).where(ListEntry.company_id == company_id)).all()
    return {
        (row.kind, row.list_id): (row.full_name, row.type, row.is_active, row.parent_list_id, _told(row.facts))
        for row in rows
        if not row.is_gone
    }


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def gone(database: Database, company_id: str = "acme") -> set[str]:
    """The ListIDs of the entries that are marked as gone."""
    with database.transaction() as session:
        query = select(ListEntry.list_id).where(ListEntry.company_id == company_id, ListEntry.is_gone)
        return set(session.scalars(query))


def sync_of(database: Database, company_id: str = "acme") -> CompanySync:
    with database.transaction() as session:
        sync = session.get(CompanySync, company_id)
        assert sync is not None
        return sync


def list_of(database: Database, kind: str, company_id: str = "acme") -> ListSync:
    with database.transaction() as session:
        row = session.get(ListSync, (company_id, kind))
        assert row is not None
        return row


def _type(entry: ListObject) -> str:
    match entry:
        case Item():
            return entry.kind
        case Account():
            return entry.account_type
        case Terms():
            return "Standard"
        case Template():
            return entry.template_type
    return ""


def _facts(entry: ListObject) -> dict[str, Any]:
    match entry:
        case Customer():
            return _known(terms=entry.terms, has_address=bool(entry.bill_address), tax_code=entry.tax_code)
        case Vendor():
            return _known(terms=entry.terms, has_address=bool(entry.address))
        case Item():
            expense = entry.expense_account or entry.account
            return _known(
                income_account=entry.account,
                expense_account=expense,
                is_two_sided=entry.is_two_sided,
                tax_code=entry.tax_code,
            )
        case Account():
            return _known(number=entry.number)
        case SalesTaxCode():
            return {"is_taxable": entry.is_taxable}
    return {}


def _known(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
