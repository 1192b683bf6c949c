"""Queries over what failed exports wait for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from store import step_queries
from store.tables import Export
from store.wait_tables import ExportWait

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A range that both databases answer from an index; `is not null` SQLite does not."""
_IN_ONE_QUERY = 500
"""SQLite takes a few thousand parameters at most."""


def set_waits(session: Session, export: Export, keys: Collection[str]) -> None:
    """Let an export wait for these entries of the mapping, and no others."""
    session.execute(delete(ExportWait).where(ExportWait.export_id == export.id))
    session.add_all(
        ExportWait(export_id=export.id, key=key, company_id=export.company_id) for key in dict.fromkeys(keys)
    )


def release(session: Session, company_id: str, keys: Sequence[str] | None, at: datetime) -> int:
    """Mark the exports that wait for one of these entries (None: for any); gives how many exports are now marked."""
    for start in range(0, len(keys) if keys is not None else 1, _IN_ONE_QUERY):
        query = update(ExportWait).where(ExportWait.company_id == company_id, ExportWait.released_at.is_(None))
        if keys is not None:
            query = query.where(ExportWait.key.in_(keys[start : start + _IN_ONE_QUERY]))
        session.execute(query.values(released_at=at), execution_options={"synchronize_session": False})
    return count_released(session, company_id)


def count_released(session: Session, company_id: str) -> int:
    """Count the exports that shall start again."""
    query = select(func.count(func.distinct(ExportWait.export_id))).where(
        ExportWait.company_id == company_id, ExportWait.released_at.is_not(None)
    )
    return session.scalar(query) or 0


def released(session: Session, company_id: str, *, after: int, limit: int) -> Sequence[Export]:
    """Give the exports that shall start again, oldest first, those behind an id; the transaction holds them.

    The caller holds the company, and that is enough: one that passes over what another holds would leave it unstarted,
    and without the company an entry that is saved meanwhile would be overlooked.
    """
    marked = select(ExportWait.export_id).where(
        ExportWait.company_id == company_id, ExportWait.released_at.is_not(None), ExportWait.export_id > after
    )
    query = select(Export).where(Export.id.in_(marked)).order_by(Export.id).limit(limit).with_for_update()
    return session.scalars(query).all()


def hold(session: Session, export_id: int) -> None:
    """Let an export wait on: what was saved did not end what keeps it back."""
    session.execute(update(ExportWait).where(ExportWait.export_id == export_id).values(released_at=None))


def end(session: Session, export_id: int) -> None:
    """Let an export wait no more."""
    session.connection().execute(step_queries.end_waits(), {"export": export_id})


def end_started(session: Session, export_ids: Collection[int]) -> None:
    """Forget what started again; one that failed once more meanwhile waits for something new, and that stays."""
    session.execute(delete(ExportWait).where(ExportWait.export_id.in_(export_ids), ExportWait.released_at.is_not(None)))


def awaited(session: Session, export_id: int) -> list[str]:
    """Name the entries of the mapping that an export waits for."""
    return list(
        session.scalars(select(ExportWait.key).where(ExportWait.export_id == export_id).order_by(ExportWait.key))
    )


def companies_with_released(session: Session) -> list[str]:
    """Name the companies with exports that shall start again, the longest waiting one first."""
    # Ordered and made distinct here: asked for distinct ones, SQLite reads the index of all companies instead.
    query = select(ExportWait.company_id).where(ExportWait.released_at >= EVER).order_by(ExportWait.released_at)
    return list(dict.fromkeys(session.scalars(query)))
