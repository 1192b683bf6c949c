"""The tables of the HTTP API: answers kept for repeated requests, and documents that were handed over for review."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base, Json, Serial


class KeptAnswer(Base):
    """A request with an Idempotency-Key: under way until its answer is kept here."""

    __tablename__ = "kept_answers"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Hash of the API key's id and the Idempotency-Key: two clients may choose the same one."""
    request_hash: Mapped[str] = mapped_column(String(64))
    """Method, address and body: the same key with another request is a mistake of the client."""
    holder: Mapped[str] = mapped_column(String(32))
    """The try that is under way; one that was overtaken must not keep its answer."""
    held_until: Mapped[datetime]
    """When a try without answer counts as dead."""
    status: Mapped[int | None]
    headers: Mapped[Json | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class HandedDocument(Base):
    """A document that the TMS handed over for review; exporting it is another step."""

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("company_id", "kind", "document_id", name="uq_documents_document"),
        Index("ix_documents_company_updated", "company_id", "updated_at"),
        Index("ix_documents_company_id", "company_id", "id"),
        Index("ix_documents_company_created", "company_id", "created_at"),
    )
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    kind: Mapped[str] = mapped_column(String(20))
    document_id: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(Text, default="")
    party: Mapped[str] = mapped_column(Text, default="")
    """Name of the customer or carrier, for lists and searches."""
    document: Mapped[Json]
    content_hash: Mapped[str | None] = mapped_column(String(64))
    """None while the document cannot be read."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
