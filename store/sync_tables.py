"""How far the sync of QuickBooks' lists is: one row a company, and one for each of its lists."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.tables import Base, Json


class CompanySync(Base):
    """The newest sync of a company. The bridge obeys this row; the workflow tells its story."""

    __tablename__ = "company_syncs"
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    """requested | running | done | failed"""
    run: Mapped[int] = mapped_column(default=0)
    """Counts syncs; with the company it names one."""
    wants_full: Mapped[bool] = mapped_column(default=False)
    requested_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    last_sync_at: Mapped[datetime | None]
    """When the last sync that ended well had begun: what changed since then is not here yet."""
    last_full_at: Mapped[datetime | None]
    last_lookback_at: Mapped[datetime | None]
    """When changes were last asked for from a day further back, against clocks that were set back."""
    retry_at: Mapped[datetime | None]
    """Before this no session asks again, after a failure."""
    failures: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    """Why it failed, in a sentence."""
    file_key: Mapped[str] = mapped_column(Text, default="")
    """The company file that the entries are from; another one needs everything anew."""
    restore_time: Mapped[str] = mapped_column(String(40), default="")
    """LastRestoreTime as QuickBooks told it at the last sync; empty for a file that was never restored."""


class ListSync(Base):
    """One list of a company: how far its pass is, and from when on changes are asked for next."""

    __tablename__ = "list_syncs"
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    """A `mapping.lists.ListKind`, or `deleted` and `activity`: questions that are asked once a sync."""
    phase: Mapped[str] = mapped_column(String(12))
    """waiting | pages | settling | confirming | done | failed"""
    mode: Mapped[str] = mapped_column(String(8))
    """full | changes"""
    generation: Mapped[int] = mapped_column(default=0)
    """Counts full passes; entries carry the one that saw them last."""
    after: Mapped[str] = mapped_column(Text, default="")
    """Names before this one came over in this pass; it goes on here in a later session."""
    range_from: Mapped[str] = mapped_column(Text, default="")
    """Where the iteration under way began."""
    is_ordered: Mapped[bool] = mapped_column(default=True)
    """Whether all names of this pass came in order; otherwise it cannot go on in the middle."""
    iterator: Mapped[str] = mapped_column(String(60), default="")
    iterator_of: Mapped[str] = mapped_column(String(64), default="")
    """The session that owns the iterator: it ends with it (qbxml.md 4.3)."""
    asked_in: Mapped[str] = mapped_column(String(24), default="")
    """The message set that waits for its answer."""
    asked_max: Mapped[int] = mapped_column(default=0)
    widen: Mapped[int] = mapped_column(default=1)
    began_at: Mapped[datetime | None]
    queries: Mapped[int] = mapped_column(default=0)
    since: Mapped[str] = mapped_column(String(40), default="")
    """FromModifiedDate of this pass; empty means everything."""
    highest: Mapped[str] = mapped_column(String(40), default="")
    """The highest TimeModified of this pass, as QuickBooks wrote it (qbxml.md 5.4)."""
    bound: Mapped[str] = mapped_column(String(40), default="")
    """From when on the next sync asks for changes."""
    total: Mapped[int | None]
    """Entries of the list when the pass began, where QuickBooks told it."""
    seen: Mapped[int] = mapped_column(default=0)
    """Rows of this pass so far."""
    restarts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    remaining: Mapped[int | None]
    """Rows that the iterator under way still had after its last page."""
    skipped: Mapped[list[Json]] = mapped_column(JSON, default=list)
    """Entries whose newest row could not be read: list_id, name, reason."""
    needs_full: Mapped[bool] = mapped_column(default=False)
    entries: Mapped[int] = mapped_column(default=0)
    inactive: Mapped[int] = mapped_column(default=0)
    gone: Mapped[int] = mapped_column(default=0)
    last_full_at: Mapped[datetime | None]
    last_sync_at: Mapped[datetime | None]
