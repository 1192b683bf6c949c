"""The table that says which life of the database this is (epochs.py)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base


class Epoch(Base):
    """What the database was when it was looked at last; there is one row. A backup of it holds what it was then.

    It is read on each new connection, before migrations too: its columns stay these.
    """

    __tablename__ = "epochs"
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    identity: Mapped[str | None] = mapped_column(Text)
    """What a server that took over, or a database that was put back, has otherwise: see `epochs.identity_of`."""
    started: Mapped[str | None] = mapped_column(Text)
    """When that server began. After a start it may be older than it was, as its disk may be."""
    seen_at: Mapped[datetime]
    """Until then Temporal was asked whether it knows more than we do, and it did not."""
    is_certain: Mapped[bool] = mapped_column(default=False)
    """It stepped back, or may have: what waits is looked up before it is sent. Otherwise Temporal is asked first."""
