"""Writes the Ret elements of answers, in schema order and with QuickBooks' number formats (qbxml.md 3.8, 4.2, 5.2)."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING
from zlib import crc32

from lxml import etree

from .records import (
    Account,
    Address,
    Bill,
    ClassObject,
    Customer,
    DeletedEntry,
    Invoice,
    Item,
    Line,
    ListObject,
    Posted,
    SalesTaxCode,
    Template,
    Terms,
    Vendor,
)

if TYPE_CHECKING:
    from .company import CompanyFile


def amount(value: Decimal) -> str:
    """An amount, with two decimals."""
    return f"{value:.2f}"


def rate(value: Decimal) -> str:
    """A rate, with at least two decimals as recent versions write it."""
    plain = format(value.normalize(), "f")
    return amount(value) if len(plain.partition(".")[2]) < 2 else plain


def quantity(value: Decimal) -> str:
    """A quantity, without trailing zeros."""
    return format(value.normalize(), "f")


def put(parent: etree._Element, name: str, value: str | bool | int | date | None) -> None:
    """Add a child with text; an absent value is left out, not written empty (qbxml.md 7.4)."""
    if value is None or value == "":
        return
    text = str(value).lower() if isinstance(value, bool) else str(value)
    etree.SubElement(parent, name).text = text


def _address(parent: etree._Element, name: str, address: Address | None) -> None:
    if not address:
        return
    element = etree.SubElement(parent, name)
    for part in ("Addr1", "Addr2", "Addr3", "Addr4", "Addr5", "City", "State", "PostalCode", "Country", "Note"):
        put(element, part, address.get(part))


def _block(parent: etree._Element, name: str, address: Address | None) -> None:
    """The printed form of an address: city, state and code folded into one line (qbxml.md 5.6)."""
    if not address:
        return
    lines = [address[f"Addr{number}"] for number in range(1, 6) if address.get(f"Addr{number}")]
    place = ", ".join(filter(None, (address.get("City"), address.get("State"))))
    lines += filter(None, (" ".join(filter(None, (place, address.get("PostalCode")))), address.get("Country")))
    element = etree.SubElement(parent, name)
    for number, line in enumerate(lines[:5], start=1):
        put(element, f"Addr{number}", line[:41])


def spoil(ret: etree._Element) -> None:
    """Make a row one that no schema allows: without its id and its name, its times and numbers unreadable."""
    for child in list(ret):
        if child.tag in ("ListID", "TxnID", "Name", "FullName"):
            ret.remove(child)
        elif child.tag in ("TimeCreated", "TimeModified", "IsActive", "Sublevel", "Balance", "TxnDate"):
            child.text = "?"


class Answers:
    """Writes Ret elements of one company file."""

    def __init__(self, company: "CompanyFile") -> None:
        self._company = company

    def reference(self, parent: etree._Element, name: str, list_id: str | None) -> None:
        """A reference with both ListID and FullName."""
        full_name = self._company.full_name(list_id) if list_id else ""
        if list_id and full_name:
            element = etree.SubElement(parent, name)
            put(element, "ListID", list_id)
            put(element, "FullName", full_name)

    def currency(self, parent: etree._Element, name: str | None, tag: str = "CurrencyRef") -> None:
        """A reference to a currency; files that keep only one have none."""
        chosen = self._company.preferences
        if not chosen.multi_currency:
            return
        full_name = name or chosen.home_currency
        element = etree.SubElement(parent, tag)
        put(element, "ListID", f"{crc32(full_name.encode()) % 0xFFFF:X}-1228259412")
        put(element, "FullName", full_name)

    def transaction(self, entry: Posted, *, with_lines: bool) -> etree._Element:
        """InvoiceRet or BillRet; queries show lines only when asked (qbxml.md 4.5)."""
        return self._invoice(entry, with_lines) if isinstance(entry, Invoice) else self._bill(entry, with_lines)

    def _head(self, name: str, entry: Posted) -> etree._Element:
        ret = etree.Element(name)
        put(ret, "TxnID", entry.txn_id)
        put(ret, "TimeCreated", entry.time_created)
        put(ret, "TimeModified", entry.time_modified)
        put(ret, "EditSequence", entry.edit_sequence)
        put(ret, "TxnNumber", entry.txn_number)
        return ret

    def _currency_of(self, entry: Posted) -> str | None:
        if not self._company.preferences.multi_currency:
            return None
        parties: list[Customer | Vendor] = [*self._company.state.customers, *self._company.state.vendors]
        return next((party.currency for party in parties if party.list_id == entry.entity), None)

    def _invoice(self, entry: Invoice, with_lines: bool) -> etree._Element:
        ret = self._head("InvoiceRet", entry)
        self.reference(ret, "CustomerRef", entry.entity)
        self.reference(ret, "ClassRef", entry.class_id)
        self.reference(ret, "ARAccountRef", entry.account)
        self.reference(ret, "TemplateRef", entry.template)
        put(ret, "TxnDate", entry.txn_date)
        put(ret, "RefNumber", entry.ref_number)
        _address(ret, "BillAddress", entry.address)
        _block(ret, "BillAddressBlock", entry.address)
        _address(ret, "ShipAddress", entry.ship_address)
        _block(ret, "ShipAddressBlock", entry.ship_address)
        put(ret, "IsPending", entry.is_pending)
        put(ret, "IsFinanceCharge", entry.is_finance_charge)
        put(ret, "PONumber", entry.po_number)
        self.reference(ret, "TermsRef", entry.terms)
        put(ret, "DueDate", entry.due_date)
        put(ret, "FOB", entry.fob)
        put(ret, "ShipDate", entry.ship_date)
        put(ret, "Subtotal", amount(entry.subtotal))
        self.reference(ret, "ItemSalesTaxRef", entry.tax_item)
        put(ret, "SalesTaxPercentage", amount(entry.tax_percent))
        put(ret, "SalesTaxTotal", amount(entry.tax_total))
        put(ret, "AppliedAmount", amount(entry.applied))
        put(ret, "BalanceRemaining", amount(entry.balance))
        self.currency(ret, self._currency_of(entry))
        put(ret, "Memo", entry.memo)
        put(ret, "IsPaid", entry.balance == 0)
        put(ret, "IsToBePrinted", entry.is_to_be_printed)
        put(ret, "IsToBeEmailed", entry.is_to_be_emailed)
        put(ret, "IsTaxIncluded", entry.is_tax_included if self._company.is_abroad else None)
        self.reference(ret, "CustomerSalesTaxCodeRef", entry.customer_tax_code)
        put(ret, "Other", entry.other)
        put(ret, "ExternalGUID", entry.external_guid)
        for line in entry.lines if with_lines else ():
            self._invoice_line(ret, line)
        return ret

    def _invoice_line(self, parent: etree._Element, line: Line) -> None:
        ret = etree.SubElement(parent, "InvoiceLineRet")
        put(ret, "TxnLineID", line.line_id)
        self.reference(ret, "ItemRef", line.item)
        put(ret, "Desc", line.description)
        put(ret, "Quantity", None if line.quantity is None else quantity(line.quantity))
        if line.rate_percent is not None:
            put(ret, "RatePercent", rate(line.rate_percent))
        elif line.rate is not None:
            put(ret, "Rate", rate(line.rate))
        self.reference(ret, "ClassRef", line.class_id)
        put(ret, "Amount", None if line.amount is None else amount(line.amount))
        put(ret, "ServiceDate", line.service_date)
        self.reference(ret, "SalesTaxCodeRef", line.tax_code)
        put(ret, "Other1", line.other1)
        put(ret, "Other2", line.other2)

    def _bill(self, entry: Bill, with_lines: bool) -> etree._Element:
        ret = self._head("BillRet", entry)
        self.reference(ret, "VendorRef", entry.entity)
        _address(ret, "VendorAddress", entry.address)
        self.reference(ret, "APAccountRef", entry.account)
        put(ret, "TxnDate", entry.txn_date)
        put(ret, "DueDate", entry.due_date)
        put(ret, "AmountDue", amount(entry.total))
        self.currency(ret, self._currency_of(entry))
        put(ret, "RefNumber", entry.ref_number)
        self.reference(ret, "TermsRef", entry.terms)
        put(ret, "Memo", entry.memo)
        put(ret, "IsTaxIncluded", entry.is_tax_included if self._company.is_abroad else None)
        put(ret, "IsPaid", entry.balance == 0)
        put(ret, "ExternalGUID", entry.external_guid)
        for line in entry.lines if with_lines else ():
            self._bill_line(ret, line)
        put(ret, "OpenAmount", amount(entry.balance))
        return ret

    def _bill_line(self, parent: etree._Element, line: Line) -> None:
        shown = None if line.amount is None else amount(line.amount)
        if line.kind == "expense":
            ret = etree.SubElement(parent, "ExpenseLineRet")
            put(ret, "TxnLineID", line.line_id)
            self.reference(ret, "AccountRef", line.account)
            put(ret, "Amount", shown)
            put(ret, "Memo", line.description)
        else:
            ret = etree.SubElement(parent, "ItemLineRet")
            put(ret, "TxnLineID", line.line_id)
            self.reference(ret, "ItemRef", line.item)
            put(ret, "Desc", line.description)
            put(ret, "Quantity", None if line.quantity is None else quantity(line.quantity))
            put(ret, "Cost", None if line.rate is None else rate(line.rate))
            put(ret, "Amount", shown)
        self.reference(ret, "CustomerRef", line.customer)
        self.reference(ret, "ClassRef", line.class_id)
        self.reference(ret, "SalesTaxCodeRef", line.tax_code)
        put(ret, "BillableStatus", line.billable_status)

    def list_entry(self, entry: ListObject) -> etree._Element:
        """The Ret of any list entry."""
        match entry:
            case Customer():
                return self._customer(entry)
            case Vendor():
                return self._vendor(entry)
            case Item():
                return self._item(entry)
            case Account():
                return self._account(entry)
            case Terms():
                ret = self._list_head("StandardTermsRet", entry, has_full_name=False)
                put(ret, "StdDueDays", entry.due_days)
                put(ret, "StdDiscountDays", entry.discount_days)
                put(ret, "DiscountPct", None if entry.discount_percent is None else rate(entry.discount_percent))
            case ClassObject():
                ret = self._list_head("ClassRet", entry)
                self._parent(ret, entry)
            case SalesTaxCode():
                ret = self._list_head("SalesTaxCodeRet", entry, has_full_name=False)
                put(ret, "IsTaxable", entry.is_taxable)
                put(ret, "Desc", entry.description)
                self.reference(ret, "ItemPurchaseTaxRef", entry.purchase_item)
                self.reference(ret, "ItemSalesTaxRef", entry.sales_item)
            case Template():
                ret = self._list_head("TemplateRet", entry, has_full_name=False)
                put(ret, "TemplateType", entry.template_type)
            case _:
                raise TypeError(type(entry))
        return ret

    def deleted(self, entry: DeletedEntry) -> etree._Element:
        """ListDeletedRet (qbxml.md 4.4)."""
        ret = etree.Element("ListDeletedRet")
        put(ret, "ListDelType", entry.type)
        put(ret, "ListID", entry.list_id)
        put(ret, "TimeCreated", entry.time_created)
        put(ret, "TimeDeleted", entry.time_deleted)
        put(ret, "FullName", entry.full_name)
        return ret

    def _list_head(self, name: str, entry: ListObject, *, has_full_name: bool = True) -> etree._Element:
        ret = etree.Element(name)
        put(ret, "ListID", entry.list_id)
        put(ret, "TimeCreated", entry.time_created)
        put(ret, "TimeModified", entry.time_modified)
        put(ret, "EditSequence", entry.edit_sequence)
        put(ret, "Name", entry.name)
        if has_full_name:
            put(ret, "FullName", entry.full_name)
        put(ret, "IsActive", entry.is_active)
        return ret

    def _parent(self, ret: etree._Element, entry: ListObject) -> None:
        self.reference(ret, "ParentRef", entry.parent)
        put(ret, "Sublevel", entry.full_name.count(":"))

    def _balance(self, list_ids: set[str]) -> Decimal:
        return sum((e.balance for e in self._company.ledger if e.entity in list_ids), Decimal("0.00"))

    def _customer(self, entry: Customer) -> etree._Element:
        ret = self._list_head("CustomerRet", entry)
        self._parent(ret, entry)
        put(ret, "CompanyName", entry.company_name)
        _address(ret, "BillAddress", entry.bill_address)
        _block(ret, "BillAddressBlock", entry.bill_address)
        self.reference(ret, "TermsRef", entry.terms)
        family = {entry.list_id, *(below.list_id for below in self._company.below(entry.list_id))}
        put(ret, "Balance", amount(self._balance({entry.list_id})))
        put(ret, "TotalBalance", amount(self._balance(family)))
        self.reference(ret, "SalesTaxCodeRef", entry.tax_code)
        put(ret, "JobStatus", "None" if entry.parent else None)
        self.currency(ret, entry.currency)
        return ret

    def _vendor(self, entry: Vendor) -> etree._Element:
        ret = self._list_head("VendorRet", entry, has_full_name=False)
        put(ret, "CompanyName", entry.company_name)
        _address(ret, "VendorAddress", entry.address)
        _block(ret, "VendorAddressBlock", entry.address)
        put(ret, "NameOnCheck", entry.name)
        self.reference(ret, "TermsRef", entry.terms)
        put(ret, "IsVendorEligibleFor1099", False)
        put(ret, "Balance", amount(self._balance({entry.list_id})))
        self.currency(ret, entry.currency)
        return ret

    def _item(self, entry: Item) -> etree._Element:
        ret = self._list_head(f"Item{entry.kind}Ret", entry, has_full_name=entry.kind != "SalesTax")
        if entry.kind == "SalesTax":
            put(ret, "ItemDesc", entry.description)
            put(ret, "TaxRate", rate(entry.percent or Decimal(0)))
            return ret
        self._parent(ret, entry)
        if entry.kind == "Discount":
            put(ret, "ItemDesc", entry.description)
            self.reference(ret, "SalesTaxCodeRef", entry.tax_code)
            if entry.percent is not None:
                put(ret, "DiscountRatePercent", rate(entry.percent))
            else:
                put(ret, "DiscountRate", rate(entry.price))
            self.reference(ret, "AccountRef", entry.account)
            return ret
        self.reference(ret, "SalesTaxCodeRef", entry.tax_code)
        if entry.is_two_sided:
            sides = etree.SubElement(ret, "SalesAndPurchase")
            put(sides, "SalesDesc", entry.description)
            put(sides, "SalesPrice", rate(entry.price))
            self.reference(sides, "IncomeAccountRef", entry.account)
            put(sides, "PurchaseDesc", entry.purchase_description)
            put(sides, "PurchaseCost", rate(entry.cost))
            self.reference(sides, "ExpenseAccountRef", entry.expense_account)
        else:
            sides = etree.SubElement(ret, "SalesOrPurchase")
            put(sides, "Desc", entry.description)
            if entry.percent is not None:
                put(sides, "PricePercent", rate(entry.percent))
            else:
                put(sides, "Price", rate(entry.price))
            self.reference(sides, "AccountRef", entry.account)
        return ret

    def _account(self, entry: Account) -> etree._Element:
        ret = self._list_head("AccountRet", entry)
        self._parent(ret, entry)
        put(ret, "AccountType", entry.account_type)
        if entry.account_type in ("AccountsReceivable", "AccountsPayable"):
            put(ret, "SpecialAccountType", entry.account_type)
        put(ret, "AccountNumber", entry.number)
        put(ret, "Desc", entry.description)
        balance = sum((e.balance for e in self._company.ledger if e.account == entry.list_id), Decimal("0.00"))
        put(ret, "Balance", amount(balance))
        put(ret, "TotalBalance", amount(balance))
        self.currency(ret, entry.currency)
        return ret
