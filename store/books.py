"""What is known of a connection's books: whose marks a file bears, and which exports are not in it any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from store.tables import MISSING_EXPORTS, Company, Export

SUCCESSFUL = "Successful"


def by_owner_ids(session: Session, owner_ids: Collection[str], *, besides: str) -> Sequence[Company]:
    """Find the connections with these OwnerIDs, as we write them, but for one."""
    if not owner_ids:
        return []
    query = select(Company).where(Company.owner_id.in_(sorted(owner_ids)), Company.id != besides)
    return session.scalars(query.order_by(Company.id)).all()


def newest_written(session: Session, company_id: str, *, limit: int) -> Sequence[Export]:
    """Give the Successful exports that changed last and are not known as missing, newest first."""
    query = _written(company_id).where(Export.missing_since.is_(None))
    return [row for row in session.scalars(query.limit(limit)) if (row.quickbooks or {}).get("txn_id")]


def written_before(
    session: Session, company_id: str, *, before: tuple[datetime, int] | None, limit: int
) -> Sequence[Export]:
    """Give Successful exports by their last change, newest first; `before` is the last one of the page before."""
    query = _written(company_id)
    if before is not None:
        at, export_id = before
        query = query.where(Export.updated_at <= at)  # where an index can begin
        query = query.where(or_(Export.updated_at < at, (Export.updated_at == at) & (Export.id < export_id)))
    return session.scalars(query.limit(limit)).all()


def _written(company_id: str) -> Any:
    query = select(Export).where(Export.company_id == company_id, Export.state == SUCCESSFUL)
    return query.order_by(Export.updated_at.desc(), Export.id.desc())


def exports_by_id(session: Session, ids: Sequence[int]) -> Sequence[Export]:
    """Give these exports, in this order, as far as they are there."""
    found = {row.id: row for row in session.scalars(select(Export).where(Export.id.in_(ids)))}
    return [found[one] for one in ids if one in found]


def missing_exports(session: Session, company_id: str, *, limit: int, after_id: int = 0) -> Sequence[Export]:
    """Give the exports that are missing and that nobody has decided about, oldest first."""
    query = select(Export).where(Export.company_id == company_id, MISSING_EXPORTS, Export.id > after_id)
    undecided = func.coalesce(Export.missing_answer["choice"].as_string(), "") == ""
    return session.scalars(query.where(undecided).order_by(Export.id).limit(limit)).all()


def count_missing(session: Session, ids: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """Count what is missing and undecided of each of these companies, and give since when the first of it is."""
    undecided = func.coalesce(Export.missing_answer["choice"].as_string(), "") == ""
    query = select(Export.company_id, func.count(), func.min(Export.missing_since))
    query = query.where(Export.company_id.in_(ids), MISSING_EXPORTS, undecided).group_by(Export.company_id)
    found = session.execute(query)
    return {company_id: (count, since) for company_id, count, since in found if since is not None}


def accept_place(owner: Company, path: str, *, at: datetime) -> None:
    """Take a person's word that the company file is at this path now, and have all that we wrote looked for in it."""
    known = owner.books or {}
    why = "Somebody said that the company file moved here, and it does not hold all that was exported."
    owner.books = {
        **known,
        "spellings": [*known.get("spellings", ()), path],
        "scan": {"why": why, "since": at.isoformat()},
    }
    owner.bound_company_file = path


def forget(owner: Company, row: Export) -> None:
    """Look no longer for a missing transaction: its export was exported anew."""
    txn_id, known = (row.quickbooks or {}).get("txn_id"), owner.books or {}
    owner.books = {**known, "gone": [one for one in known.get("gone", ()) if one["txn_id"] != txn_id]}
