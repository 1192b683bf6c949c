"""The requests behind the golden files: one realistic and one complete document of each kind, and every query."""

from __future__ import annotations

import datetime
from decimal import Decimal

from qbxml.base import AddRequest, QueryRequest
from qbxml.bills import BillAdd, BillQuery, ExpenseLineAdd, ItemLineAdd
from qbxml.company import CompanyActivityQuery, CompanyQuery, HostQuery, PreferencesQuery
from qbxml.deleted_lists import DeletedDateRange, ListDeletedQuery
from qbxml.invoices import InvoiceAdd, InvoiceLineAdd, InvoiceQuery
from qbxml.lists import (
    AccountQuery,
    ClassQuery,
    CustomerQuery,
    ItemQuery,
    NameFilter,
    NameRangeFilter,
    SalesTaxCodeQuery,
    TemplateQuery,
    TermsQuery,
    VendorQuery,
)
from qbxml.queries import EntityFilter, ModifiedDateRange, RefNumberFilter, RefNumberRange, TxnDateRange
from qbxml.values import Address, Ref

DAY = datetime.date(2026, 11, 2)
DUE = datetime.date(2026, 12, 2)
OWNER = "{6F9619FF-8B86-D011-B42D-00C04FC964FF}"


def name(text: str) -> Ref:
    return Ref(full_name=text)


ADDRESS = Address(
    addr1="Smith & Söhne <Logistics>",
    addr2="Accounts Payable",
    addr3="Dock 4",
    addr4="Building B",
    addr5="Floor 2",
    city="Dallas",
    state="TX",
    postal_code="75201",
    country="USA",
    note="Ring twice",
)

INVOICE = InvoiceAdd(
    customer_ref=Ref(list_id="80000013-1416570432", full_name="Smith & Söhne"),
    txn_date=DAY,
    ref_number="L100001",
    po_number="PO-778812",
    terms_ref=name("Net 30"),
    due_date=DUE,
    memo="Load 100001 Dallas TX - Reno NV",
    is_to_be_printed=False,
    external_guid="6f9619ff-8b86-d011-b42d-00c04fc964ff",
    lines=(
        InvoiceLineAdd(
            item_ref=name("Linehaul"),
            desc="Linehaul 'Café' \"A\" > B & C",
            quantity=Decimal(1),
            rate=Decimal("1850"),
            sales_tax_code_ref=name("Non"),
        ),
        InvoiceLineAdd(item_ref=name("Fuel Surcharge"), amount=Decimal("212.5")),
        InvoiceLineAdd(desc="Thank you for your business."),
    ),
)

INVOICE_COMPLETE = InvoiceAdd(
    customer_ref=name("Shipper Inc:Load 100001"),
    class_ref=name("Brokerage"),
    ar_account_ref=name("Accounts Receivable"),
    template_ref=name("Intuit Service Invoice"),
    txn_date=DAY,
    ref_number="12345678901",
    bill_address=ADDRESS,
    ship_address=ADDRESS,
    is_pending=True,
    po_number="P" * 25,
    terms_ref=name("Net 30"),
    due_date=DUE,
    sales_rep_ref=name("JD"),
    fob="Origin",
    ship_date=DAY,
    ship_method_ref=name("Truck"),
    item_sales_tax_ref=name("Out of State"),
    memo="M" * 4095,
    customer_msg_ref=name("Thank you."),
    is_to_be_printed=True,
    is_to_be_emailed=True,
    customer_sales_tax_code_ref=name("Non"),
    other="O" * 29,
    external_guid=OWNER,
    lines=(
        InvoiceLineAdd(
            item_ref=Ref(list_id="80000021-1416570433"),
            desc="Detention",
            quantity=Decimal("2.25"),
            rate=Decimal("60.12345"),
            class_ref=name("Brokerage:Dallas"),
            amount=Decimal("-135.28"),
            service_date=DAY,
            sales_tax_code_ref=name("Non"),
            override_item_account_ref=name("Freight Income"),
            other1="one",
            other2="two",
        ),
    ),
)

BILL = BillAdd(
    vendor_ref=name("Acme Carrier LLC"),
    vendor_address=ADDRESS,
    ap_account_ref=name("Accounts Payable"),
    txn_date=DAY,
    due_date=DUE,
    ref_number="CARR-INV-00000012345",
    terms_ref=name("Net 30"),
    memo="Load 100001",
    external_guid=OWNER,
    expense_lines=(
        ExpenseLineAdd(
            account_ref=name("Purchased Transportation"),
            amount=Decimal("1500"),
            memo="Linehaul",
            customer_ref=name("Shipper Inc:Load 100001"),
            class_ref=name("Brokerage"),
            billable_status="NotBillable",
        ),
        ExpenseLineAdd(account_ref=Ref(list_id="80000030-1416570440"), amount=Decimal("-25.00")),
    ),
    item_lines=(
        ItemLineAdd(
            item_ref=name("Lumper"),
            desc="Lumper at dock 4",
            quantity=Decimal(1),
            cost=Decimal("150"),
            amount=Decimal("150"),
            customer_ref=name("Shipper Inc:Load 100001"),
            class_ref=name("Brokerage"),
            billable_status="NotBillable",
            override_item_account_ref=name("Cost of Goods Sold"),
        ),
    ),
)

BY_NAME = {"max_returned": 100, "active_status": "All", "name_filter": NameFilter(match_criterion="Contains", name="a")}
CHANGED = {"from_modified_date": "2026-11-01T00:00:00-06:00", "to_modified_date": "2026-11-02T00:00:00-06:00"}

GOLDEN: dict[str, tuple[AddRequest | QueryRequest, ...]] = {
    "invoice_add": (INVOICE,),
    "invoice_add_complete": (INVOICE_COMPLETE,),
    "bill_add": (BILL,),
    "bill_add_item_only": (
        BillAdd(vendor_ref=Ref(list_id="80000050-1416570455"), item_lines=(ItemLineAdd(item_ref=name("Lumper")),)),
    ),
    "invoice_queries": (
        InvoiceQuery(txn_ids=("C5-1417118624", "C6-1417118630"), include_line_items=True),
        InvoiceQuery(ref_numbers=("L100001",)),
        InvoiceQuery(
            max_returned=20,
            txn_date_range=TxnDateRange(from_txn_date=DAY, to_txn_date=DAY),
            entity_filter=EntityFilter(list_ids=("80000013-1416570432",)),
            account_filter=EntityFilter(full_names=("Accounts Receivable",)),
            ref_number_range=RefNumberRange(from_ref_number="L100001", to_ref_number="L100001"),
            paid_status="All",
            include_line_items=True,
            include_linked_txns=True,
            include_ret_elements=("TxnID", "RefNumber"),
        ),
    ),
    "bill_queries": (
        BillQuery(ref_numbers_case_sensitive=("CARR-1",), include_line_items=False),
        BillQuery(
            iterator="Start",
            meta_data="MetaDataAndResponseData",
            max_returned=50,
            modified_date_range=ModifiedDateRange(from_modified_date="2026-11-01T00:00:00-06:00"),
            entity_filter=EntityFilter(full_names=("Acme Carrier LLC",)),
            ref_number_filter=RefNumberFilter(match_criterion="StartsWith", ref_number="CARR"),
        ),
        BillQuery(iterator="Continue", iterator_id="{a0b1c2d3-0000-4000-8000-000000000001}", max_returned=50),
    ),
    "company_queries": (
        HostQuery(),
        CompanyQuery(include_ret_elements=("CompanyName", "DataExtRet"), owner_ids=(OWNER,)),
        PreferencesQuery(),
        CompanyActivityQuery(),
    ),
    "list_queries": (
        CustomerQuery(iterator="Start", **BY_NAME | CHANGED, include_ret_elements=("ListID", "FullName")),
        VendorQuery(full_names=("Acme Carrier LLC",), owner_ids=("{6F9619FF-8B86-D011-B42D-00C04FC964FF}",)),
        ItemQuery(**BY_NAME | CHANGED, owner_ids=(OWNER,)),
        AccountQuery(
            active_status="All",
            name_range=NameRangeFilter(from_name="A", to_name="F"),
            account_types=("AccountsReceivable", "Income"),
        ),
        TermsQuery(active_status="All"),
        ClassQuery(list_ids=("80000001-1416570432",)),
        SalesTaxCodeQuery(active_status="All"),
        TemplateQuery(include_ret_elements=("Name",)),
    ),
    "deleted_lists": (
        ListDeletedQuery(
            types=("Customer", "ItemService", "StandardTerms"),
            deleted_range=DeletedDateRange(from_deleted_date="2026-11-01", to_deleted_date="2026-11-02T10:00:00"),
            include_ret_elements=("ListID",),
        ),
        ListDeletedQuery(types=("Account",)),
    ),
}
