"""The tables of QuickBooks' lists: what mapping screens offer and what pre-flight checks against."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base, Json


class ListEntry(Base):
    """One entry of a list of a company file. Entries that vanish are kept and marked: a mapping may point to them."""

    __tablename__ = "list_entries"
    __table_args__ = (
        Index("ix_list_entries_page", "company_id", "kind", "name_key", "list_id"),
        Index("ix_list_entries_search", "company_id", "name_key"),
        Index("ix_list_entries_parent", "company_id", "parent_list_id"),
    )
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    """A `mapping.lists.ListKind`."""
    list_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    full_name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Text)
    """The full name without case, by which QuickBooks compares."""
    type: Mapped[str] = mapped_column(String(40), default="")
    """Item type, account type, terms or template type, as qbXML names it; empty for other lists."""
    is_active: Mapped[bool] = mapped_column(default=True)
    is_gone: Mapped[bool] = mapped_column(default=False)
    """Deleted in QuickBooks, or merged into another entry."""
    parent_list_id: Mapped[str | None] = mapped_column(String(36))
    facts: Mapped[Json] = mapped_column(default=dict)
    """What rules and screens need besides: the ListIDs of an item's accounts, `is_taxable`, a customer's currency."""
    time_modified: Mapped[str] = mapped_column(String(40), default="")
    """As QuickBooks wrote it (qbxml.md 5.4)."""
    updated_at: Mapped[datetime]
    generation: Mapped[int] = mapped_column(default=0)
    """The full pass that saw it last: a complete one marks as gone what it did not see."""
