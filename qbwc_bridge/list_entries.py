"""Pure: what QuickBooks answers about its lists and preferences, as rules and screens need it (`mapping.lists`)."""

from __future__ import annotations

from typing import Any

from mapping.lists import CompanyFacts
from qbxml.company import PreferencesRet
from qbxml.lists import (
    AccountRet,
    CustomerRet,
    ItemRet,
    ListRet,
    SalesTaxCodeRet,
    TemplateRet,
    TermsRet,
    VendorRet,
)
from qbxml.values import RefRet
from store.list_writes import EntryRow


def entry_of(ret: ListRet) -> EntryRow:
    """Give the row of an entry."""
    parent: RefRet | None = getattr(ret, "parent_ref", None)
    return EntryRow(
        list_id=ret.list_id,
        full_name=ret.full_name,
        type=_type_of(ret),
        is_active=ret.is_active,
        parent_list_id=_id(parent),
        facts=_facts_of(ret),
        time_modified=ret.time_modified or "",
    )


def facts_of_company(preferences: PreferencesRet | None) -> CompanyFacts | None:
    """Give the preferences that matter; None when the Web Connector did not tell any."""
    if preferences is None:
        return None
    home = preferences.multi_currency.home_currency_ref if preferences.multi_currency else None
    return CompanyFacts(
        class_tracking=preferences.is_using_class_tracking,
        multi_currency=preferences.is_multi_currency_on,
        home_currency=home.full_name if home else None,
        sales_tax=preferences.is_using_sales_tax,
        requires_accounts=preferences.is_requiring_accounts,
        closing_date=preferences.closing_date,
    )


def _type_of(ret: ListRet) -> str:
    match ret:
        case ItemRet() | TermsRet():
            return ret.type
        case AccountRet():
            return ret.account_type or ""
        case TemplateRet():
            return ret.template_type or ""
    return ""


def _facts_of(ret: ListRet) -> dict[str, Any]:
    match ret:
        case CustomerRet():
            address = ret.bill_address is not None
            return {"currency": _name(ret.currency_ref), "terms": _id(ret.terms_ref), "has_address": address}
        case VendorRet():
            address = ret.vendor_address is not None
            return {"currency": _name(ret.currency_ref), "terms": _id(ret.terms_ref), "has_address": address}
        case ItemRet():
            return {
                "income_account": _id(ret.income_account_ref),
                "expense_account": _id(ret.expense_account_ref),
                "is_two_sided": ret.is_two_sided,
            }
        case AccountRet():
            return {"number": ret.account_number, "currency": _name(ret.currency_ref)}
        case SalesTaxCodeRet():
            return {"is_taxable": ret.is_taxable}
    return {}


def _id(ref: RefRet | None) -> str | None:
    return ref.list_id if ref is not None else None


def _name(ref: RefRet | None) -> str | None:
    return ref.full_name if ref is not None else None
