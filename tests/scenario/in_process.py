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
from tests.scenario.wiring import CURRENT, Fuse, WithoutRecovery, open_database, soap_layer
from tests.scenario.world import World
from tests.support import stores
from workflows.contracts import PrepareInput


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
        dispatchers = [
            (Dispatcher if recovery else WithoutRecovery)(
                database, limits=self.limits, clock=now, new_id=new_id, new_ticket=new_ticket
            )
            for database in databases
        ]
        self._which = random.Random(f"{plan.seed}/bridges")
        self.served = [0] * bridges
        """Calls by bridge."""

        def choose() -> Dispatcher:
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

    def submit(self, document: Document) -> None:
        self._activities.prepare_export(
            PrepareInput(
                company_id=self.company_ids[document.company],
                document=document.body(),
                run_id=f"run-{next(self._runs)}",
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
