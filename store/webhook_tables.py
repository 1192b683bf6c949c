"""The tables of webhooks: who wants to hear of what, and each message with what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base, Json


class Webhook(Base):
    """An address of the TMS that hears of state changes of one company."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]] = mapped_column(JSON)
    description: Mapped[str] = mapped_column(String(200), default="")
    secret: Mapped[str] = mapped_column(String(100))
    """Each message is signed with it, so it is encrypted instead of hashed, or in clear without a key for that."""
    previous_secret: Mapped[str | None] = mapped_column(String(100))
    previous_until: Mapped[datetime | None]
    """Until then messages carry a signature of the previous secret, too."""
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookDelivery(Base):
    """One message to one address, written in the transaction of the change that it tells of."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_unstarted", "state", "started_at", "available_at"),
        Index("ix_webhook_deliveries_log", "webhook_id", "created_at", "id"),
        Index("ix_webhook_deliveries_finished", "company_id", "finished_at"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Travels as webhook-id: the receiver knows a repeated message by it."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    event: Mapped[str] = mapped_column(String(40))
    payload: Mapped[Json]
    state: Mapped[str] = mapped_column(String(12))
    """pending | delivered | failed"""
    attempts: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    available_at: Mapped[datetime]
    """When its workflow may be started."""
    run: Mapped[int] = mapped_column(default=1)
    """Counts deliveries that a person asked for: each has a workflow of its own."""
    started_at: Mapped[datetime | None]
    """When Temporal took its workflow; None: not yet."""
    last_attempt_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
