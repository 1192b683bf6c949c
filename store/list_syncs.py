"""The rows that say how far the sync of a company's lists is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from store.engine import connection_of
from store.sync_tables import CompanySync, ListSync

REQUESTED = "requested"
RUNNING = "running"
DONE = "done"
FAILED = "failed"


def company_sync(session: Session, company_id: str) -> CompanySync | None:
    """Find the newest sync of a company; None before the first one."""
    return session.scalar(select(CompanySync).where(CompanySync.company_id == company_id))


def standing(session: Session, company_id: str) -> tuple[str | None, datetime | None, datetime | None]:
    """Give state, end of the last and time of the next try of a company's sync, as they are written; None before."""
    row = connection_of(session).execute(_standing(), {"company": company_id}).one_or_none()
    return (row[0], row[1], row[2]) if row is not None else (None, None, None)


@cache
def _standing() -> Select[str, datetime | None, datetime | None]:
    """Built once: every session asks it."""
    query = select(CompanySync.state, CompanySync.last_sync_at, CompanySync.retry_at)
    return query.where(CompanySync.company_id == bindparam("company"))


def list_syncs(session: Session, company_id: str) -> Sequence[ListSync]:
    """Give the state of each list of a company, in no order."""
    return session.scalars(select(ListSync).where(ListSync.company_id == company_id)).all()


def request_sync(session: Session, company_id: str, *, at: datetime, full: bool) -> CompanySync:
    """Ask for a sync at the next session; one that runs is followed by another. The caller holds the company."""
    sync = session.get(CompanySync, company_id, populate_existing=True)
    if sync is None:
        sync = CompanySync(
            company_id=company_id, state=REQUESTED, run=0, wants_full=False, failures=0, note="", file_key="",
            restore_time="",
        )  # fmt: skip
        session.add(sync)
    sync.requested_at = at
    sync.retry_at = None
    sync.wants_full = sync.wants_full or full
    if sync.state != RUNNING:
        sync.state = REQUESTED
    session.flush()
    return sync
