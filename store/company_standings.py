"""How all connections stand, for a list that begins with the worst: light rows of all, whole rows of a page only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from store import figures
from store.tables import Company


@dataclass(frozen=True, kw_only=True)
class CompanyStanding:
    """What a company's place in the list depends on."""

    id: str
    name: str
    paused: bool
    problem: object | None
    """None, or that there is one."""
    last_seen_at: datetime | None
    run_every_minutes: int
    oldest_waiting_at: datetime | None


def company_standings(session: Session, *, only: str | None = None) -> list[CompanyStanding]:
    """Give how each connection stands, with `only` that of one. Two statements, whatever their number.

    The queues are read as far as `figures.queues` reads them: the oldest `figures.COUNT_MAX` requests that wait.
    """
    oldest = {one.company_id: one.oldest_at for one in figures.queues(session)}
    query = select(
        Company.id,
        Company.name,
        Company.paused,
        figures.has_problem().label("has_problem"),
        Company.last_seen_at,
        Company.run_every_minutes,
    )
    if only is not None:
        query = query.where(Company.id == only)
    return [
        CompanyStanding(
            id=row.id,
            name=row.name,
            paused=row.paused,
            problem=True if row.has_problem else None,
            last_seen_at=row.last_seen_at,
            run_every_minutes=row.run_every_minutes,
            oldest_waiting_at=oldest.get(row.id),
        )
        for row in session.execute(query)
    ]


def companies_of(session: Session, ids: Sequence[str]) -> list[Company]:
    """Give whole companies in the order of their ids here; one that is gone is left out."""
    found = {row.id: row for row in session.scalars(select(Company).where(Company.id.in_(ids)))}
    return [found[one] for one in ids if one in found]
