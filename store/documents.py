"""Documents that the TMS handed over for review, each with the export that it may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from store.api_tables import HandedDocument
from store.tables import Export


@dataclass(frozen=True, kw_only=True)
class DocumentFilter:
    """Which documents to list; None means any."""

    company_id: str
    kind: str | None = None
    states: Sequence[str] | None = None
    """States of their exports."""
    only_unexported: bool = False
    text: str | None = None
    """Part of the number, the document's id or the customer's or carrier's name."""
    updated_since: datetime | None = None


def find_document(session: Session, company_id: str, kind: str, document_id: str) -> HandedDocument | None:
    """Find a document that was handed over."""
    return session.scalar(
        select(HandedDocument).where(
            HandedDocument.company_id == company_id,
            HandedDocument.kind == kind,
            HandedDocument.document_id == document_id,
        )
    )


def changed_since_export(session: Session, rows: Sequence[Export]) -> set[int]:
    """Give the ids of those exports, of one company, whose document was handed over with another content since."""
    if not rows:
        return set()
    query = select(HandedDocument.kind, HandedDocument.document_id, HandedDocument.content_hash).where(
        HandedDocument.company_id == rows[0].company_id,
        HandedDocument.document_id.in_([row.document_id for row in rows]),
    )
    handed = {(kind, document_id): content_hash for kind, document_id, content_hash in session.execute(query)}
    found = ((row, (row.kind, row.document_id)) for row in rows)
    return {row.id for row, key in found if key in handed and handed[key] != row.content_hash}


def list_documents(
    session: Session, wanted: DocumentFilter, *, before_id: int | None, limit: int
) -> Sequence[tuple[HandedDocument, Export | None]]:
    """List documents with their exports, those handed over last first; `before_id` is the last id before."""
    same = and_(
        Export.company_id == HandedDocument.company_id,
        Export.kind == HandedDocument.kind,
        Export.document_id == HandedDocument.document_id,
    )
    query = select(HandedDocument, Export).outerjoin(Export, same).where(HandedDocument.company_id == wanted.company_id)
    if wanted.kind:
        query = query.where(HandedDocument.kind == wanted.kind)
    if wanted.states is not None:
        query = query.where(Export.state.in_(wanted.states))
    if wanted.only_unexported:
        query = query.where(Export.id.is_(None))
    if wanted.updated_since is not None:
        query = query.where(HandedDocument.updated_at >= wanted.updated_since)
    if wanted.text:
        fields = (HandedDocument.number, HandedDocument.party, HandedDocument.document_id)
        query = query.where(or_(*(field.icontains(wanted.text, autoescape=True) for field in fields)))
    if before_id is not None:
        query = query.where(HandedDocument.id < before_id)
    rows = session.execute(query.order_by(HandedDocument.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows]
