"""The rows that say how far the sync of a company's lists is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.sync_tables import CompanySync, ListSync

REQUESTED = "requested"
RUNNING = "running"
DONE = "done"
FAILED = "failed"


def company_sync(session: Session, company_id: str) -> CompanySync | None:
    """Find the newest sync of a company; None before the first one."""
    return session.scalar(select(CompanySync).where(CompanySync.company_id == company_id))


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


def ask_whole(session: Session, company_id: str, kind: str) -> None:
    """Have the next sync read all of a list, as what changed would not tell what is wrong with it."""
    row = session.get(ListSync, (company_id, kind))
    if row is not None:
        row.needs_full = True
