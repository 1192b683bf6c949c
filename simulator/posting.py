"""Adds invoices and bills to the ledger, or says why not (qbxml.md 3.1, 3.3, 7)."""

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from lxml import etree

from .arithmetic import cents, complete
from .errors import WRONG_CURRENCY, RequestProblem, bad_reference, missing_element
from .records import Account, Address, Bill, Customer, Invoice, Item, Line, Posted, Terms, Vendor
from .references import References, refuse_feature, text_of
from .values import is_true

if TYPE_CHECKING:
    from .company import CompanyFile

_INVOICE_LISTS = {
    "SalesRepRef": "Sales Rep",
    "ShipMethodRef": "Ship Method",
    "CustomerMsgRef": "Customer Message",
}
_LINE_LISTS = {
    "PriceLevelRef": "Price Level",
    "InventorySiteRef": "Inventory Site",
    "InventorySiteLocationRef": "Inventory Site Location",
    "SalesRepRef": "Sales Rep",
}
_REIMBURSABLE = {"CostOfGoodsSold", "Expense", "OtherExpense"}
_NO_EXPENSE = {"AccountsReceivable", "AccountsPayable", "NonPosting"}


def post(company: "CompanyFile", element: etree._Element) -> Posted:
    """Write the transaction that an InvoiceAdd or BillAdd describes, or raise the status that refuses it.

    Nothing is written before everything has been judged.
    """
    entry: Posted = _invoice(company, element) if element.tag == "InvoiceAdd" else _bill(company, element)
    form = entry.kind
    company.faults.on_post(entry.ref_number)
    _refuse_by_rule(company, entry, form)
    _write_otherwise(company, entry)
    stamp = company.stamp()
    entry.txn_id = company.txn_id(stamp)
    company.state.txn_counter += 1  # a header takes a second number before its lines (qbxml.md 5.3)
    for line in entry.lines:
        line.line_id = company.txn_id(stamp)
    entry.time_created = entry.time_modified = company.local_time()
    entry.edit_sequence = str(stamp)
    company.state.txn_number += 1
    entry.txn_number = company.state.txn_number
    if isinstance(entry, Invoice) and entry.ref_number and entry.ref_number.isdecimal():
        company.state.next_invoice_number = str(int(entry.ref_number) + 1)
    company.state.ledger.append(entry)
    return entry


def _write_otherwise(company: "CompanyFile", entry: Posted) -> None:
    otherwise = company.faults.take_otherwise()
    if otherwise.txn_date is not None:
        entry.txn_date = date.fromisoformat(otherwise.txn_date)
    if otherwise.ref_number is not None:
        entry.ref_number = otherwise.ref_number
    if otherwise.entity is not None:
        parties = company.state.customers if isinstance(entry, Invoice) else company.state.vendors
        entry.entity = next(party.list_id for party in parties if party.full_name == otherwise.entity)


def _refuse_by_rule(company: "CompanyFile", entry: Posted, form: str) -> None:
    switches, closing = company.switches, company.preferences.closing_date
    if closing and entry.txn_date <= closing and switches.refuse_adds_in_closed_period:
        raise RequestProblem(
            3171,
            f"An attempt was made to modify a {form} with a date that is on or before the closing date of the "
            "company. If you wish to make this change, please ask your QuickBooks Administrator to remove the "
            "closing date password.",
        )
    if entry.total < 0 and switches.refuse_negative_totals:
        field = "AmountDue" if form == "Bill" else "Subtotal"
        raise RequestProblem(
            3210,
            f'The "{field}" field has an invalid value "{entry.total:.2f}".  '
            "QuickBooks error message: Transaction amounts must be positive.",
        )
    if not entry.lines and form == "Bill" and switches.refuse_empty_bills:
        raise RequestProblem(3310, "The transaction is empty.")
    if entry.external_guid and switches.refuse_repeated_external_guid:
        guid = entry.external_guid.lower()
        if any((other.external_guid or "").lower() == guid for other in company.ledger):
            raise RequestProblem(3100, f'The name "{entry.external_guid}" of the list element is already in use.')


def _decimal(element: etree._Element, name: str) -> Decimal | None:
    value = element.findtext(name)
    return Decimal(value) if value else None


def _date(element: etree._Element, name: str) -> date | None:
    value = element.findtext(name)
    return date.fromisoformat(value) if value else None


def _address(element: etree._Element, name: str) -> Address | None:
    found = element.find(name)
    if found is None:
        return None
    return {str(part.tag): text for part in found if (text := text_of(found, str(part.tag)))}


def _account(
    company: "CompanyFile", references: References, element: etree._Element, kind: str, party: Customer | Vendor
) -> Account:
    """The A/R or A/P account, which must be in the currency of the customer or vendor (qbxml-life.md 9)."""
    name = "ARAccountRef" if kind == "AccountsReceivable" else "APAccountRef"
    found = references.receivable_or_payable(element, name, kind) or _usual_account(company, kind, party)
    if found is None:
        raise RequestProblem(3270, "There is no posting account for this transaction.")
    home = company.preferences.home_currency
    wanted, own = party.currency or home, found.currency or home
    serves = own == home and company.switches.home_account_serves_foreign_parties
    if company.preferences.multi_currency and own != wanted and not serves:
        value = element.findtext(f"{name}/ListID") or found.full_name
        raise bad_reference(name[:2] + " Account", value, str(element.tag).removesuffix("Add"), WRONG_CURRENCY)
    return found


def _usual_account(company: "CompanyFile", kind: str, party: Customer | Vendor) -> Account | None:
    fitting = [a for a in company.state.accounts if a.account_type == kind and a.is_active]
    if not company.preferences.multi_currency:
        return next(iter(fitting), None)
    form = Invoice if kind == "AccountsReceivable" else Bill
    last = next((entry.account for entry in reversed(company.ledger) if isinstance(entry, form)), None)
    if last is not None and company.switches.account_of_last_document:
        return next((a for a in fitting if a.list_id == last), None)
    return next((a for a in fitting if a.currency == party.currency), None)


def _refuse_foreign(
    company: "CompanyFile", account: Account, party: Customer | Vendor, element: etree._Element
) -> None:
    """What a line posts to is in the home currency or in that of the document."""
    home = company.preferences.home_currency
    if company.preferences.multi_currency and (account.currency or home) not in (home, party.currency or home):
        value = element.findtext("AccountRef/ListID") or account.full_name
        raise bad_reference("Account", value, "Bill line", WRONG_CURRENCY)


def _terms(
    company: "CompanyFile", references: References, element: etree._Element, default: str | None
) -> Terms | None:
    found = references.resolve(element, "TermsRef", "Terms", company.state.terms)
    if found is None and element.find("TermsRef") is None:
        found = next((terms for terms in company.state.terms if terms.list_id == default), None)
    return found


def _customer_terms(company: "CompanyFile", customer: Customer) -> str | None:
    """A job takes its terms from the parent when it has none (qbxml.md 7.8)."""
    if customer.terms or not customer.parent:
        return customer.terms
    parent = company.entry(customer.parent)
    return _customer_terms(company, parent) if isinstance(parent, Customer) else None


def _customer_address(company: "CompanyFile", customer: Customer) -> Address | None:
    if customer.bill_address or not customer.parent:
        return customer.bill_address
    parent = company.entry(customer.parent)
    return _customer_address(company, parent) if isinstance(parent, Customer) else None


def _invoice(company: "CompanyFile", element: etree._Element) -> Invoice:
    state, references = company.state, References(company, "Invoice")
    customer = references.resolve(element, "CustomerRef", "Customer", state.customers)
    if customer is None:
        raise missing_element("CustomerRef")
    references.refuse_lists_not_kept(element, _INVOICE_LISTS)
    class_id = references.class_id(element)
    account = _account(company, references, element, "AccountsReceivable", customer)
    template = references.resolve(
        element, "TemplateRef", "Template", state.templates, suits=lambda t: t.template_type == "Invoice"
    ) or next((t for t in state.templates if t.template_type == "Invoice" and t.is_active), None)
    terms = _terms(company, references, element, _customer_terms(company, customer))
    tax_item = references.resolve(
        element, "ItemSalesTaxRef", "Item", state.items, suits=lambda item: item.kind == "SalesTax"
    )
    customer_code = references.resolve(element, "CustomerSalesTaxCodeRef", "Sales Tax Code", state.tax_codes)
    txn_date = _date(element, "TxnDate") or company.today()
    ref_number = text_of(element, "RefNumber")
    if element.find("RefNumber") is None and company.switches.number_missing_ref:
        ref_number = state.next_invoice_number
    invoice = Invoice(
        entity=customer.list_id,
        account=account.list_id,
        class_id=class_id,
        template=template.list_id if template else None,
        txn_date=txn_date,
        due_date=_date(element, "DueDate") or txn_date + timedelta(days=terms.due_days if terms else 0),
        ship_date=_date(element, "ShipDate") or txn_date,
        ref_number=ref_number,
        address=_address(element, "BillAddress") or _customer_address(company, customer),
        ship_address=_address(element, "ShipAddress"),
        is_pending=is_true(element.findtext("IsPending")),
        is_finance_charge=is_true(element.findtext("IsFinanceCharge")),
        po_number=text_of(element, "PONumber"),
        terms=terms.list_id if terms else None,
        fob=text_of(element, "FOB"),
        memo=text_of(element, "Memo"),
        tax_item=tax_item.list_id if tax_item else state.preferences.sales_tax_item,
        customer_tax_code=customer_code.list_id if customer_code else customer.tax_code,
        is_to_be_printed=is_true(element.findtext("IsToBePrinted") or "true"),
        is_to_be_emailed=is_true(element.findtext("IsToBeEmailed")),
        is_tax_included=_is_tax_included(company, element),
        other=text_of(element, "Other"),
        external_guid=text_of(element, "ExternalGUID"),
    )
    for line in element.iterchildren("InvoiceLineAdd"):
        invoice.lines.append(_invoice_line(company, references, line, invoice))
    _refuse_groups(element, "InvoiceLineGroupAdd", "Invoice")
    _tax(company, invoice)
    return invoice


def _refuse_groups(element: etree._Element, name: str, form: str) -> None:
    for group in element.iterchildren(name):
        reference = group.find("ItemGroupRef")
        value = "" if reference is None else (text_of(reference, "ListID") or text_of(reference, "FullName") or "")
        raise bad_reference("Item", value, f"{form} line")


def _invoice_line(company: "CompanyFile", references: References, element: etree._Element, invoice: Invoice) -> Line:
    state = company.state
    item = references.resolve(
        element, "ItemRef", "Item", state.items, in_line=True, suits=lambda found: found.kind != "SalesTax"
    )
    quantity, rate, amount = (_decimal(element, name) for name in ("Quantity", "Rate", "Amount"))
    if item is None:
        if any(value is not None for value in (quantity, rate, amount)):
            raise missing_element("ItemRef")
        return Line(kind="text", description=text_of(element, "Desc"))
    references.refuse_lists_not_kept(element, _LINE_LISTS, in_line=True)
    _want_tax_code(company, element)
    if state.preferences.sales_tax_item is None and company.switches.refuse_tax_code_when_sales_tax_is_off:
        refuse_feature(element, "SalesTaxCodeRef")
    code = references.resolve(element, "SalesTaxCodeRef", "Sales Tax Code", state.tax_codes, in_line=True)
    if code is None and company.switches.line_without_code_takes_that_of_its_item:
        code = next((found for found in state.tax_codes if found.list_id == item.tax_code), None)
    if code is None or state.preferences.sales_tax_item is None:
        # Without a code a line is saved as non-taxable, even for a taxable customer (qbxml.md 0.9).
        code = next((found for found in state.tax_codes if not found.is_taxable), None)
    override = references.account(
        element, "OverrideItemAccountRef", lambda found: found.account_type not in _NO_EXPENSE, in_line=True
    )
    line = Line(
        kind="item",
        item=item.list_id,
        description=text_of(element, "Desc") if element.find("Desc") is not None else item.description,
        class_id=references.class_id(element, in_line=True) or invoice.class_id,
        tax_code=code.list_id if code else None,
        override_account=override.list_id if override else None,
        service_date=_date(element, "ServiceDate"),
        other1=text_of(element, "Other1"),
        other2=text_of(element, "Other2"),
    )
    percent = _decimal(element, "RatePercent")
    if percent is None and rate is None and amount is None:
        percent = item.percent
    if percent is not None and amount is None:
        line.rate_percent, line.amount = percent, cents(_line_above(invoice) * percent / 100)
        return line
    figures = complete(quantity, rate, amount, -item.price if item.kind == "Discount" else item.price)
    line.quantity, line.rate, line.amount = figures.quantity, figures.rate, figures.amount
    if item.kind == "Discount" and quantity is None:
        line.quantity = None
    return line


def _line_above(invoice: Invoice) -> Decimal:
    """A percentage works on the line above it."""
    amounts = [line.amount for line in invoice.lines if line.amount is not None]
    return amounts[-1] if amounts else Decimal(0)


def _tax(company: "CompanyFile", invoice: Invoice) -> None:
    if company.is_abroad:
        invoice.tax_item = None
        _tax_of_lines(company, invoice)
        return
    item = next((item for item in company.state.items if item.list_id == invoice.tax_item), None)
    if item is None or company.preferences.sales_tax_item is None:
        invoice.tax_item = None
        return
    invoice.tax_percent = item.percent or Decimal(0)
    taxable = {code.list_id for code in company.state.tax_codes if code.is_taxable}
    if invoice.customer_tax_code is not None and invoice.customer_tax_code not in taxable:
        taxable.clear()  # nothing is taxed for a customer who owes none
    base = sum((line.amount or Decimal(0) for line in invoice.lines if line.tax_code in taxable), Decimal(0))
    invoice.tax_total = cents(base * invoice.tax_percent / 100)


def _want_tax_code(company: "CompanyFile", line: etree._Element) -> None:
    is_wanted = company.is_abroad and company.preferences.sales_tax_item is not None
    if is_wanted and company.switches.refuse_lines_without_tax_code and line.find("SalesTaxCodeRef") is None:
        raise missing_element("SalesTaxCodeRef")


def _tax_of_lines(company: "CompanyFile", entry: Invoice | Bill) -> None:
    """Abroad each line bears the tax of its own code; where amounts include it, it is taken out of them."""
    percents = {item.list_id: item.percent or Decimal(0) for item in company.state.items if item.kind == "SalesTax"}
    codes = {code.list_id: code for code in company.state.tax_codes}
    for line in entry.lines:
        code = codes.get(line.tax_code or "")
        if code is None or line.amount is None:
            continue
        item = code.sales_item if isinstance(entry, Invoice) else code.purchase_item
        percent = percents.get(item or "", Decimal(0))
        if entry.is_tax_included:
            net = cents(line.amount * 100 / (100 + percent))
            entry.tax_total += line.amount - net
            line.amount = net
        else:
            entry.tax_total += cents(line.amount * percent / 100)


def _is_tax_included(company: "CompanyFile", element: etree._Element) -> bool:
    said = element.findtext("IsTaxIncluded")
    return company.is_abroad and (is_true(said) if said else company.switches.amounts_include_tax)


def _bill(company: "CompanyFile", element: etree._Element) -> Bill:
    state, references = company.state, References(company, "Bill")
    vendor = references.resolve(element, "VendorRef", "Vendor", state.vendors)
    if vendor is None:
        raise missing_element("VendorRef")
    account = _account(company, references, element, "AccountsPayable", vendor)
    terms = _terms(company, references, element, vendor.terms)
    txn_date = _date(element, "TxnDate") or company.today()
    days = terms.due_days if terms else state.preferences.days_bills_due
    bill = Bill(
        entity=vendor.list_id,
        account=account.list_id,
        txn_date=txn_date,
        due_date=_date(element, "DueDate") or txn_date + timedelta(days=days),
        ref_number=text_of(element, "RefNumber"),
        address=_address(element, "VendorAddress") or vendor.address,
        terms=terms.list_id if terms else None,
        memo=text_of(element, "Memo"),
        is_tax_included=_is_tax_included(company, element),
        external_guid=text_of(element, "ExternalGUID"),
    )
    for line in element.iterchildren("ExpenseLineAdd"):
        bill.lines.append(_expense_line(company, references, line, vendor))
    for line in element.iterchildren("ItemLineAdd"):
        bill.lines.append(_item_line(company, references, line))
    _refuse_groups(element, "ItemGroupLineAdd", "Bill")
    if company.is_abroad:
        _tax_of_lines(company, bill)
    return bill


def _expense_line(company: "CompanyFile", references: References, element: etree._Element, vendor: Vendor) -> Line:
    account = references.account(
        element, "AccountRef", lambda found: found.account_type not in _NO_EXPENSE, in_line=True
    )
    if account is None:
        raise missing_element("AccountRef")
    _refuse_foreign(company, account, vendor, element)
    mark = text_of(element, "BillableStatus")
    is_refused = company.switches.refuse_billable_mark_on_other_accounts
    if mark and account.account_type not in _REIMBURSABLE and is_refused:
        raise RequestProblem(
            3210,
            f'The "billable status" field has an invalid value "{mark}".  '
            "QuickBooks error message: Target is not reimbursable.",
        )
    return Line(
        kind="expense",
        account=account.list_id,
        amount=_decimal(element, "Amount") or Decimal("0.00"),
        description=text_of(element, "Memo"),
        **_job_costing(company, references, element),
    )


def _item_line(company: "CompanyFile", references: References, element: etree._Element) -> Line:
    item: Item | None = references.resolve(
        element, "ItemRef", "Item", company.state.items, in_line=True, suits=lambda found: found.kind != "SalesTax"
    )
    quantity, cost, amount = (_decimal(element, name) for name in ("Quantity", "Cost", "Amount"))
    if item is None:
        raise missing_element("ItemRef")
    override = references.account(
        element, "OverrideItemAccountRef", lambda found: found.account_type not in _NO_EXPENSE, in_line=True
    )
    figures = complete(quantity, cost, amount, item.cost if item.is_two_sided else item.price)
    return Line(
        kind="item",
        item=item.list_id,
        # A one-sided item posts a purchase to its only account, even when that is an income account (qbxml.md 3.3).
        account=item.expense_account or item.account,
        override_account=override.list_id if override else None,
        description=text_of(element, "Desc") if element.find("Desc") is not None else item.purchase_description,
        quantity=figures.quantity,
        rate=figures.rate,
        amount=figures.amount,
        **_job_costing(company, references, element),
    )


def _job_costing(company: "CompanyFile", references: References, element: etree._Element) -> dict[str, str | None]:
    references.refuse_lists_not_kept(element, _LINE_LISTS, in_line=True)
    customer = references.resolve(element, "CustomerRef", "Customer", company.state.customers, in_line=True)
    status = text_of(element, "BillableStatus")
    _want_tax_code(company, element)
    code = references.resolve(element, "SalesTaxCodeRef", "Sales Tax Code", company.state.tax_codes, in_line=True)
    return {
        "tax_code": code.list_id if code else None,
        "customer": customer.list_id if customer else None,
        "class_id": references.class_id(element, in_line=True),
        # Without a customer the status means nothing; with one, QuickBooks offers the cost for re-billing.
        "billable_status": (status or "Billable") if customer else None,
    }
