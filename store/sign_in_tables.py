"""The table of refused sign-ins of Web Connectors: what the limits on guessing count."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base


class SignInFailures(Base):
    """The wrong passwords of one company, of one address, or of both together, in the window that began at `since`."""

    __tablename__ = "sign_in_failures"
    subject: Mapped[str] = mapped_column(String(160), primary_key=True)
    """`company ID`, `address ADDRESS` or `both ID ADDRESS`."""
    since: Mapped[datetime] = mapped_column(index=True)
    count: Mapped[int]
