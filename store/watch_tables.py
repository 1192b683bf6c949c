"""The table of the watch over connections (connection_watch.py): since when it is kept up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base


class Watch(Base):
    """A watch that is kept up by whoever has its turn; there is one row."""

    __tablename__ = "watches"
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    since: Mapped[datetime]
    """From then on it was looked without a gap: what was silent before may have called where nobody listened."""
    looked_at: Mapped[datetime]
