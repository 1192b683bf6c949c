"""What failed exports wait for: the entries of the mapping whose saving starts them again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base


class ExportWait(Base):
    """One entry of the mapping that an export waits for."""

    __tablename__ = "export_waits"
    __table_args__ = (
        Index("ix_export_waits_entry", "company_id", "key", "released_at"),
        Index("ix_export_waits_released", "company_id", "released_at"),
        Index("ix_export_waits_due", "released_at", "company_id"),
    )
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    """`section/key` of the mapping, such as `charges/FUEL`."""
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    released_at: Mapped[datetime | None]
    """When the entry was saved. It stays until the export is started, so that nothing is lost in between."""
