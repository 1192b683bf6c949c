"""How one company keeps its books: which QuickBooks list entry stands for which code of the TMS.

Pure data. Names keep the spelling of QuickBooks, for a changed letter is another list entry.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from mapping.currencies import currency_code
from mapping.editions import Edition, edition_of
from mapping.issues import Issue, Owner
from mapping.lists import CompanyFacts
from mapping.parsing import issues_of


def _name(value: object) -> object:
    if not isinstance(value, str):
        return value
    name = unicodedata.normalize("NFC", value)
    try:
        name.encode("cp1252")
    except UnicodeEncodeError:
        raise ValueError("it has characters that no name in QuickBooks has") from None
    if any(unicodedata.category(char) == "Cc" for char in name):
        raise ValueError("it has line breaks, tabs or other control characters, which no name in QuickBooks has")
    return name


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


class Target(_Model):
    """One entry of a QuickBooks list, by its id or by its full name."""

    list_id: Annotated[str, StringConstraints(max_length=36, pattern=r"^[0-9A-Za-z-]+$")] | None = Field(
        default=None, description="ListID in the company file; wins when both are given."
    )
    full_name: Annotated[str, BeforeValidator(_name), StringConstraints(min_length=1, max_length=209)] | None = Field(
        default=None, description="FullName: the names from the top of the list down, joined with colons."
    )

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.list_id is None and self.full_name is None:
            raise ValueError("it names neither a `list_id` nor a `full_name`")
        return self


def _at_most(length: int) -> Callable[[Target], Target]:
    def check(target: Target) -> Target:
        if target.list_id is None and target.full_name is not None and len(target.full_name) > length:
            raise ValueError(f"QuickBooks has no such name with more than {length} characters")
        return target

    return check


# The lengths of qbXML's reference types; five levels of 41 or 31 characters for lists with sub-entries.
CustomerTarget = Annotated[Target, AfterValidator(_at_most(209))]
NestedTarget = Annotated[Target, AfterValidator(_at_most(159))]
VendorTarget = Annotated[Target, AfterValidator(_at_most(41))]
ShortTarget = Annotated[Target, AfterValidator(_at_most(31))]
TaxCodeTarget = Annotated[Target, AfterValidator(_at_most(3))]


class InvoiceCharge(_Model):
    """Where a charge goes on invoices."""

    item: NestedTarget = Field(description="Item of the invoice line.")


class BillCharge(_Model):
    """Where a charge goes on carrier bills: an item, or straight to an account."""

    item: NestedTarget | None = Field(default=None, description="Two-sided item of an item line.")
    account: NestedTarget | None = Field(default=None, description="Account of an expense line.")

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Self:
        if (self.item is None) == (self.account is None):
            raise ValueError("it needs either an `item` or an `account`")
        return self


class ChargeRule(_Model):
    """Both sides of one charge code."""

    invoice: InvoiceCharge | None = Field(default=None, description="Side of the invoices.")
    carrier_bill: BillCharge | None = Field(default=None, description="Side of the carrier bills.")


class InvoiceDefaults(_Model):
    """What every invoice gets unless something more particular is said."""

    item: NestedTarget | None = Field(default=None, description="Item for charges without a rule.")
    ar_account: NestedTarget | None = Field(default=None, description="Accounts receivable.")
    template: ShortTarget | None = Field(default=None, description="Form layout.")
    tax_code: TaxCodeTarget | None = Field(default=None, description="Sales tax code of each line.")
    class_target: NestedTarget | None = Field(default=None, alias="class", description="Class without one.")


class BillDefaults(_Model):
    """What every carrier bill gets unless something more particular is said."""

    item: NestedTarget | None = Field(default=None, description="Item for charges without a rule.")
    account: NestedTarget | None = Field(default=None, description="Account for charges without a rule.")
    ap_account: NestedTarget | None = Field(default=None, description="Accounts payable.")
    tax_code: TaxCodeTarget | None = Field(
        default=None, description="Sales tax code of each line; only QuickBooks for Canada and the UK has one on bills."
    )
    class_target: NestedTarget | None = Field(default=None, alias="class", description="Class without one.")

    @model_validator(mode="after")
    def _has_at_most_one(self) -> Self:
        if self.item is not None and self.account is not None:
            raise ValueError("it has both an `item` and an `account`; choose one")
        return self


class Defaults(_Model):
    """Defaults of both kinds of document."""

    invoice: InvoiceDefaults = Field(default=InvoiceDefaults(), description="For invoices.")
    carrier_bill: BillDefaults = Field(default=BillDefaults(), description="For carrier bills.")


class CompanyMapping(_Model):
    """Every link between the TMS and one company file."""

    charges: dict[str, ChargeRule] = Field(default_factory=dict, description="By charge code.")
    customers: dict[str, CustomerTarget] = Field(default_factory=dict, description="By customer id of the TMS.")
    carriers: dict[str, VendorTarget] = Field(default_factory=dict, description="By carrier id of the TMS.")
    terms: dict[str, ShortTarget] = Field(default_factory=dict, description="By terms of the TMS.")
    classes: dict[str, NestedTarget] = Field(default_factory=dict, description="By class of the TMS.")
    defaults: Defaults = Field(default=Defaults(), description="What applies otherwise.")


class RefNumberRule(StrEnum):
    """How a number that is too long for QuickBooks is fitted."""

    KEEP_END = "keep_end"  # drop the prefix and leading zeros, keep the last characters
    KEEP_START = "keep_start"  # keep the first characters
    REFUSE = "refuse"  # do not export; somebody renumbers the document


class CompanyRules(_Model):
    """The mapping with what else the company decided."""

    mapping: CompanyMapping = Field(default=CompanyMapping(), description="Links to QuickBooks.")
    home_currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="Currency of the company file.")
    multi_currency: bool = Field(default=False, description="Whether the company file uses several currencies.")
    ref_number_rule: RefNumberRule = Field(default=RefNumberRule.KEEP_END, description="For numbers too long.")
    edition: Edition = Field(default=Edition.US, description="Edition of QuickBooks.")
    not_reimbursable: tuple[Target, ...] = Field(
        default=(), description="Accounts of bill lines that QuickBooks takes no billable mark on."
    )


def parse_mapping(data: Mapping[str, Any]) -> CompanyMapping | list[Issue]:
    """Read a mapping, or give every reason why it cannot be read."""
    try:
        return CompanyMapping.model_validate(dict(data))
    except ValidationError as error:
        return issues_of(error, what="mapping", owner=Owner.TMS_USER)


def rules_for(
    mapping: Mapping[str, Any], *, country: str, ref_number_rule: str, facts: CompanyFacts | None = None
) -> CompanyRules | list[Issue]:
    """Read what is stored of a company; what QuickBooks did not tell of currencies follows from the country."""
    parsed = parse_mapping(mapping)
    if isinstance(parsed, list):
        return parsed
    known = ref_number_rule in list(RefNumberRule)
    facts = facts or CompanyFacts()
    edition = edition_of(facts.country, country) or Edition.US  # another one is refused by pre-flight
    return CompanyRules(
        mapping=parsed,
        home_currency=currency_code(facts.home_currency) or _HOME_CURRENCIES[edition],
        edition=edition,
        multi_currency=bool(facts.multi_currency),
        ref_number_rule=RefNumberRule(ref_number_rule) if known else RefNumberRule.KEEP_END,
    )


_HOME_CURRENCIES = {Edition.US: "USD", Edition.CANADA: "CAD", Edition.UK: "GBP"}
