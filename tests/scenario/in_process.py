"""The bridge, its database and the SOAP layer in the process of the test: everything is decided by the seed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import httpx

from activities.exports import ExportActivities
from qbwc_bridge.dispatcher import Dispatcher
from tests.scenario.plan import Document, Plan
from tests.scenario.wiring import CURRENT, Fuse, WithoutRecovery, open_database, soap_layer
from tests.scenario.world import World
from tests.support import stores
from workflows.contracts import PrepareInput


class InProcess(World):
    """One run without Temporal; ids, tickets and time come from counters."""

    def __init__(self, plan: Plan, folder: Path, *, recovery: bool) -> None:
        fuse, clock = Fuse(), stores.Clock()
        database = open_database(folder, fuse.passing)
        http = httpx.Client(transport=httpx.WSGITransport(app=soap_layer(), raise_app_exceptions=True))
        new_set, new_ticket = stores.counter("SET"), stores.counter("ticket")

        def new_id() -> str:
            fuse.passing("id")
            return new_set()

        def now() -> Any:
            fuse.passing("clock")
            return clock()

        super().__init__(plan, database, http, clock, fuse)
        CURRENT.dispatcher = (Dispatcher if recovery else WithoutRecovery)(
            database, limits=self.limits, clock=now, new_id=new_id, new_ticket=new_ticket
        )
        self._activities = ExportActivities(database, clock=clock, new_id=stores.counter("REQ"))
        self._runs = itertools.count(1)

    def submit(self, document: Document) -> None:
        self._activities.prepare_export(
            PrepareInput(
                company_id=self.company_ids[document.company],
                document=document.body(),
                run_id=f"run-{next(self._runs)}",
            )
        )

    def close(self) -> None:
        """Give the connections back."""
        self.http.close()
        self.database.close()
