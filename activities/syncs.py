"""What the workflow of a list sync reads; the bridge writes it."""

from __future__ import annotations

from temporalio import activity

from mapping.lists import ListKind
from store import list_syncs
from store.engine import Database
from workflows import contracts
from workflows.contracts import SyncInput, SyncView


class SyncActivities:
    """Needs a database only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name=contracts.ACTIVITY_SYNC_STATUS)
    def sync_status(self, inp: SyncInput) -> SyncView:
        """Read how far the newest sync of a company is; without any there is nothing to follow."""
        with self._database.transaction() as session:
            sync = list_syncs.company_sync(session, inp.company_id)
            if sync is None:
                return SyncView(state=list_syncs.DONE)
            rows = {row.kind: row.entries for row in list_syncs.list_syncs(session, inp.company_id)}
            entries = {kind.value: rows[kind] for kind in ListKind if kind in rows}
            return SyncView(state=sync.state, run=sync.run, note=sync.note, entries=entries)
