"""How connections stand: the order of a list that begins with the worst, and what other tables say of its companies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from store import figures, states
from store.books import count_missing
from store.sync_tables import CompanySync, ListSync
from store.tables import Company, Incident, Request

WORST_FIRST = (figures.REFUSED, figures.STALE, figures.NEVER_SEEN, figures.PAUSED, figures.CONNECTED)
"""What needs a person now stands before what waits, and before what somebody wanted so."""


@dataclass(kw_only=True)
class CompanyParts:
    """What other tables than its own say of a company."""

    waiting: int = 0
    in_flight: int = 0
    oldest_waiting_at: datetime | None = None
    """Since when the head of the queue waits; None when nothing does."""
    sync: CompanySync | None = None
    """The newest sync of lists; None before the first one."""
    lists: dict[str, ListSync] = field(default_factory=dict)
    wrong_password_at: datetime | None = None
    """When somebody last signed in with a wrong password."""
    missing: tuple[int, datetime] | None = None
    """How many exports are not in QuickBooks any more, undecided, and since when the first is; None: none is."""


def count_companies(session: Session, *, only: str | None = None) -> int:
    """Count the companies, with `only` that one."""
    query = select(func.count()).select_from(Company)
    return session.scalar(query if only is None else query.where(Company.id == only)) or 0


def worst_first(
    session: Session, *, now: datetime, limit: int, offset: int = 0, only: str | None = None
) -> list[Company]:
    """Give a page of the companies by state, then by the oldest request that waits, then by name.

    The database puts all of them in order; only those of the page are read. The queues are read as far as
    `figures.queues` reads them: the oldest `figures.COUNT_MAX` requests that wait.
    """
    waiting = figures.waiting().subquery()
    oldest = (
        select(waiting.c.company_id, func.min(waiting.c.created_at).label("at"))
        .group_by(waiting.c.company_id)
        .subquery()
    )
    rank = case({state: number for number, state in enumerate(WORST_FIRST)}, value=figures.standing(now))
    order = (rank, oldest.c.at.is_(None), oldest.c.at, func.lower(Company.name), Company.id)
    query = select(Company.id).outerjoin(oldest, oldest.c.company_id == Company.id)
    if only is not None:
        query = query.where(Company.id == only)
    ids = session.scalars(query.order_by(*order).limit(limit).offset(offset)).all()
    found = {row.id: row for row in session.scalars(select(Company).where(Company.id.in_(ids)))}
    return [found[one] for one in ids]


def parts_of(session: Session, ids: Sequence[str]) -> dict[str, CompanyParts]:
    """Give what belongs to each of these companies. Five statements, however many they are."""
    parts = {one: CompanyParts() for one in ids}
    for company_id, state, count, created_at in session.execute(queues_of(ids)):
        if state == states.WAITING:
            parts[company_id].waiting, parts[company_id].oldest_waiting_at = count, created_at
        else:
            parts[company_id].in_flight = count
    for sync in session.scalars(select(CompanySync).where(CompanySync.company_id.in_(ids))):
        parts[sync.company_id].sync = sync
    for one in session.scalars(select(ListSync).where(ListSync.company_id.in_(ids))):
        parts[one.company_id].lists[one.kind] = one
    for company_id, at in session.execute(wrong_passwords_of(ids)):
        parts[company_id].wrong_password_at = at
    for company_id, missing in count_missing(session, ids).items():
        parts[company_id].missing = missing
    return parts


def queues_of(ids: Sequence[str]) -> Select[Any, Any, Any, Any]:
    """Ask for company, state, number and the first one's time of what waits and of what is in flight."""
    pile = (
        select(Request.company_id, Request.state, func.count().label("count"), func.min(Request.seq).label("head"))
        .where(Request.company_id.in_(ids), Request.state.in_((states.WAITING, states.IN_FLIGHT)))
        .group_by(Request.company_id, Request.state)
        .subquery()
    )
    heads = select(pile.c.company_id, pile.c.state, pile.c.count, Request.created_at)
    return heads.join(Request, Request.seq == pile.c.head)


def wrong_passwords_of(ids: Sequence[str]) -> Select[Any, Any]:
    """Ask for company and time of the last wrong password."""
    wrong = select(Incident.company_id, func.max(Incident.at)).where(Incident.company_id.in_(ids))
    return wrong.where(Incident.code == "wrong_password").group_by(Incident.company_id)
