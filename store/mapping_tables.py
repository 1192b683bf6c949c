"""What was changed in a mapping: each change keeps what stood there before, so that a person can take it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base, Serial


class MappingChange(Base):
    """One saving of a mapping. It is written in the transaction of the saving itself."""

    __tablename__ = "mapping_changes"
    __table_args__ = (Index("ix_mapping_changes_company", "company_id", "id"),)
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    at: Mapped[datetime]
    author: Mapped[str] = mapped_column(String(100), default="")
    """Who did it, as people know them; empty: the TMS, over the API."""
    entries: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """`{section, key, before, after}` of each entry, null where there is none; empty when it was too large to keep."""
    entry_count: Mapped[int]
    undone_at: Mapped[datetime | None]
