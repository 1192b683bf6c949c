"""What is known of the lists and preferences of a company file: pure data, and how rules look things up in it.

`activities/company_lists.py` serves it from the store. Importable by workflows: no lxml, no SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict


class ListKind(StrEnum):
    """The lists that a mapping points into (design.md 7)."""

    ITEM = "item"
    ACCOUNT = "account"
    CUSTOMER = "customer"
    VENDOR = "vendor"
    TERMS = "terms"
    CLASS = "class"
    SALES_TAX_CODE = "sales_tax_code"
    TEMPLATE = "template"


@dataclass(frozen=True, kw_only=True)
class ListItem:
    """One entry of a list."""

    kind: ListKind
    list_id: str
    full_name: str
    type: str = ""
    """Item type (`Service`), account type (`CostOfGoodsSold`), terms or template type, as qbXML names it."""
    is_active: bool = True
    is_gone: bool = False
    parent_list_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Items: `income_account`, `expense_account` (ListIDs), `is_two_sided`. Customers and vendors: `currency`.
    Sales tax codes: `is_taxable`. Customers and vendors: `terms` (ListID), `has_address`. Customers and items:
    `tax_code` (ListID). Accounts: `number`, `currency`."""


class CompanyFacts(BaseModel):
    """The preferences that decide how documents must be built; None means that QuickBooks did not say."""

    model_config = ConfigDict(frozen=True)

    class_tracking: bool | None = None
    multi_currency: bool | None = None
    home_currency: str | None = None
    sales_tax: bool | None = None
    requires_accounts: bool | None = None
    country: str | None = None
    """Of the program, as it names it: `US`, `CA`."""
    closing_date: date | None = None
    """The last day of the closed period."""

    @property
    def shape(self) -> tuple[bool, ...]:
        """Give what decides how a document is built; one that was built for another shape is built anew."""
        return (self.class_tracking is False, self.sales_tax is False, bool(self.multi_currency))


class Lists(Protocol):
    """The lists of one company file."""

    @property
    def facts(self) -> CompanyFacts:
        """Give the preferences."""

    def is_known(self, kind: ListKind) -> bool:
        """Say whether this list came over; before that nothing about it can be checked."""

    def by_list_id(self, kind: ListKind, list_id: str) -> ListItem | None:
        """Find an entry, inactive and vanished ones too."""

    def by_full_name(self, kind: ListKind, full_name: str) -> Sequence[ListItem]:
        """Find the entries with this full name that have not vanished; QuickBooks ignores case."""

    def active_of(self, kind: ListKind, entry_type: str) -> Sequence[ListItem]:
        """Give the active entries of a type, such as all `AccountsReceivable` accounts, by their names."""
