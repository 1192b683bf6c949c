"""The lists of a simulated company file: as the rules see them, and as the store keeps them after a sync."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mapping.known_lists import KnownLists
from mapping.lists import CompanyFacts, ListItem, ListKind
from simulator.company import CompanyFile
from simulator.records import Account, Customer, Item, ListObject, SalesTaxCode, Vendor
from store.engine import Database
from store.list_tables import ListEntry
from store.lists import name_key
from store.sync_tables import ListSync
from store.tables import Company


def _type(entry: ListObject) -> str:
    return str(
        getattr(entry, "kind", None) or getattr(entry, "account_type", None) or getattr(entry, "template_type", "")
    )


def _facts(entry: ListObject, home: str | None) -> dict[str, Any]:
    if isinstance(entry, Item):
        return {
            "income_account": entry.account,
            "expense_account": entry.expense_account or entry.account,
            "is_two_sided": entry.is_two_sided,
            "tax_code": entry.tax_code,
        }
    if isinstance(entry, Customer):
        return {
            "terms": entry.terms,
            "has_address": entry.bill_address is not None,
            "tax_code": entry.tax_code,
            "currency": home and (entry.currency or home),
        }
    if isinstance(entry, Vendor):
        currency = home and (entry.currency or home)
        return {"terms": entry.terms, "has_address": entry.address is not None, "currency": currency}
    if isinstance(entry, Account):
        return {"number": entry.number, "currency": home and (entry.currency or home)}
    if isinstance(entry, SalesTaxCode):
        return {"is_taxable": entry.is_taxable}
    return {}


SYNCED_AT = datetime(2026, 11, 23, tzinfo=UTC)


def entries_of(company: CompanyFile) -> list[ListItem]:
    """Every entry, as a sync would bring it."""
    state, home = company.state, facts_of(company).home_currency
    kinds: list[tuple[ListKind, list[Any]]] = [
        (ListKind.ITEM, state.items),
        (ListKind.ACCOUNT, state.accounts),
        (ListKind.CUSTOMER, state.customers),
        (ListKind.VENDOR, state.vendors),
        (ListKind.TERMS, state.terms),
        (ListKind.CLASS, state.classes),
        (ListKind.SALES_TAX_CODE, state.tax_codes),
        (ListKind.TEMPLATE, state.templates),
    ]
    return [
        ListItem(
            kind=kind,
            list_id=entry.list_id,
            full_name=entry.full_name,
            type=_type(entry),
            is_active=entry.is_active,
            parent_list_id=entry.parent,
            facts=_facts(entry, home),
        )
        for kind, entries in kinds
        for entry in entries
    ]


def facts_of(company: CompanyFile) -> CompanyFacts:
    """The preferences, as a session would tell them."""
    preferences = company.preferences
    return CompanyFacts(
        class_tracking=preferences.class_tracking,
        multi_currency=preferences.multi_currency,
        home_currency=preferences.home_currency if preferences.multi_currency else None,
        sales_tax=preferences.sales_tax_item is not None,
        requires_accounts=preferences.requires_accounts,
        closing_date=preferences.closing_date,
        country=company.state.country,
    )


def lists_of(company: CompanyFile) -> KnownLists:
    """The lists in memory."""
    return KnownLists(entries_of(company), facts_of(company), known=list(ListKind))


def store_lists(database: Database, company: CompanyFile, company_id: str = "acme") -> None:
    """Put the lists and preferences where a sync would, in place of those before."""
    with database.transaction() as session:
        row = session.get(Company, company_id)
        assert row is not None
        row.preferences = facts_of(company).model_dump(mode="json")
        known = {(old.kind, old.list_id): old for old in session.query(ListEntry).filter_by(company_id=company_id)}
        for old in known.values():
            old.is_gone = True
        for kind in ListKind:
            session.merge(
                ListSync(
                    company_id=company_id, kind=kind, phase="done", mode="full", is_ordered=True, last_full_at=SYNCED_AT
                )
            )
        for entry in entries_of(company):
            row_of_entry = ListEntry(
                company_id=company_id,
                kind=entry.kind,
                list_id=entry.list_id,
                full_name=entry.full_name,
                name_key=name_key(entry.full_name),
                type=entry.type,
                is_active=entry.is_active,
                is_gone=False,
                parent_list_id=entry.parent_list_id,
                facts=entry.facts,
                time_modified="",
                updated_at=SYNCED_AT,
            )
            if (entry.kind, entry.list_id) in known:
                session.merge(row_of_entry)
            else:
                session.add(row_of_entry)  # merging would ask the database for each
