"""Noticing that the database stepped back: it was put back from a backup, or a standby took over without its end.

What it wrote last is then gone, and QuickBooks and Temporal know more than it does: an invoice that it calls waiting
may be in the books. Three things show it: who the server is and when it began (identity.py), what Temporal knows of
exports (qbwc_bridge/epoch.py), and a person who says so (`qbd restored`). From then on each company is in doubt
(`Company.doubt_since`): nothing is written for it until what Temporal knows was written down and everything that waits
stands as sent with an answer that was lost. The recovery of lost answers then looks each up before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.orm import Session

from store import secrets
from store.companies import lock_company, record_incident
from store.epoch_tables import Epoch
from store.identity import NAME, Identity
from store.states import IN_FLIGHT, SENT, WAITING
from store.tables import Company, MessageSet, Request, WebConnectorSession

STEPPED_BACK = "database_stepped_back"
"""Code of the incident."""
SET_SIZE = 20
"""Requests that are looked up together; each asks QuickBooks two questions."""
LAST_ERROR = "Our database lost its last changes."
MOVED = "moved"
"""Name of the row that says where everything was moved to (moving.py)."""


@dataclass(frozen=True)
class Doubt:
    """A company for which nothing is written, and since when our database may not know what was."""

    company_id: str
    since: datetime


def epoch(session: Session, *, now: datetime) -> Epoch:
    """Give the one row, locked; it is made at the first question."""
    row = session.get(Epoch, NAME, with_for_update=True)
    if row is None:
        row = Epoch(name=NAME, identity=None, started=None, seen_at=now, is_certain=False)
        session.add(row)
        session.flush()
    return row


def step_back(session: Session, *, since: datetime, now: datetime, is_certain: bool = True) -> bool:
    """Put every company in doubt, from `since` or the doubt that it is in; gives whether that says more than before.

    With `is_certain`, people are told. Without, it is only to be found out: then a company that nobody knows more of is
    free again without a look-up (`settle`).
    """
    row = epoch(session, now=now)
    is_new = is_certain and not row.is_certain
    row.is_certain = row.is_certain or is_certain
    doubtless = update(Company).where(Company.doubt_since.is_(None) | (Company.doubt_since > since))
    session.execute(doubtless.values(doubt_since=since).execution_options(synchronize_session=False))
    if is_new:
        for company_id in session.scalars(select(Company.id).order_by(Company.id)).all():
            record_incident(session, company_id=company_id, at=now, code=STEPPED_BACK, text=told(since))
    return is_new


def look(session: Session, found: Identity, *, now: datetime) -> None:
    """Take note of what a new connection has reached, and put every company in doubt when it is not what it was."""
    row = epoch(session, now=now)
    is_known = row.identity is not None
    is_another, has_restarted = row.identity != found.identity, row.started != found.started
    row.identity, row.started = found.identity, found.started
    if is_known and (is_another or has_restarted):
        step_back(session, since=row.seen_at, now=now, is_certain=is_another)


def told(since: datetime) -> str:
    """Say to people what happened, and that nothing is asked of them."""
    return (
        f"Our database lost what it wrote after {since.astimezone(UTC):%B %-d, %Y, %H:%M} UTC: it was put back from a "
        "backup, or another server took over. Nothing was changed in QuickBooks. Before anything else is sent, each "
        "document that waits is looked up in QuickBooks. You do not need to do anything; this ends by itself."
    )


def in_doubt(session: Session, *, limit: int) -> Sequence[Doubt]:
    """Give companies that are in doubt."""
    query = select(Company.id, Company.doubt_since).where(Company.doubt_since.is_not(None)).order_by(Company.id)
    return [Doubt(company_id, since) for company_id, since in session.execute(query.limit(limit)) if since is not None]


def settle(session: Session, doubt: Doubt, *, new_id: Callable[[], str]) -> int:
    """Free a company whose exports are as Temporal knows them; gives how many requests are looked up before they go."""
    is_certain = session.scalar(select(Epoch.is_certain).where(Epoch.name == NAME))
    owner = lock_company(session, doubt.company_id)
    if owner is None or owner.doubt_since is None:
        return 0
    held = sum(hold_back(session, doubt.company_id, since=owner.doubt_since, new_id=new_id)) if is_certain else 0
    if is_certain:
        owner.look_everything_since = owner.look_everything_since or owner.doubt_since
    owner.doubt_since = None
    return held


def mark_moved(connection: Connection, *, to: str, now: datetime) -> None:
    """Note that everything is in another database now; `to` is its address without a password."""
    connection.execute(insert(Epoch).values(name=MOVED, identity=to, started=None, seen_at=now, is_certain=False))


def moved_to(connection: Connection) -> tuple[str, datetime] | None:
    """Give where everything was moved to, and when; None for a database that is in use."""
    row = connection.execute(select(Epoch.identity, Epoch.seen_at).where(Epoch.name == MOVED)).first()
    return (row.identity or "", row.seen_at) if row is not None else None


def is_over(session: Session, *, seen_at: datetime) -> bool:
    """Note that Temporal knew no more than we do at `seen_at`; False while a company is in doubt."""
    if session.scalar(select(func.count()).where(Company.doubt_since.is_not(None))):
        return False
    row = epoch(session, now=seen_at)
    row.is_certain = False
    row.seen_at = max(row.seen_at, seen_at)
    return True


def hold_back(
    session: Session, company_id: str, *, since: datetime, new_id: Callable[[], str], set_size: int = SET_SIZE
) -> Sequence[int]:
    """Turn what waits into sets whose answer was lost; gives the size of each. The caller holds the company.

    The next session asks QuickBooks for each set, which has never heard of it, and then looks each request up: by
    number, and by customer or vendor and time from a day before `since`.
    """
    query = select(Request).where(Request.company_id == company_id, Request.state == WAITING).order_by(Request.seq)
    requests = session.scalars(query).all()
    if not requests:
        return []
    ticket_hash = secrets.fingerprint(secrets.new_ticket())  # nobody holds this ticket
    session.add(
        WebConnectorSession(
            ticket_hash=ticket_hash,
            company_id=company_id,
            state="abandoned",
            started_at=since,
            last_call_at=since,
            last_error=LAST_ERROR,
        )
    )
    session.flush()
    sizes = []
    for start in range(0, len(requests), set_size):
        part = requests[start : start + set_size]
        lost = MessageSet(
            id=new_id(),
            company_id=company_id,
            ticket_hash=ticket_hash,
            kind="write",
            state=SENT,
            text="",
            seq=start // set_size + 1,
            sent_at=since,
        )
        session.add(lost)
        for request in part:
            request.state = IN_FLIGHT
            request.attempt += 1
            request.message_set_id = lost.id
        sizes.append(len(part))
    return sizes
