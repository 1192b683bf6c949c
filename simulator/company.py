"""A company file: its lists, its ledger, and what people do to it by hand."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from . import by_hand
from .errors import QuickBooksError
from .faults import Faults, Switches
from .index import Index
from .records import (
    Account,
    Address,
    Bill,
    ClassObject,
    CompanyState,
    Customer,
    Invoice,
    Item,
    ItemKind,
    ListObject,
    Posted,
    Preferences,
    SalesTaxCode,
    Template,
    Terms,
    Vendor,
)
from .session import Session

Clock = Callable[[], datetime]


class CompanyFile:
    """A QuickBooks company file, together with the QuickBooks that has it open.

    The clock gives aware datetimes in the zone of the QuickBooks computer.
    """

    def __init__(
        self,
        state: CompanyState,
        *,
        clock: Clock,
        switches: Switches | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.state = state
        self.clock = clock
        self.switches = switches or Switches()
        self.faults = faults or Faults()
        self.index = Index()

    @classmethod
    def create(cls, name: str, *, clock: Clock, path: str | None = None) -> Self:
        """A new file without any list entry."""
        return cls(CompanyState(name=name, path=path or f"C:\\QuickBooks\\{name}.qbw"), clock=clock)

    @classmethod
    def load(cls, path: Path | str, *, clock: Clock) -> Self:
        """Read a file kept by `save`; faults and switches are not part of it."""
        return cls(CompanyState.model_validate_json(Path(path).read_text("utf-8")), clock=clock)

    def save(self, path: Path | str) -> None:
        """Keep the file as JSON, whole or not at all."""
        target = Path(path)
        beside = target.with_suffix(target.suffix + ".new")
        beside.write_text(self.snapshot(), "utf-8")
        beside.replace(target)

    def snapshot(self) -> str:
        """A backup of the file, recovery records and all."""
        return self.state.model_dump_json(indent=1)

    def restore(self, backup: str) -> None:
        """Put a backup in place of the file; everything since then is gone (qbxml.md 1.4, 7.16).

        Whether the recovery records are in the file, and so gone as well, is a switch: no source says it.
        """
        records = self.state.message_sets
        self.state = CompanyState.model_validate_json(backup)
        if self.switches.records_survive_restore:
            self.state.message_sets = records
        self.state.last_restore_time = self.local_time()
        self.index.forget()

    @property
    def name(self) -> str:
        """The company's name."""
        return self.state.name

    @property
    def is_abroad(self) -> bool:
        """Whether it is the file of an edition with a tax code on every line (^CA/UK in the schemas)."""
        return self.state.country != "US"

    @property
    def path(self) -> str:
        """The file's path as Windows sees it."""
        return self.state.path

    @property
    def preferences(self) -> Preferences:
        """The company's preferences; assign to their fields to change them."""
        return self.state.preferences

    @property
    def ledger(self) -> Sequence[Posted]:
        """All posted transactions, oldest first."""
        return self.state.ledger

    @property
    def invoices(self) -> list[Invoice]:
        """The invoices of the ledger."""
        return [entry for entry in self.state.ledger if isinstance(entry, Invoice)]

    @property
    def bills(self) -> list[Bill]:
        """The bills of the ledger."""
        return [entry for entry in self.state.ledger if isinstance(entry, Bill)]

    def open_session(
        self, app_name: str, path: str = "", *, opened_as: str | None = None, clock: Clock | None = None
    ) -> Session:
        """OpenConnection and BeginSession in one (web-connector.md 2.5); an empty path takes the open file.

        `opened_as` is what the computer that opens it calls the file's place, `clock` is that computer's clock.
        """
        self.faults.on_opening()
        if path and path.lower() != (opened_as or self.path).lower():
            raise QuickBooksError(
                "0x8004040A",
                "A QuickBooks company data file is already open and it is different from the one requested.",
            )
        return Session(self, app_name, clock)

    def stamp(self) -> int:
        """Unix seconds for ids and EditSequence, moved on so that no two saves share one (qbxml.md 5.3, 7.2)."""
        self.state.last_stamp = max(int(self.clock().timestamp()), self.state.last_stamp + 1)
        return self.state.last_stamp

    def local_time(self) -> str:
        """Now as QuickBooks writes it: local time, with the standard-time offset also in summer (qbxml.md 5.4)."""
        now = self.clock().replace(microsecond=0)
        if not self.switches.standard_time_offset_all_year:
            return now.isoformat()
        standard = (now.utcoffset() or timedelta()) - (now.dst() or timedelta())
        sign = "-" if standard < timedelta() else "+"
        minutes = abs(standard) // timedelta(minutes=1)
        return f"{now.replace(tzinfo=None).isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"

    def today(self) -> date:
        """The date on the QuickBooks computer."""
        return self.clock().date()

    def txn_id(self, stamp: int) -> str:
        """The next id of the one counter for transactions and lines (qbxml.md 5.3)."""
        self.state.txn_counter += 1
        return f"{self.state.txn_counter:X}-{stamp}"

    def entries(self) -> Iterator[ListObject]:
        """Every list entry of every kind."""
        state = self.state
        for entries in (state.customers, state.vendors, state.items, state.accounts, state.terms, state.classes):
            yield from entries
        yield from state.tax_codes
        yield from state.templates

    def entry(self, list_id: str) -> ListObject:
        """The list entry with this ListID."""
        found = self.index.entry(self.state, list_id)
        if found is None:
            raise KeyError(list_id)
        return found

    def below(self, list_id: str) -> list[ListObject]:
        """The entries under an entry, at any depth."""
        return list(self.index.below(self.state, list_id))

    def is_taken(self, name: str, full_name: str) -> bool:
        """Whether the list of this name in the state uses a full name already."""
        return self.index.is_taken(self.state, name, full_name)

    def move_clock(self, delta: timedelta) -> None:
        """Somebody sets the clock of the QuickBooks computer."""
        before = self.clock
        self.clock = lambda: before() + delta

    def full_name(self, list_id: str) -> str:
        """The entry's name with its parents'; empty when it was deleted or merged away."""
        try:
            return self.entry(list_id).full_name
        except KeyError:
            return ""

    def _common(self, kind: str, name: str, parent: ListObject | None, is_active: bool) -> Any:
        if ":" in name or not name:
            raise ValueError(f"a name cannot be {name!r}")
        name.encode("cp1252")  # QuickBooks stores Windows-1252 (qbxml.md 5.5)
        full_name = f"{parent.full_name}:{name}" if parent else name
        if self.is_taken(kind, full_name):
            raise ValueError(f"{full_name!r} is already in use")
        stamp = self.stamp()
        self.state.list_counter += 1
        return {
            "list_id": f"{0x80000000 + self.state.list_counter:08X}-{stamp}",
            "name": name,
            "full_name": full_name,
            "parent": parent.list_id if parent else None,
            "is_active": is_active,
            "time_created": self.local_time(),
            "time_modified": self.local_time(),
            "edit_sequence": str(stamp),
        }

    def add_customer(
        self,
        name: str,
        *,
        parent: Customer | None = None,
        terms: Terms | None = None,
        address: Address | None = None,
        currency: str | None = None,
        is_active: bool = True,
    ) -> Customer:
        """Add a customer, or a job under one; customers and vendors share one name space (qbxml.md 7.10)."""
        common = self._common("customers", name, parent, is_active)
        customer = Customer(**common, terms=terms.list_id if terms else None, bill_address=address, currency=currency)
        if parent is None:
            customer.company_name = name[:41]
        self.state.customers.append(customer)
        return customer

    def add_vendor(
        self,
        name: str,
        *,
        terms: Terms | None = None,
        address: Address | None = None,
        currency: str | None = None,
        is_active: bool = True,
    ) -> Vendor:
        """Add a vendor."""
        common = self._common("vendors", name, None, is_active)
        vendor = Vendor(
            **common,
            terms=terms.list_id if terms else None,
            address=address,
            company_name=name[:41],
            currency=currency,
        )
        self.state.vendors.append(vendor)
        return vendor

    def add_account(
        self,
        name: str,
        account_type: str,
        *,
        parent: Account | None = None,
        number: str | None = None,
        currency: str | None = None,
        is_active: bool = True,
    ) -> Account:
        """Add an account of a type of the schema, such as Income or CostOfGoodsSold."""
        common = self._common("accounts", name, parent, is_active)
        account = Account(**common, account_type=account_type, number=number, currency=currency)
        self.state.accounts.append(account)
        return account

    def add_item(
        self,
        name: str,
        account: Account | None,
        *,
        kind: ItemKind = "Service",
        expense_account: Account | None = None,
        parent: Item | None = None,
        description: str | None = None,
        price: Decimal | str = "0",
        percent: Decimal | None = None,
        cost: Decimal | str = "0",
        is_active: bool = True,
    ) -> Item:
        """Add an item; with an expense account it is two-sided (qbxml.md 3.3, ItemLineAdd)."""
        item = Item(
            **self._common("items", name, parent, is_active),
            kind=kind,
            account=account.list_id if account else None,
            expense_account=expense_account.list_id if expense_account else None,
            description=description,
            purchase_description=description if expense_account else None,
            price=Decimal(price),
            percent=percent,
            cost=Decimal(cost),
        )
        self.state.items.append(item)
        return item

    def add_terms(
        self,
        name: str,
        due_days: int,
        *,
        discount_days: int | None = None,
        discount_percent: Decimal | None = None,
        is_active: bool = True,
    ) -> Terms:
        """Add standard terms."""
        common = self._common("terms", name, None, is_active)
        terms = Terms(**common, due_days=due_days, discount_days=discount_days, discount_percent=discount_percent)
        self.state.terms.append(terms)
        return terms

    def add_class(self, name: str, *, parent: ClassObject | None = None, is_active: bool = True) -> ClassObject:
        """Add a class."""
        added = ClassObject(**self._common("classes", name, parent, is_active))
        self.state.classes.append(added)
        return added

    def add_tax_code(
        self, name: str, *, is_taxable: bool, description: str | None = None, tax: Item | None = None
    ) -> SalesTaxCode:
        """Add a sales tax code; abroad it bears the tax of its items on sales and on purchases."""
        code = SalesTaxCode(
            **self._common("tax_codes", name, None, True),
            is_taxable=is_taxable,
            description=description,
            sales_item=tax.list_id if tax else None,
            purchase_item=tax.list_id if tax else None,
        )
        self.state.tax_codes.append(code)
        return code

    def add_template(self, name: str, template_type: str = "Invoice", *, is_active: bool = True) -> Template:
        """Add a form layout."""
        template = Template(**self._common("templates", name, None, is_active), template_type=template_type)
        self.state.templates.append(template)
        return template

    def _touch(self, entry: ListObject | Posted) -> None:
        entry.edit_sequence = str(self.stamp())
        entry.time_modified = self.local_time()

    def set_active(self, list_id: str, is_active: bool) -> None:
        """A user makes an entry inactive, or active again."""
        entry = self.entry(list_id)
        entry.is_active = is_active
        self._touch(entry)

    def rename(self, list_id: str, name: str) -> None:
        """A user renames an entry; entries below it move along."""
        entry = self.entry(list_id)
        by_hand.rename(self, entry, name)
        self._touch(entry)

    def remove_entry(self, list_id: str) -> None:
        """A user deletes an entry and what is below it (qbxml.md 4.4)."""
        by_hand.delete(self, self.entry(list_id))

    def merge_entries(self, list_id: str, into: str) -> None:
        """A user gives an entry the name of another and says yes to merging: the first ListID is gone."""
        by_hand.merge(self, self.entry(list_id), self.entry(into))

    def edit_transaction(self, txn_id: str, **fields: Any) -> Posted:
        """A user changes fields of a posted transaction, named as in the ledger."""
        transaction = next(entry for entry in self.state.ledger if entry.txn_id == txn_id)
        for name, value in fields.items():
            if name not in type(transaction).model_fields:
                raise AttributeError(name)
            setattr(transaction, name, value)
        self._touch(transaction)
        return transaction

    def type_like(self, add: str, typed: by_hand.Typed = by_hand.SAME) -> Posted:
        """A user enters by hand what an InvoiceAddRq or BillAddRq describes, or almost that."""
        return by_hand.type_like(self, add, typed)

    def turn_on_sales_tax(self, name: str, percent: Decimal | str) -> Item:
        """A user turns sales tax on: from now on what bears a taxable code gets this tax on top."""
        return by_hand.turn_on_sales_tax(self, name, Decimal(percent))

    def delete_transaction(self, txn_id: str) -> None:
        """A user deletes a posted transaction."""
        self.state.ledger = [entry for entry in self.state.ledger if entry.txn_id != txn_id]
