"""The program, the company file and its preferences: requests and answers (qbxml.md 2.3, web-connector.md 2.1)."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import ClassVar

from pydantic_xml import element

from qbxml.base import QueryRequest, ReadModel
from qbxml.values import Guid, RefRet, Str50


class HostQuery(QueryRequest, tag="HostQueryRq"):
    """Which QuickBooks is running and what it understands."""

    request_tag: ClassVar[str] = "HostQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class CompanyQuery(QueryRequest, tag="CompanyQueryRq"):
    """Which company file is open; with `owner_ids` also the private data stored in it."""

    request_tag: ClassVar[str] = "CompanyQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())
    owner_ids: tuple[Guid, ...] = element(tag="OwnerID", default=())


class PreferencesQuery(QueryRequest, tag="PreferencesQueryRq"):
    """How the company file is set up."""

    request_tag: ClassVar[str] = "PreferencesQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class CompanyActivityQuery(QueryRequest, tag="CompanyActivityQueryRq"):
    """When the file was last restored from a backup (qbxml.md 1.4)."""

    request_tag: ClassVar[str] = "CompanyActivityQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class CompanyActivityRet(ReadModel, tag="CompanyActivityRet"):
    """What happened to the file as a whole; times stay text (qbxml.md 5.4)."""

    last_restore_time: str | None = element(tag="LastRestoreTime", default=None)
    last_condense_time: str | None = element(tag="LastCondenseTime", default=None)


class AccountingPreferencesRet(ReadModel):
    """Accounts, classes and the closing date."""

    is_using_account_numbers: bool | None = element(tag="IsUsingAccountNumbers", default=None)
    is_requiring_accounts: bool | None = element(tag="IsRequiringAccounts", default=None)
    is_using_class_tracking: bool | None = element(tag="IsUsingClassTracking", default=None)
    assign_classes_to: str | None = element(tag="AssignClassesTo", default=None)
    closing_date: datetime.date | None = element(tag="ClosingDate", default=None)


class MultiCurrencyPreferencesRet(ReadModel):
    """Whether the file keeps several currencies."""

    is_multi_currency_on: bool | None = element(tag="IsMultiCurrencyOn", default=None)
    home_currency_ref: RefRet | None = element(tag="HomeCurrencyRef", default=None)


class SalesTaxPreferencesRet(ReadModel):
    """The tax defaults; the whole aggregate is absent when sales tax is off."""

    default_item_sales_tax_ref: RefRet | None = element(tag="DefaultItemSalesTaxRef", default=None)
    default_taxable_sales_tax_code_ref: RefRet | None = element(tag="DefaultTaxableSalesTaxCodeRef", default=None)
    default_non_taxable_sales_tax_code_ref: RefRet | None = element(
        tag="DefaultNonTaxableSalesTaxCodeRef", default=None
    )


class PurchasesPreferencesRet(ReadModel):
    """Defaults for bills."""

    days_bills_are_due: Decimal | None = element(tag="DaysBillsAreDue", default=None)


class AppAccessRightsRet(ReadModel):
    """What this application may do in the file."""

    is_automatic_login_allowed: bool | None = element(tag="IsAutomaticLoginAllowed", default=None)
    automatic_login_user_name: str | None = element(tag="AutomaticLoginUserName", default=None)
    is_personal_data_access_allowed: bool | None = element(tag="IsPersonalDataAccessAllowed", default=None)


class PreferencesRet(ReadModel, tag="PreferencesRet"):
    """The preferences that change how documents must be built. None means that QuickBooks did not say."""

    accounting: AccountingPreferencesRet | None = element(tag="AccountingPreferences", default=None)
    multi_currency: MultiCurrencyPreferencesRet | None = element(tag="MultiCurrencyPreferences", default=None)
    purchases: PurchasesPreferencesRet | None = element(tag="PurchasesAndVendorsPreferences", default=None)
    sales_tax: SalesTaxPreferencesRet | None = element(tag="SalesTaxPreferences", default=None)
    app_access: AppAccessRightsRet | None = element(tag="CurrentAppAccessRights", default=None)

    @property
    def is_using_class_tracking(self) -> bool | None:
        """Whether classes may be sent; with tracking off they are ignored or refused with code 3250."""
        return self.accounting.is_using_class_tracking if self.accounting else None

    @property
    def is_requiring_accounts(self) -> bool | None:
        """Whether every line must name an account."""
        return self.accounting.is_requiring_accounts if self.accounting else None

    @property
    def is_multi_currency_on(self) -> bool | None:
        """Whether customers, vendors and accounts have currencies of their own."""
        return self.multi_currency.is_multi_currency_on if self.multi_currency else None

    @property
    def is_using_sales_tax(self) -> bool:
        """Whether sales tax is switched on, which shows in the presence of its preferences (qbxml.md 2.3)."""
        return self.sales_tax is not None

    @property
    def closing_date(self) -> datetime.date | None:
        """The last day of the closed period; documents dated on or before it are refused (code 3171)."""
        return self.accounting.closing_date if self.accounting else None
