"""Invoices: what we add, what we ask and what QuickBooks answers (qbxml.md 3.1, 3.8, 4.5)."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import ClassVar, Self

from pydantic import model_validator
from pydantic_xml import element

from qbxml.base import AddRequest, ReadModel, RequestModel
from qbxml.queries import TxnQuery
from qbxml.values import (
    Address,
    AddressRet,
    Amount,
    Day,
    Guid,
    Price,
    Quantity,
    Ref,
    Ref3,
    Ref5,
    Ref15,
    Ref31,
    Ref101,
    Ref159,
    RefRet,
    Str11,
    Str13,
    Str25,
    Str29,
    Str4095,
)


class InvoiceLineAdd(RequestModel):
    """One line of a new invoice; usually one charge of a load. A line with only `desc` is a text line."""

    item_ref: Ref | None = element(tag="ItemRef", default=None)
    desc: Str4095 | None = element(tag="Desc", default=None)
    quantity: Quantity | None = element(tag="Quantity", default=None)
    rate: Price | None = element(tag="Rate", default=None)
    class_ref: Ref159 | None = element(tag="ClassRef", default=None)
    amount: Amount | None = element(tag="Amount", default=None)
    service_date: Day | None = element(tag="ServiceDate", default=None)
    sales_tax_code_ref: Ref3 | None = element(tag="SalesTaxCodeRef", default=None)
    override_item_account_ref: Ref159 | None = element(tag="OverrideItemAccountRef", default=None)
    other1: Str29 | None = element(tag="Other1", default=None)
    other2: Str29 | None = element(tag="Other2", default=None)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.item_ref is None and self.desc is None:
            raise ValueError("an invoice line needs an item or a description")
        return self


class InvoiceAdd(AddRequest, tag="InvoiceAdd"):
    """A new invoice. Always send `ref_number`: without it QuickBooks takes the next number (qbxml.md 3.1)."""

    request_tag: ClassVar[str] = "InvoiceAddRq"

    customer_ref: Ref = element(tag="CustomerRef")
    class_ref: Ref159 | None = element(tag="ClassRef", default=None)
    ar_account_ref: Ref159 | None = element(tag="ARAccountRef", default=None)
    template_ref: Ref31 | None = element(tag="TemplateRef", default=None)
    txn_date: Day | None = element(tag="TxnDate", default=None)
    ref_number: Str11 | None = element(tag="RefNumber", default=None)
    bill_address: Address | None = element(tag="BillAddress", default=None)
    ship_address: Address | None = element(tag="ShipAddress", default=None)
    is_pending: bool | None = element(tag="IsPending", default=None)
    po_number: Str25 | None = element(tag="PONumber", default=None)
    terms_ref: Ref31 | None = element(tag="TermsRef", default=None)
    due_date: Day | None = element(tag="DueDate", default=None)
    sales_rep_ref: Ref5 | None = element(tag="SalesRepRef", default=None)
    fob: Str13 | None = element(tag="FOB", default=None)
    ship_date: Day | None = element(tag="ShipDate", default=None)
    ship_method_ref: Ref15 | None = element(tag="ShipMethodRef", default=None)
    item_sales_tax_ref: Ref31 | None = element(tag="ItemSalesTaxRef", default=None)
    memo: Str4095 | None = element(tag="Memo", default=None)
    customer_msg_ref: Ref101 | None = element(tag="CustomerMsgRef", default=None)
    is_to_be_printed: bool | None = element(tag="IsToBePrinted", default=None)
    is_to_be_emailed: bool | None = element(tag="IsToBeEmailed", default=None)
    #: Canada and the UK only; elsewhere the document cannot be parsed.
    is_tax_included: bool | None = element(tag="IsTaxIncluded", default=None)
    customer_sales_tax_code_ref: Ref3 | None = element(tag="CustomerSalesTaxCodeRef", default=None)
    other: Str29 | None = element(tag="Other", default=None)
    external_guid: Guid | None = element(tag="ExternalGUID", default=None)
    lines: tuple[InvoiceLineAdd, ...] = element(tag="InvoiceLineAdd", default=())


class InvoiceQuery(TxnQuery, tag="InvoiceQueryRq"):
    """Find invoices by id, number, customer or date. Lines come back only with `include_line_items`."""

    request_tag: ClassVar[str] = "InvoiceQueryRq"


class LinkedTxnRet(ReadModel):
    """A payment, credit or other transaction that is linked to the answered one."""

    txn_id: str = element(tag="TxnID")
    txn_type: str | None = element(tag="TxnType", default=None)
    txn_date: datetime.date | None = element(tag="TxnDate", default=None)
    ref_number: str | None = element(tag="RefNumber", default=None)
    amount: Decimal | None = element(tag="Amount", default=None)


class InvoiceLineRet(ReadModel):
    """One line of an answered invoice."""

    txn_line_id: str | None = element(tag="TxnLineID", default=None)
    item_ref: RefRet | None = element(tag="ItemRef", default=None)
    desc: str | None = element(tag="Desc", default=None)
    quantity: Decimal | None = element(tag="Quantity", default=None)
    rate: Decimal | None = element(tag="Rate", default=None)
    rate_percent: Decimal | None = element(tag="RatePercent", default=None)
    class_ref: RefRet | None = element(tag="ClassRef", default=None)
    amount: Decimal | None = element(tag="Amount", default=None)
    service_date: datetime.date | None = element(tag="ServiceDate", default=None)
    sales_tax_code_ref: RefRet | None = element(tag="SalesTaxCodeRef", default=None)
    other1: str | None = element(tag="Other1", default=None)
    other2: str | None = element(tag="Other2", default=None)


class InvoiceLineGroupRet(ReadModel):
    """A group item on an answered invoice, with the lines inside it. We never send one; a user may have added it."""

    txn_line_id: str | None = element(tag="TxnLineID", default=None)
    item_group_ref: RefRet | None = element(tag="ItemGroupRef", default=None)
    desc: str | None = element(tag="Desc", default=None)
    quantity: Decimal | None = element(tag="Quantity", default=None)
    total_amount: Decimal | None = element(tag="TotalAmount", default=None)
    lines: tuple[InvoiceLineRet, ...] = element(tag="InvoiceLineRet", default=())


class InvoiceRet(ReadModel, tag="InvoiceRet"):
    """An invoice as QuickBooks has it. Times stay text: their offset is wrong in summer (qbxml.md 5.4)."""

    txn_id: str = element(tag="TxnID")
    time_created: str | None = element(tag="TimeCreated", default=None)
    time_modified: str | None = element(tag="TimeModified", default=None)
    edit_sequence: str | None = element(tag="EditSequence", default=None)
    txn_number: int | None = element(tag="TxnNumber", default=None)
    customer_ref: RefRet | None = element(tag="CustomerRef", default=None)
    class_ref: RefRet | None = element(tag="ClassRef", default=None)
    ar_account_ref: RefRet | None = element(tag="ARAccountRef", default=None)
    template_ref: RefRet | None = element(tag="TemplateRef", default=None)
    txn_date: datetime.date | None = element(tag="TxnDate", default=None)
    ref_number: str | None = element(tag="RefNumber", default=None)
    bill_address: AddressRet | None = element(tag="BillAddress", default=None)
    is_pending: bool | None = element(tag="IsPending", default=None)
    po_number: str | None = element(tag="PONumber", default=None)
    terms_ref: RefRet | None = element(tag="TermsRef", default=None)
    due_date: datetime.date | None = element(tag="DueDate", default=None)
    subtotal: Decimal | None = element(tag="Subtotal", default=None)
    item_sales_tax_ref: RefRet | None = element(tag="ItemSalesTaxRef", default=None)
    sales_tax_percentage: Decimal | None = element(tag="SalesTaxPercentage", default=None)
    sales_tax_total: Decimal | None = element(tag="SalesTaxTotal", default=None)
    applied_amount: Decimal | None = element(tag="AppliedAmount", default=None)
    balance_remaining: Decimal | None = element(tag="BalanceRemaining", default=None)
    currency_ref: RefRet | None = element(tag="CurrencyRef", default=None)
    exchange_rate: Decimal | None = element(tag="ExchangeRate", default=None)
    memo: str | None = element(tag="Memo", default=None)
    is_paid: bool | None = element(tag="IsPaid", default=None)
    is_to_be_printed: bool | None = element(tag="IsToBePrinted", default=None)
    is_to_be_emailed: bool | None = element(tag="IsToBeEmailed", default=None)
    customer_sales_tax_code_ref: RefRet | None = element(tag="CustomerSalesTaxCodeRef", default=None)
    other: str | None = element(tag="Other", default=None)
    external_guid: str | None = element(tag="ExternalGUID", default=None)
    linked_txns: tuple[LinkedTxnRet, ...] = element(tag="LinkedTxn", default=())
    lines: tuple[InvoiceLineRet, ...] = element(tag="InvoiceLineRet", default=())
    line_groups: tuple[InvoiceLineGroupRet, ...] = element(tag="InvoiceLineGroupRet", default=())

    @property
    def total(self) -> Decimal | None:
        """Subtotal plus sales tax; None when QuickBooks was asked to leave the amounts out."""
        if self.subtotal is None:
            return None
        return self.subtotal + (self.sales_tax_total or Decimal(0))
