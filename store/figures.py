"""Figures of the whole installation, for metrics and the doctor: each is one query over a small index, with an end.

Only what is open is counted, and never more than `COUNT_MAX` of it, so that a scrape costs the same in the tenth year.
The companies' own rows are the exception: that table is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, cast, extract, func, literal, select
from sqlalchemy.orm import Session

from store import webhooks
from store.queries import is_in
from store.sync_tables import CompanySync
from store.tables import (
    OPEN_REQUESTS,
    UNANSWERED_SETS,
    UNSUCCESSFUL_EXPORTS,
    Company,
    Export,
    Lease,
    MessageSet,
    OutboxSignal,
    Request,
)
from store.webhook_tables import WebhookDelivery

COUNT_MAX = 100_000
STALE_AFTER_INTERVALS = 3
"""A PC that sleeps over lunch is no news; three missed polls are."""
CONNECTED, STALE, NEVER_SEEN, REFUSED, PAUSED = "connected", "stale", "never_seen", "refused", "paused"


@dataclass(frozen=True, kw_only=True)
class Pile:
    """Things of one kind that wait: how many (at most `COUNT_MAX`), and since when the oldest does."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class CompanyPile(Pile):
    """What waits for one company."""

    company_id: str


@dataclass(frozen=True, kw_only=True)
class Connections:
    """Companies by how their Web Connector fares."""

    connected: int
    stale: int
    never_seen: int
    refused: int
    paused: int


def queues(session: Session) -> Sequence[CompanyPile]:
    """Give the queue of each company that has one, the longest first."""
    piled = waiting().subquery()
    count = func.count()
    query = select(piled.c.company_id, count, func.min(piled.c.created_at)).group_by(piled.c.company_id)
    rows = session.execute(query.order_by(count.desc(), piled.c.company_id))
    return [CompanyPile(company_id=company_id, count=number, oldest_at=at) for company_id, number, at in rows]


def in_flight(session: Session) -> Pile:
    """Give the requests that QuickBooks has, or may have."""
    found = select(Request.created_at).where(OPEN_REQUESTS, Request.state == "in_flight").limit(COUNT_MAX).subquery()
    return _pile(session, select(func.count(), func.min(found.c.created_at)).select_from(found))


def unresolved_sets(session: Session) -> Pile:
    """Give the write sets whose outcome is not known (yet); `oldest_at` is when the oldest left."""
    found = (
        select(MessageSet.sent_at)
        .where(UNANSWERED_SETS, MessageSet.kind == "write", MessageSet.state == "sent")
        .limit(COUNT_MAX)
        .subquery()
    )
    return _pile(session, select(func.count(), func.min(found.c.sent_at)).select_from(found))


def outbox(session: Session) -> Pile:
    """Give the starts and signals that Temporal has not taken."""
    found = (
        select(OutboxSignal.created_at)
        .where(OutboxSignal.delivered_at.is_(None))
        .order_by(OutboxSignal.id)
        .limit(COUNT_MAX)
        .subquery()
    )
    return _pile(session, select(func.count(), func.min(found.c.created_at)).select_from(found))


def webhook_messages(session: Session) -> Pile:
    """Give the webhook messages that were neither delivered nor given up."""
    found = (
        select(WebhookDelivery.created_at)
        .where(is_in(WebhookDelivery.state, webhooks.PENDING))
        .limit(COUNT_MAX)
        .subquery()
    )
    return _pile(session, select(func.count(), func.min(found.c.created_at)).select_from(found))


def failed_webhook_messages(session: Session) -> int:
    """Count the webhook messages that were given up and not sent again."""
    found = select(WebhookDelivery.id).where(is_in(WebhookDelivery.state, webhooks.FAILED)).limit(COUNT_MAX).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def failed_by_owner(session: Session) -> dict[str, int]:
    """Count the exports that are Failed now by whose turn it is."""
    found = select(Export.owner).where(UNSUCCESSFUL_EXPORTS, Export.state == "Failed").limit(COUNT_MAX).subquery()
    rows = session.execute(select(found.c.owner, func.count()).group_by(found.c.owner))
    return {owner or "": count for owner, count in rows}


def failed_by_code(session: Session, company_id: str, *, limit: int) -> list[tuple[str, str, int]]:
    """Give code, owner and number of a company's exports that are Failed now, the most frequent first."""
    code = Export.error["code"].as_string()
    query = (
        select(code, Export.owner, func.count())
        .where(Export.company_id == company_id, UNSUCCESSFUL_EXPORTS, Export.state == "Failed")
        .group_by(code, Export.owner)
        .order_by(func.count().desc(), code)
        .limit(limit)
    )
    return [(found or "", owner or "", count) for found, owner, count in session.execute(query)]


def has_problem() -> ColumnElement[bool]:
    """Say of a company that it has a problem: one that was mended stands there as JSON's null, not as SQL's."""
    return func.coalesce(cast(Company.problem, Text), "null") != "null"


def standing(now: datetime) -> ColumnElement[str]:
    """Say of a company how its Web Connector fares; in the order of the API's `connection.state`."""
    overdue_at = extract("epoch", Company.last_seen_at) + STALE_AFTER_INTERVALS * 60 * Company.run_every_minutes
    return case(
        (Company.paused, literal(PAUSED)),
        (has_problem(), literal(REFUSED)),
        (Company.last_seen_at.is_(None), literal(NEVER_SEEN)),
        (overdue_at < now.timestamp(), literal(STALE)),
        else_=literal(CONNECTED),
    )


def connections(session: Session, now: datetime) -> Connections:
    """Count companies by how their Web Connector fares."""
    counts = dict.fromkeys((CONNECTED, STALE, NEVER_SEEN, REFUSED, PAUSED), 0)
    state = standing(now).label("state")
    for found, count in session.execute(select(state, func.count()).group_by(state)):
        counts[found] = count
    return Connections(**counts)


def list_syncs(session: Session) -> dict[str, int]:
    """Count the companies by the state of their newest sync of lists."""
    rows = session.execute(select(CompanySync.state, func.count()).group_by(CompanySync.state))
    return {state: count for state, count in rows}  # noqa: C416 rows are not pairs to the type checker


def leases(session: Session) -> dict[str, datetime]:
    """Give until when each job that one process at a time does is held."""
    return {lease.name: lease.until for lease in session.scalars(select(Lease))}


def waiting() -> Select[Any, Any]:
    """Ask for company and time of the oldest requests that wait."""
    return (
        select(Request.company_id, Request.created_at)
        .where(OPEN_REQUESTS, Request.state == "waiting")
        .order_by(Request.created_at)
        .limit(COUNT_MAX)
    )


def _pile(session: Session, query: Select[Any, Any]) -> Pile:
    count, oldest_at = session.execute(query).one()
    return Pile(count=count, oldest_at=oldest_at)
