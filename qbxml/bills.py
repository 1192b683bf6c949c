"""Bills: what we add, what we ask and what QuickBooks answers (qbxml.md 3.3, 3.8, 4.5)."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic_xml import element

from qbxml.base import AddRequest, ReadModel, RequestModel
from qbxml.invoices import LinkedTxnRet
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
    Ref31,
    Ref41,
    Ref159,
    RefRet,
    Str20,
    Str4095,
)

BillableStatus = Literal["Billable", "NotBillable", "HasBeenBilled"]


class ExpenseLineAdd(RequestModel):
    """A bill line that posts straight to an account, such as purchased transportation."""

    account_ref: Ref159 = element(tag="AccountRef")
    amount: Amount = element(tag="Amount")
    memo: Str4095 | None = element(tag="Memo", default=None)
    customer_ref: Ref | None = element(tag="CustomerRef", default=None)
    class_ref: Ref159 | None = element(tag="ClassRef", default=None)
    #: Canada and the UK only; elsewhere the document cannot be parsed.
    sales_tax_code_ref: Ref3 | None = element(tag="SalesTaxCodeRef", default=None)
    billable_status: BillableStatus | None = element(tag="BillableStatus", default=None)


class ItemLineAdd(RequestModel):
    """A bill line through an item; the item should be two-sided to post the cost to an expense (qbxml.md 3.3)."""

    item_ref: Ref = element(tag="ItemRef")
    desc: Str4095 | None = element(tag="Desc", default=None)
    quantity: Quantity | None = element(tag="Quantity", default=None)
    cost: Price | None = element(tag="Cost", default=None)
    amount: Amount | None = element(tag="Amount", default=None)
    customer_ref: Ref | None = element(tag="CustomerRef", default=None)
    class_ref: Ref159 | None = element(tag="ClassRef", default=None)
    #: Canada and the UK only; elsewhere the document cannot be parsed.
    sales_tax_code_ref: Ref3 | None = element(tag="SalesTaxCodeRef", default=None)
    billable_status: BillableStatus | None = element(tag="BillableStatus", default=None)
    override_item_account_ref: Ref159 | None = element(tag="OverrideItemAccountRef", default=None)


class BillAdd(AddRequest, tag="BillAdd"):
    """A new bill of a carrier. Expense lines come before item lines, due date before the number (qbxml.md 3.3)."""

    request_tag: ClassVar[str] = "BillAddRq"

    vendor_ref: Ref41 = element(tag="VendorRef")
    vendor_address: Address | None = element(tag="VendorAddress", default=None)
    ap_account_ref: Ref159 | None = element(tag="APAccountRef", default=None)
    txn_date: Day | None = element(tag="TxnDate", default=None)
    due_date: Day | None = element(tag="DueDate", default=None)
    ref_number: Str20 | None = element(tag="RefNumber", default=None)
    terms_ref: Ref31 | None = element(tag="TermsRef", default=None)
    memo: Str4095 | None = element(tag="Memo", default=None)
    #: Canada and the UK only.
    is_tax_included: bool | None = element(tag="IsTaxIncluded", default=None)
    external_guid: Guid | None = element(tag="ExternalGUID", default=None)
    expense_lines: tuple[ExpenseLineAdd, ...] = element(tag="ExpenseLineAdd", default=())
    item_lines: tuple[ItemLineAdd, ...] = element(tag="ItemLineAdd", default=())


class BillQuery(TxnQuery, tag="BillQueryRq"):
    """Find bills by id, number, vendor or date. Lines come back only with `include_line_items`."""

    request_tag: ClassVar[str] = "BillQueryRq"


class ExpenseLineRet(ReadModel):
    """An account line of an answered bill."""

    txn_line_id: str | None = element(tag="TxnLineID", default=None)
    account_ref: RefRet | None = element(tag="AccountRef", default=None)
    amount: Decimal | None = element(tag="Amount", default=None)
    memo: str | None = element(tag="Memo", default=None)
    customer_ref: RefRet | None = element(tag="CustomerRef", default=None)
    class_ref: RefRet | None = element(tag="ClassRef", default=None)
    billable_status: str | None = element(tag="BillableStatus", default=None)


class ItemLineRet(ReadModel):
    """An item line of an answered bill."""

    txn_line_id: str | None = element(tag="TxnLineID", default=None)
    item_ref: RefRet | None = element(tag="ItemRef", default=None)
    desc: str | None = element(tag="Desc", default=None)
    quantity: Decimal | None = element(tag="Quantity", default=None)
    cost: Decimal | None = element(tag="Cost", default=None)
    amount: Decimal | None = element(tag="Amount", default=None)
    customer_ref: RefRet | None = element(tag="CustomerRef", default=None)
    class_ref: RefRet | None = element(tag="ClassRef", default=None)
    billable_status: str | None = element(tag="BillableStatus", default=None)


class ItemGroupLineRet(ReadModel):
    """A group item on an answered bill, with the lines inside it. We never send one; a user may have added it."""

    txn_line_id: str | None = element(tag="TxnLineID", default=None)
    item_group_ref: RefRet | None = element(tag="ItemGroupRef", default=None)
    desc: str | None = element(tag="Desc", default=None)
    quantity: Decimal | None = element(tag="Quantity", default=None)
    total_amount: Decimal | None = element(tag="TotalAmount", default=None)
    lines: tuple[ItemLineRet, ...] = element(tag="ItemLineRet", default=())


class BillRet(ReadModel, tag="BillRet"):
    """A bill as QuickBooks has it. Times stay text: their offset is wrong in summer (qbxml.md 5.4)."""

    txn_id: str = element(tag="TxnID")
    time_created: str | None = element(tag="TimeCreated", default=None)
    time_modified: str | None = element(tag="TimeModified", default=None)
    edit_sequence: str | None = element(tag="EditSequence", default=None)
    txn_number: int | None = element(tag="TxnNumber", default=None)
    vendor_ref: RefRet | None = element(tag="VendorRef", default=None)
    vendor_address: AddressRet | None = element(tag="VendorAddress", default=None)
    ap_account_ref: RefRet | None = element(tag="APAccountRef", default=None)
    txn_date: datetime.date | None = element(tag="TxnDate", default=None)
    due_date: datetime.date | None = element(tag="DueDate", default=None)
    amount_due: Decimal | None = element(tag="AmountDue", default=None)
    currency_ref: RefRet | None = element(tag="CurrencyRef", default=None)
    exchange_rate: Decimal | None = element(tag="ExchangeRate", default=None)
    ref_number: str | None = element(tag="RefNumber", default=None)
    terms_ref: RefRet | None = element(tag="TermsRef", default=None)
    memo: str | None = element(tag="Memo", default=None)
    is_paid: bool | None = element(tag="IsPaid", default=None)
    external_guid: str | None = element(tag="ExternalGUID", default=None)
    linked_txns: tuple[LinkedTxnRet, ...] = element(tag="LinkedTxn", default=())
    expense_lines: tuple[ExpenseLineRet, ...] = element(tag="ExpenseLineRet", default=())
    item_lines: tuple[ItemLineRet, ...] = element(tag="ItemLineRet", default=())
    item_group_lines: tuple[ItemGroupLineRet, ...] = element(tag="ItemGroupLineRet", default=())
    open_amount: Decimal | None = element(tag="OpenAmount", default=None)

    @property
    def total(self) -> Decimal | None:
        """What the bill asks for in all, paid or not."""
        return self.amount_due
