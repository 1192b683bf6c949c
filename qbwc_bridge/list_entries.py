"""Pure: what QuickBooks answers about its lists and preferences, as rules and screens need it (`mapping.lists`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mapping.lists import CompanyFacts, ListKind
from qbwc_bridge.list_sync import Seen, Skipped
from qbxml.company import PreferencesRet
from qbxml.envelope import Response, UnreadableRow
from qbxml.lists import (
    AccountRet,
    ClassRet,
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

TIME_MAX = 40
"""Characters of a time that are kept; QuickBooks writes 25."""
_RETS: Mapping[str, type[ListRet]] = {
    ListKind.CUSTOMER: CustomerRet,
    ListKind.VENDOR: VendorRet,
    ListKind.ITEM: ItemRet,
    ListKind.ACCOUNT: AccountRet,
    ListKind.TERMS: TermsRet,
    ListKind.CLASS: ClassRet,
    ListKind.SALES_TAX_CODE: SalesTaxCodeRet,
    ListKind.TEMPLATE: TemplateRet,
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """The rows of an answer about one list."""

    rows: tuple[EntryRow, ...]
    skipped: tuple[Skipped, ...]
    """Rows that could not be read; they are left as they were."""
    seen: tuple[Seen, ...]
    """All of them in the order of the answer."""

    @property
    def named(self) -> frozenset[str]:
        """The ListIDs in the answer, those of unreadable rows too: these entries are in QuickBooks."""
        return frozenset({row.list_id for row in self.rows} | {row.list_id for row in self.skipped if row.list_id})


def page_of(kind: str, response: Response) -> Page:
    """Read the rows of a list; one that cannot be read, or is of another list, does not harm the others."""
    rows: list[EntryRow] = []
    skipped: list[Skipped] = []
    seen: list[Seen] = []
    for found in response.rows_of(_RETS[kind]):
        if isinstance(found, UnreadableRow):
            skipped.append(Skipped(list_id=found.list_id or "", name=found.name or "", reason=found.reason))
            seen.append(Seen(found.name or "", ""))
        else:
            row = entry_of(found)
            rows.append(row)
            seen.append(Seen(row.full_name, row.time_modified))
    return Page(rows=tuple(rows), skipped=tuple(skipped), seen=tuple(seen))


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
        time_modified=(ret.time_modified or "")[:TIME_MAX],
    )


def facts_of_company(preferences: PreferencesRet | None, country: str | None = None) -> CompanyFacts | None:
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
        country=country,
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
            return {
                "currency": _name(ret.currency_ref),
                "terms": _id(ret.terms_ref),
                "has_address": ret.bill_address is not None,
                "tax_code": _id(ret.sales_tax_code_ref),
            }
        case VendorRet():
            address = ret.vendor_address is not None
            return {"currency": _name(ret.currency_ref), "terms": _id(ret.terms_ref), "has_address": address}
        case ItemRet():
            return {
                "income_account": _id(ret.income_account_ref),
                "expense_account": _id(ret.expense_account_ref),
                "is_two_sided": ret.is_two_sided,
                "tax_code": _id(ret.sales_tax_code_ref),
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
