"""What the API says about QuickBooks' lists and how far their sync is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mapping.lists import ListKind
from store.list_tables import ListEntry
from store.sync_tables import CompanySync, ListSync

SyncState = Literal["never", "requested", "running", "done", "failed"]


class SyncRequest(BaseModel):
    """How much to refresh."""

    model_config = ConfigDict(extra="forbid")

    full: bool = Field(default=False, strict=True, description="Read all lists anew instead of what changed.")


class UnreadableEntry(BaseModel):
    """An entry that QuickBooks sent in a form that could not be read."""

    list_id: str = Field(description="QuickBooks' id of it; empty when even that could not be read.")
    full_name: str = Field(description="Its name as far as it could be read.")


class ListView(BaseModel):
    """One list."""

    state: Literal["waiting", "running", "done", "failed"] = Field(description="`running`: pages are coming over.")
    entries: int = Field(description="Entries at the end of the last sync, inactive ones too.")
    inactive: int = Field(description="How many of them are inactive.")
    gone: int = Field(description="Entries that were deleted or merged away; they are kept.")
    rows_so_far: int = Field(description="Rows of the pass under way, or of the last one.")
    rows_expected: int | None = Field(description="How many rows that pass is to bring, where QuickBooks said so.")
    last_full_at: datetime | None = Field(description="When the whole list was read last.")
    last_sync_at: datetime | None = Field(description="When it was brought up to date last.")
    note: str = Field(description="What could not be read, and what to do; empty when all is well.")
    unreadable: list[UnreadableEntry] = Field(
        description="Entries that could not be read. They stay as they were, and the rest of the list is up to date."
    )


class ListsView(BaseModel):
    """The lists of the company file."""

    state: SyncState = Field(description="`requested` and `running` go on in the Web Connector's next session.")
    requested_at: datetime | None = Field(description="When somebody asked for a sync last.")
    started_at: datetime | None = Field(description="When the newest sync began.")
    last_full_at: datetime | None = Field(description="Since when every list is known as a whole.")
    last_sync_at: datetime | None = Field(description="The lists are as they were then, or newer.")
    retry_at: datetime | None = Field(description="After a failure: when it is tried again at the earliest.")
    note: str = Field(description="Why the newest sync failed, or what could not be read of it, and what to do.")
    kinds: dict[ListKind, ListView] = Field(description="Each list by its kind; empty before the first sync.")


class ExternalItem(BaseModel):
    """An entry of one of QuickBooks' lists."""

    kind: ListKind = Field(description="Its list.")
    list_id: str = Field(description="QuickBooks' id of it.", examples=["80000001-1767225600"])
    full_name: str = Field(description="Its name with its parents' names.", examples=["Linehaul"])
    type: str = Field(description="Item type, account type, terms or template type; empty for other lists.")
    active: bool = Field(description="Whether QuickBooks lets it be used.")


class ExternalItemList(BaseModel):
    """A page of entries; the best matches come first."""

    items: list[ExternalItem] = Field(description="Entries.")
    cursor: str | None = Field(description="Send it to get the next page; null on the last one.")


def lists_view(sync: CompanySync | None, rows: Mapping[str, ListSync]) -> ListsView:
    """Show how far the lists are."""
    return ListsView(
        state=sync.state if sync is not None else "never",
        requested_at=sync.requested_at if sync else None,
        started_at=sync.started_at if sync else None,
        last_full_at=sync.last_full_at if sync else None,
        last_sync_at=sync.last_sync_at if sync else None,
        retry_at=sync.retry_at if sync else None,
        note=sync.note if sync else "",
        kinds={kind: _list_view(rows[kind]) for kind in ListKind if kind in rows},
    )


def item_view(row: ListEntry) -> ExternalItem:
    """Show an entry."""
    return ExternalItem(
        kind=ListKind(row.kind), list_id=row.list_id, full_name=row.full_name, type=row.type, active=row.is_active
    )


def _list_view(row: ListSync) -> ListView:
    states = {"pages": "running", "settling": "running", "confirming": "running"}
    return ListView(
        state=states.get(row.phase, row.phase),
        entries=row.entries,
        inactive=row.inactive,
        gone=row.gone,
        rows_so_far=row.seen,
        rows_expected=row.total,
        last_full_at=row.last_full_at,
        last_sync_at=row.last_sync_at,
        note=row.note,
        unreadable=[UnreadableEntry(list_id=one["list_id"], full_name=one["name"]) for one in row.skipped],
    )
