"""The bookkeeper's list: every document that was handed over or exported, each with its export.

A document may be handed over without being exported, and exported without having been handed over, so the list is two
tables in one order. Each page asks each table for no more rows than it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session

from store.api_tables import HandedDocument
from store.tables import DIFFERING_EXPORTS, Export

NOT_EXPORTED = "NotExported"


@dataclass(frozen=True, kw_only=True)
class WorkFilter:
    """Which documents to list; None means any."""

    company_id: str
    kind: str | None = None
    states: Sequence[str] | None = None
    """States of their exports; `NOT_EXPORTED` among them means documents without one."""
    owner: str | None = None
    created_before: datetime | None = None
    created_since: datetime | None = None
    only_differing: bool = False
    """Only what QuickBooks holds otherwise than it was meant."""
    text: str | None = None
    """Part of a number, here or in QuickBooks, of the document's id, or of the customer's or carrier's name."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in the list: a document's time and what tells it from others of the same moment."""

    at: datetime
    key: str


@dataclass(frozen=True)
class WorkRow:
    """One document; at least one of the two is there."""

    handed: HandedDocument | None
    export: Export | None

    @property
    def _known(self) -> HandedDocument | Export:
        known = self.handed or self.export
        assert known is not None  # noqa: S101 both halves of the list select one of them
        return known

    @property
    def kind(self) -> str:
        """Give the kind of document."""
        return self._known.kind

    @property
    def document_id(self) -> str:
        """Give the document's id."""
        return self._known.document_id

    @property
    def document(self) -> dict[str, Any]:
        """Give the document as it was handed over last, or exported."""
        return self._known.document

    @property
    def created_at(self) -> datetime:
        """Give when it came first."""
        return self._known.created_at

    @property
    def position(self) -> Position:
        """Give its place in the list."""
        return Position(at=self.created_at, key=f"{self.kind}/{self.document_id}")


def find(session: Session, company_id: str, kind: str, document_id: str) -> WorkRow | None:
    """Find one document."""
    handed = session.scalar(
        select(HandedDocument).where(
            HandedDocument.company_id == company_id,
            HandedDocument.kind == kind,
            HandedDocument.document_id == document_id,
        )
    )
    export = session.scalar(
        select(Export).where(Export.company_id == company_id, Export.kind == kind, Export.document_id == document_id)
    )
    return None if handed is None and export is None else WorkRow(handed, export)


def page(
    session: Session, wanted: WorkFilter, *, after: Position | None, limit: int, oldest_first: bool = False
) -> list[WorkRow]:
    """List documents by the time they came, newest first unless said otherwise; `after` is the last one before."""
    found = [
        WorkRow(row[0], row[1])
        for row in session.execute(_placed(_handed(wanted), HandedDocument, after, limit, oldest_first))
    ]
    if wanted.states is None or set(wanted.states) != {NOT_EXPORTED}:
        alone = _placed(_only_exported(wanted), Export, after, limit, oldest_first)
        found += [WorkRow(None, row) for row in session.scalars(alone)]
    found.sort(key=lambda row: (row.created_at, row.position.key), reverse=not oldest_first)
    return found[:limit]


def named(session: Session, company_id: str, keys: Sequence[tuple[str, str]]) -> list[WorkRow]:
    """Give the documents of these kinds and ids that are there, in no particular order."""
    if not keys:
        return []
    ids = [document_id for _, document_id in keys]
    handed = {
        (row.kind, row.document_id): row
        for row in session.scalars(
            select(HandedDocument).where(HandedDocument.company_id == company_id, HandedDocument.document_id.in_(ids))
        )
    }
    exported = {
        (row.kind, row.document_id): row
        for row in session.scalars(select(Export).where(Export.company_id == company_id, Export.document_id.in_(ids)))
    }
    return [
        WorkRow(handed.get(key), exported.get(key)) for key in dict.fromkeys(keys) if key in handed or key in exported
    ]


def counts(session: Session, company_id: str) -> dict[str, int]:
    """Count a company's documents by the state of their export, and those without one."""
    by_state = session.execute(
        select(Export.state, func.count()).where(Export.company_id == company_id).group_by(Export.state)
    )
    found = {state: count for state, count in by_state}  # noqa: C416 rows are not pairs to the type checker
    unexported = (
        select(func.count())
        .select_from(HandedDocument)
        .where(HandedDocument.company_id == company_id, not_(_is_exported()))
    )
    return found | {NOT_EXPORTED: session.scalar(unexported) or 0}


def moved_since(session: Session, company_id: str, since: datetime) -> dict[str, int]:
    """Count the exports that changed at this time or later, by state."""
    query = select(Export.state, func.count()).where(Export.company_id == company_id, Export.updated_at >= since)
    return {state: count for state, count in session.execute(query.group_by(Export.state))}  # noqa: C416 as above


def recent_documents(session: Session, company_id: str, *, limit: int) -> list[dict[str, Any]]:
    """Give the documents that came last, as they were posted; each once, as it was handed over last."""
    handed = select(HandedDocument.document).where(HandedDocument.company_id == company_id)
    alone = select(Export.document).where(Export.company_id == company_id, not_(_is_handed()))
    newest = [
        *session.scalars(handed.order_by(HandedDocument.id.desc()).limit(limit)),
        *session.scalars(alone.order_by(Export.id.desc()).limit(limit)),
    ]
    return newest[:limit]


def _handed(wanted: WorkFilter) -> Select[Any]:
    both = select(HandedDocument, Export).outerjoin(Export, _same())
    query = cast("Select[Any]", both.where(HandedDocument.company_id == wanted.company_id))
    if wanted.kind:
        query = query.where(HandedDocument.kind == wanted.kind)
    if wanted.states is not None:
        states = Export.state.in_([state for state in wanted.states if state != NOT_EXPORTED])
        query = query.where(or_(states, Export.id.is_(None)) if NOT_EXPORTED in wanted.states else states)
    if wanted.owner:
        query = query.where(Export.owner == wanted.owner)
    if wanted.only_differing:
        query = query.where(DIFFERING_EXPORTS)
    if wanted.text:
        query = query.where(
            _holds(
                wanted.text, HandedDocument.number, HandedDocument.party, HandedDocument.document_id, Export.ref_number
            )
        )
    return _in_time(query, HandedDocument.created_at, wanted)


def _only_exported(wanted: WorkFilter) -> Select[Any]:
    query = select(Export).where(Export.company_id == wanted.company_id, not_(_is_handed()))
    if wanted.kind:
        query = query.where(Export.kind == wanted.kind)
    if wanted.states is not None:
        query = query.where(Export.state.in_(wanted.states))
    if wanted.owner:
        query = query.where(Export.owner == wanted.owner)
    if wanted.only_differing:
        query = query.where(DIFFERING_EXPORTS)
    if wanted.text:
        party = [Export.document[name]["name"].as_string() for name in ("customer", "carrier")]
        query = query.where(_holds(wanted.text, Export.number, Export.ref_number, Export.document_id, *party))
    return _in_time(query, Export.created_at, wanted)


def _in_time(query: Select[Any], created_at: Any, wanted: WorkFilter) -> Select[Any]:
    if wanted.created_before is not None:
        query = query.where(created_at < wanted.created_before)
    if wanted.created_since is not None:
        query = query.where(created_at >= wanted.created_since)
    return query


def _placed(
    query: Select[Any],
    table: type[HandedDocument] | type[Export],
    after: Position | None,
    limit: int,
    oldest_first: bool,
) -> Select[Any]:
    at, key = table.created_at, table.kind + "/" + table.document_id
    if after is not None:
        if oldest_first:
            query = query.where(at >= after.at, or_(at > after.at, key > after.key))
        else:
            query = query.where(at <= after.at, or_(at < after.at, key < after.key))
    order = (at, key) if oldest_first else (at.desc(), key.desc())
    return query.order_by(*order).limit(limit)


def _same() -> ColumnElement[bool]:
    return and_(
        Export.company_id == HandedDocument.company_id,
        Export.kind == HandedDocument.kind,
        Export.document_id == HandedDocument.document_id,
    )


def _is_exported() -> ColumnElement[bool]:
    return exists().where(_same()).correlate(HandedDocument)


def _is_handed() -> ColumnElement[bool]:
    return exists().where(_same()).correlate(Export)


def _holds(text: str, *fields: Any) -> ColumnElement[bool]:
    return or_(*(field.icontains(text, autoescape=True) for field in fields))
