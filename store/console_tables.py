"""The tables of the web console: who is signed in, and which one-time links were used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base


class ConsoleSession(Base):
    """Somebody signed in to the console: staff by an API key, or a bookkeeper of one company by a link."""

    __tablename__ = "console_sessions"
    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"), index=True)
    """The key that signed in; what it may do is looked up at each request, so a revoked key ends its sessions."""
    company_id: Mapped[str | None] = mapped_column(ForeignKey("companies.id"))
    """The company of a link; None for a key."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class UsedConsoleLink(Base):
    """A one-time link that signed somebody in; kept until it would have run out anyway."""

    __tablename__ = "console_links_used"
    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
