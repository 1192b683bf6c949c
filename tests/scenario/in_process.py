"""The bridge, its database and the SOAP layer in the process of the test: everything is decided by the seed.

With `bridges=2` each call goes to one of two bridges, drawn anew: they share the database and nothing else, and each
has a relay of its own.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import httpx

from activities.exports import ExportActivities
from qbwc_bridge.dispatcher import Dispatcher
from tests.scenario.plan import Document, Plan
from tests.scenario.relays import Relays
from tests.scenario.storage import Snapshots, Storage
from tests.scenario.wiring import CURRENT, Fuse, WithoutRecovery, open_database, soap_layer
from tests.scenario.world import World
from tests.support import stores
from workflows.contracts import PrepareInput

SECONDS_A_CALL = 1
KEPT_BY_SOAP = ("server_version", "client_version")
"""The SOAP layer answers these itself once it knows the reply, so they come or do not come, as runs before were."""


class InProcess(World):
    """One run without Temporal; ids, tickets and time come from counters."""

    def __init__(self, plan: Plan, folder: Path, *, recovery: bool, bridges: int = 1) -> None:
        fuse, clock = Fuse(), stores.Clock()
        databases = [open_database(folder, fuse.passing) for _ in range(bridges)]
        http = httpx.Client(transport=httpx.WSGITransport(app=soap_layer(), raise_app_exceptions=True))
        new_set, new_ticket = stores.counter("SET"), stores.counter("ticket")

        def new_id() -> str:
            fuse.passing("id")
            return new_set()

        def now() -> Any:
            fuse.passing("clock")
            return clock()

        super().__init__(plan, databases[0], http, clock, fuse)
        self._databases = databases
        self._storages = [Storage(database) for database in databases]
        self._snapshots = Snapshots(*databases)
        self._kept: bytes | None = None
        dispatchers = [
            (Dispatcher if recovery else WithoutRecovery)(
                database, limits=self.limits, clock=now, new_id=new_id, new_ticket=new_ticket
            )
            for database in databases
        ]
        self._which = random.Random(f"{plan.seed}/bridges")
        self.served = [0] * bridges
        """Calls by bridge."""

        def choose(method: str) -> Dispatcher:
            if method in KEPT_BY_SOAP:
                return dispatchers[0]
            number = self._which.randrange(bridges)
            self.served[number] += 1
            return dispatchers[number]

        CURRENT.choose = choose
        self._activities = ExportActivities(databases[-1], clock=clock, new_id=stores.counter("REQ"))
        self._runs = itertools.count(1)
        self.relays = Relays(databases, clock, random.Random(f"{plan.seed}/relays")) if bridges > 1 else None
        if self.relays is not None:
            for desk in self.desks:
                desk.line.between = self.relays.turn
        for desk in self.desks:
            desk.line.tick = lambda: clock.forward(seconds=SECONDS_A_CALL)

    @property
    def storage(self) -> Storage:
        """The disk as the first bridge meets it; the second has a way of its own to the same file."""
        return self._storages[0]

    def put_right(self) -> None:
        """Have space and a disk that works; set the database back if it was kept."""
        for storage in self._storages:
            storage.calm()
            self.struck["storage"] += storage.struck
            storage.struck = 0
        if self._kept is not None:
            self._put_database_back(self._kept)
            self._kept = None

    def keep_database(self) -> None:
        """Remember it as it is between two calls."""
        self._kept = self._snapshots.take()

    def _put_database_back(self, kept: bytes) -> None:
        """Only the database: relays, bridges and their memory stay."""
        self.forgotten |= {r.facts["external_guid"]: r.workflow_id for r in self.requests()}
        self._snapshots.put_back(kept)
        self.known.clear()
        self.events.append("    our own database was set back")
        self.struck["set_back"] += 1
        if self.relays is not None:
            self.relays.is_ahead = True

    def submit(self, document: Document, *, confirmed_absent: bool = False) -> None:
        self._activities.prepare_export(
            PrepareInput(
                company_id=self.company_ids[document.company],
                document=document.body(),
                run_id=f"run-{next(self._runs)}",
                confirmed_absent=confirmed_absent,
            )
        )

    def check_the_end(self) -> None:
        """What the bridges' relays owe at the end."""
        if self.relays is not None:
            self.relays.check_the_end()

    def close(self) -> None:
        """Give the connections back."""
        self.http.close()
        if self.relays is not None:
            self.relays.close()
        for database in self._databases:
            database.close()
