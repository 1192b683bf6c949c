"""Lists that mapping screens show: requests and answers for customers, vendors, items, accounts, terms, classes, codes.

The answers hold only what a person needs to choose the right entry; everything else is skipped (qbxml.md 4.2).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_xml import attr, element

from qbxml.base import QueryRequest, ReadModel, RequestModel
from qbxml.queries import IteratedQuery, MatchCriterion
from qbxml.values import AddressRet, DataExtRet, Guid, RefRet, Str, Str31, Str36, Str50

# --- Requests -------------------------------------------------------------------------------------------------------


class NameFilter(RequestModel):
    """Names that start with, contain or end with a text."""

    match_criterion: MatchCriterion = element(tag="MatchCriterion")
    name: Str = element(tag="Name")


class NameRangeFilter(RequestModel):
    """Names from one to another; also the way to page lists that have no iterator (qbxml.md 4.3)."""

    from_name: Str | None = element(tag="FromName", default=None)
    to_name: Str | None = element(tag="ToName", default=None)


class ListQuery(IteratedQuery):
    """The filters that list queries share.

    Without `active_status="All"` an entry that was made inactive looks as if it had been deleted (qbxml.md 4.2).
    """

    #: Not every list has pages (qbxml.md 4.3).
    pages: ClassVar[bool] = False

    list_ids: tuple[Str36, ...] = element(tag="ListID", default=())
    full_names: tuple[Str, ...] = element(tag="FullName", default=())
    max_returned: int | None = element(tag="MaxReturned", default=None)
    active_status: Literal["ActiveOnly", "InactiveOnly", "All"] | None = element(tag="ActiveStatus", default=None)
    from_modified_date: Str | None = element(tag="FromModifiedDate", default=None)
    to_modified_date: Str | None = element(tag="ToModifiedDate", default=None)
    name_filter: NameFilter | None = element(tag="NameFilter", default=None)
    name_range: NameRangeFilter | None = element(tag="NameRangeFilter", default=None)

    @model_validator(mode="after")
    def _one_kind_of_question(self) -> Self:
        self._refuse_together(
            ("list_ids", "full_names"),
            (
                "iterator",
                "max_returned",
                "active_status",
                "from_modified_date",
                "to_modified_date",
                "name_filter",
                "name_range",
            ),
        )
        if self.name_filter is not None and self.name_range is not None:
            raise ValueError("name_filter and name_range exclude each other")
        if self.iterator is not None and not self.pages:
            raise ValueError(f"{self.request_tag} has no iterator")
        return self


class CustomerQuery(ListQuery, tag="CustomerQueryRq"):
    """Customers and jobs."""

    request_tag: ClassVar[str] = "CustomerQueryRq"
    pages: ClassVar[bool] = True

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())
    owner_ids: tuple[Guid, ...] = element(tag="OwnerID", default=())


class VendorQuery(ListQuery, tag="VendorQueryRq"):
    """Vendors; our carriers are among them."""

    request_tag: ClassVar[str] = "VendorQueryRq"
    pages: ClassVar[bool] = True

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())
    owner_ids: tuple[Guid, ...] = element(tag="OwnerID", default=())


class ItemQuery(ListQuery, tag="ItemQueryRq"):
    """Items of every type in one answer."""

    request_tag: ClassVar[str] = "ItemQueryRq"
    pages: ClassVar[bool] = True

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())
    owner_ids: tuple[Guid, ...] = element(tag="OwnerID", default=())


class AccountQuery(ListQuery, tag="AccountQueryRq"):
    """The chart of accounts, or the accounts of some types such as `AccountsReceivable`."""

    request_tag: ClassVar[str] = "AccountQueryRq"

    account_types: tuple[Str31, ...] = element(tag="AccountType", default=())
    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())
    owner_ids: tuple[Guid, ...] = element(tag="OwnerID", default=())

    @model_validator(mode="after")
    def _types_are_a_filter(self) -> Self:
        if self.account_types and (self.list_ids or self.full_names):
            raise ValueError("account_types exclude list_ids and full_names")
        return self


class TermsQuery(ListQuery, tag="TermsQueryRq"):
    """Payment terms, standard and date driven."""

    request_tag: ClassVar[str] = "TermsQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class ClassQuery(ListQuery, tag="ClassQueryRq"):
    """Classes."""

    request_tag: ClassVar[str] = "ClassQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class SalesTaxCodeQuery(ListQuery, tag="SalesTaxCodeQueryRq"):
    """Sales tax codes such as `Tax` and `Non`."""

    request_tag: ClassVar[str] = "SalesTaxCodeQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class TemplateQuery(QueryRequest, tag="TemplateQueryRq"):
    """Form templates; this query has no filter."""

    request_tag: ClassVar[str] = "TemplateQueryRq"

    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


# --- Answers --------------------------------------------------------------------------------------------------------


LIST_ID_MAX = 36
"""Characters of a ListID in the schemas."""


class ListRet(ReadModel):
    """What every list entry has: an id and a name. `full_name` is the name when the list has no levels."""

    list_id: str = element(tag="ListID", min_length=1, max_length=LIST_ID_MAX)
    time_created: str | None = element(tag="TimeCreated", default=None)
    time_modified: str | None = element(tag="TimeModified", default=None)
    edit_sequence: str | None = element(tag="EditSequence", default=None)
    name: str = element(tag="Name", default="")
    full_name: str = element(tag="FullName", default="")
    is_active: bool = element(tag="IsActive", default=True)

    @model_validator(mode="before")
    @classmethod
    def _name_of_flat_lists(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("full_name") and data.get("name"):
            return {**data, "full_name": data["name"]}
        return data

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        if not self.full_name.strip():
            raise ValueError("the entry has no name")
        return self


class CustomerRet(ListRet, tag="CustomerRet"):
    """A customer or a job."""

    parent_ref: RefRet | None = element(tag="ParentRef", default=None)
    sublevel: int | None = element(tag="Sublevel", default=None)
    company_name: str | None = element(tag="CompanyName", default=None)
    bill_address: AddressRet | None = element(tag="BillAddress", default=None)
    phone: str | None = element(tag="Phone", default=None)
    email: str | None = element(tag="Email", default=None)
    terms_ref: RefRet | None = element(tag="TermsRef", default=None)
    balance: Decimal | None = element(tag="Balance", default=None)
    sales_tax_code_ref: RefRet | None = element(tag="SalesTaxCodeRef", default=None)
    item_sales_tax_ref: RefRet | None = element(tag="ItemSalesTaxRef", default=None)
    account_number: str | None = element(tag="AccountNumber", default=None)
    credit_limit: Decimal | None = element(tag="CreditLimit", default=None)
    external_guid: str | None = element(tag="ExternalGUID", default=None)
    currency_ref: RefRet | None = element(tag="CurrencyRef", default=None)


class VendorRet(ListRet, tag="VendorRet"):
    """A vendor."""

    company_name: str | None = element(tag="CompanyName", default=None)
    vendor_address: AddressRet | None = element(tag="VendorAddress", default=None)
    phone: str | None = element(tag="Phone", default=None)
    email: str | None = element(tag="Email", default=None)
    name_on_check: str | None = element(tag="NameOnCheck", default=None)
    account_number: str | None = element(tag="AccountNumber", default=None)
    terms_ref: RefRet | None = element(tag="TermsRef", default=None)
    is_vendor_eligible_for_1099: bool | None = element(tag="IsVendorEligibleFor1099", default=None)
    balance: Decimal | None = element(tag="Balance", default=None)
    external_guid: str | None = element(tag="ExternalGUID", default=None)
    currency_ref: RefRet | None = element(tag="CurrencyRef", default=None)


class SalesOrPurchaseRet(ReadModel):
    """A one-sided item: one account, which may be an income or an expense account."""

    desc: str | None = element(tag="Desc", default=None)
    price: Decimal | None = element(tag="Price", default=None)
    account_ref: RefRet | None = element(tag="AccountRef", default=None)


class SalesAndPurchaseRet(ReadModel):
    """A two-sided item: an income account for invoices and an expense account for bills."""

    sales_desc: str | None = element(tag="SalesDesc", default=None)
    sales_price: Decimal | None = element(tag="SalesPrice", default=None)
    income_account_ref: RefRet | None = element(tag="IncomeAccountRef", default=None)
    purchase_desc: str | None = element(tag="PurchaseDesc", default=None)
    purchase_cost: Decimal | None = element(tag="PurchaseCost", default=None)
    expense_account_ref: RefRet | None = element(tag="ExpenseAccountRef", default=None)


class ItemRet(ListRet, tag="ItemRet"):
    """An item of any type; `type` is the middle of the answered element, such as `Service` of ItemServiceRet."""

    type: str = attr(name="type")
    parent_ref: RefRet | None = element(tag="ParentRef", default=None)
    sublevel: int | None = element(tag="Sublevel", default=None)
    sales_tax_code_ref: RefRet | None = element(tag="SalesTaxCodeRef", default=None)
    sales_or_purchase: SalesOrPurchaseRet | None = element(tag="SalesOrPurchase", default=None)
    sales_and_purchase: SalesAndPurchaseRet | None = element(tag="SalesAndPurchase", default=None)
    item_desc: str | None = element(tag="ItemDesc", default=None)
    account_ref: RefRet | None = element(tag="AccountRef", default=None)
    inventory_income_account_ref: RefRet | None = element(tag="IncomeAccountRef", default=None)
    cogs_account_ref: RefRet | None = element(tag="COGSAccountRef", default=None)
    external_guid: str | None = element(tag="ExternalGUID", default=None)

    @property
    def is_two_sided(self) -> bool:
        """Whether an invoice and a bill post this item to different accounts (qbxml.md 3.3)."""
        return self.sales_and_purchase is not None or self.cogs_account_ref is not None

    @property
    def income_account_ref(self) -> RefRet | None:
        """The account that an invoice line of this item posts to."""
        if self.sales_and_purchase is not None:
            return self.sales_and_purchase.income_account_ref
        if self.sales_or_purchase is not None:
            return self.sales_or_purchase.account_ref
        return self.inventory_income_account_ref or self.account_ref

    @property
    def expense_account_ref(self) -> RefRet | None:
        """The account that a bill line of this item posts to; for a one-sided item the same single account."""
        if self.sales_and_purchase is not None:
            return self.sales_and_purchase.expense_account_ref
        if self.sales_or_purchase is not None:
            return self.sales_or_purchase.account_ref
        return self.cogs_account_ref or self.account_ref


class AccountRet(ListRet, tag="AccountRet"):
    """An account of the chart of accounts."""

    parent_ref: RefRet | None = element(tag="ParentRef", default=None)
    sublevel: int | None = element(tag="Sublevel", default=None)
    account_type: str | None = element(tag="AccountType", default=None)
    special_account_type: str | None = element(tag="SpecialAccountType", default=None)
    account_number: str | None = element(tag="AccountNumber", default=None)
    desc: str | None = element(tag="Desc", default=None)
    currency_ref: RefRet | None = element(tag="CurrencyRef", default=None)


class TermsRet(ListRet, tag="TermsRet"):
    """Payment terms; `type` is `Standard` (due after some days) or `DateDriven` (due on a day of the month)."""

    type: str = attr(name="type")
    std_due_days: int | None = element(tag="StdDueDays", default=None)
    std_discount_days: int | None = element(tag="StdDiscountDays", default=None)
    discount_pct: Decimal | None = element(tag="DiscountPct", default=None)
    day_of_month_due: int | None = element(tag="DayOfMonthDue", default=None)
    due_next_month_days: int | None = element(tag="DueNextMonthDays", default=None)


class ClassRet(ListRet, tag="ClassRet"):
    """A class, such as a branch or a division."""

    parent_ref: RefRet | None = element(tag="ParentRef", default=None)
    sublevel: int | None = element(tag="Sublevel", default=None)


class SalesTaxCodeRet(ListRet, tag="SalesTaxCodeRet"):
    """A sales tax code."""

    is_taxable: bool | None = element(tag="IsTaxable", default=None)
    desc: str | None = element(tag="Desc", default=None)


class TemplateRet(ListRet, tag="TemplateRet"):
    """A form template."""

    template_type: str | None = element(tag="TemplateType", default=None)


__all__ = [
    "AccountQuery",
    "AccountRet",
    "ClassQuery",
    "ClassRet",
    "CustomerQuery",
    "CustomerRet",
    "DataExtRet",
    "ItemQuery",
    "ItemRet",
    "ListQuery",
    "ListRet",
    "NameFilter",
    "NameRangeFilter",
    "SalesAndPurchaseRet",
    "SalesOrPurchaseRet",
    "SalesTaxCodeQuery",
    "SalesTaxCodeRet",
    "TemplateQuery",
    "TemplateRet",
    "TermsQuery",
    "TermsRet",
    "VendorQuery",
    "VendorRet",
]
