"""What a company file holds, as data that can be kept as JSON."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Address = dict[str, str]


class ListObject(BaseModel):
    """What all list entries have in common (qbxml.md 4.2)."""

    list_id: str
    name: str
    full_name: str
    parent: str | None = None
    is_active: bool = True
    time_created: str
    time_modified: str
    edit_sequence: str


class Customer(ListObject):
    """A customer or, with a parent, a job."""

    company_name: str | None = None
    bill_address: Address | None = None
    terms: str | None = None
    tax_code: str | None = None
    currency: str | None = None
    """Its name in QuickBooks, such as `Canadian Dollar`; None: the home currency."""


class Vendor(ListObject):
    """A vendor; here mostly a carrier."""

    company_name: str | None = None
    address: Address | None = None
    terms: str | None = None
    currency: str | None = None


ItemKind = Literal["Service", "NonInventory", "OtherCharge", "Discount", "SalesTax"]


class Item(ListObject):
    """An item; two-sided when it has an expense account beside its income account."""

    kind: ItemKind
    description: str | None = None
    price: Decimal = Decimal(0)
    percent: Decimal | None = None
    account: str | None = None
    purchase_description: str | None = None
    cost: Decimal = Decimal(0)
    expense_account: str | None = None
    tax_code: str | None = None

    @property
    def is_two_sided(self) -> bool:
        """Whether it posts purchases elsewhere than sales."""
        return self.expense_account is not None


class Account(ListObject):
    """An account of the chart of accounts."""

    account_type: str
    number: str | None = None
    description: str | None = None
    currency: str | None = None


class Terms(ListObject):
    """Standard terms; the simulator has no date-driven ones."""

    due_days: int = 0
    discount_days: int | None = None
    discount_percent: Decimal | None = None


class ClassObject(ListObject):
    """A class, for reports by branch or mode."""


class SalesTaxCode(ListObject):
    """A sales tax code of at most three characters."""

    is_taxable: bool
    description: str | None = None
    sales_item: str | None = None
    """Abroad: the tax item that is charged on sales; and on purchases."""
    purchase_item: str | None = None


class Template(ListObject):
    """A form layout."""

    template_type: str


class DeletedEntry(BaseModel):
    """What QuickBooks remembers of a list entry that is no more (qbxml.md 4.4)."""

    type: str
    list_id: str
    full_name: str
    time_created: str
    time_deleted: str


class Line(BaseModel):
    """One line of a transaction, of any kind."""

    kind: Literal["item", "expense", "text"]
    line_id: str = ""
    item: str | None = None
    account: str | None = None
    description: str | None = None
    quantity: Decimal | None = None
    rate: Decimal | None = None
    rate_percent: Decimal | None = None
    amount: Decimal | None = None
    customer: str | None = None
    class_id: str | None = None
    billable_status: str | None = None
    tax_code: str | None = None
    override_account: str | None = None
    service_date: date | None = None
    other1: str | None = None
    other2: str | None = None


class Transaction(BaseModel):
    """What invoices and bills have in common; references are ListIDs."""

    txn_id: str = ""
    time_created: str = ""
    time_modified: str = ""
    edit_sequence: str = ""
    txn_number: int = 0
    entity: str
    account: str
    txn_date: date
    due_date: date
    ref_number: str | None = None
    address: Address | None = None
    terms: str | None = None
    memo: str | None = None
    external_guid: str | None = None
    is_tax_included: bool = False
    tax_total: Decimal = Decimal("0.00")
    lines: list[Line] = []
    applied: Decimal = Decimal(0)

    @property
    def subtotal(self) -> Decimal:
        """Sum of the lines, before tax."""
        return sum((line.amount for line in self.lines if line.amount is not None), Decimal("0.00"))

    @property
    def total(self) -> Decimal:
        """What the other side owes or is owed, with tax."""
        return self.subtotal + self.tax_total

    @property
    def balance(self) -> Decimal:
        """What is still open; applied amounts are negative (qbxml.md 7.5)."""
        return self.total + self.applied


class Invoice(Transaction):
    """A posted invoice."""

    kind: Literal["Invoice"] = "Invoice"
    class_id: str | None = None
    template: str | None = None
    ship_address: Address | None = None
    is_pending: bool = False
    is_finance_charge: bool = False
    po_number: str | None = None
    fob: str | None = None
    ship_date: date
    tax_item: str | None = None
    tax_percent: Decimal = Decimal(0)
    customer_tax_code: str | None = None
    is_to_be_printed: bool = True
    is_to_be_emailed: bool = False
    other: str | None = None


class Bill(Transaction):
    """A posted bill."""

    kind: Literal["Bill"] = "Bill"


Posted = Annotated[Invoice | Bill, Field(discriminator="kind")]


class StoredSet(BaseModel):
    """The record QuickBooks keeps of a message set that asked for error recovery (qbxml.md 1.4)."""

    message_set_id: str
    checksum: str
    response: str


class Preferences(BaseModel):
    """The preferences that change what an export may do (qbxml.md 2.3, 7.13)."""

    class_tracking: bool = True
    account_numbers: bool = False
    requires_accounts: bool = True
    closing_date: date | None = None
    days_bills_due: int = 10
    multi_currency: bool = False
    home_currency: str = "US Dollar"
    sales_tax_item: str | None = None
    automatic_login_allowed: bool = False


class CompanyState(BaseModel):
    """Everything in the file, and nothing of the program that has it open."""

    name: str
    path: str
    country: str = "US"
    """Of the program that keeps it: US, CA, UK, AU."""
    address: Address = {}
    ein: str = "12-3456789"
    preferences: Preferences = Preferences()
    customers: list[Customer] = []
    vendors: list[Vendor] = []
    items: list[Item] = []
    accounts: list[Account] = []
    terms: list[Terms] = []
    classes: list[ClassObject] = []
    tax_codes: list[SalesTaxCode] = []
    templates: list[Template] = []
    deleted: list[DeletedEntry] = []
    ledger: list[Posted] = []
    data_ext: dict[str, dict[str, str]] = {}
    message_sets: dict[str, list[StoredSet]] = {}
    list_counter: int = 0
    txn_counter: int = 0xC4
    txn_number: int = 0
    last_stamp: int = 0
    next_invoice_number: str = "1001"
    last_restore_time: str | None = None
