"""The bridge, its database and the SOAP layer in the process of the test: everything is decided by the seed.

With `bridges=2` each call goes to one of two bridges, drawn anew: they share the database and nothing else, and each
has a relay of its own.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any, cast

import httpx
from prometheus_client import CollectorRegistry

from activities.exports import ExportActivities
from qbwc_bridge.dispatcher import Dispatcher
from store import states
from tests.scenario.plan import Document, Plan
from tests.scenario.relays import Relays
from tests.scenario.storage import Storage
from tests.scenario.wiring import CURRENT, Fuse, WithoutRecovery, open_database, soap_layer
from tests.scenario.world import Desk, World, outcome_of
from tests.support import stores
from tests.support.world import BASE
from tms_api.access import Caller
from tms_api.company_file import FileAnswer, answer_file
from tms_api.services import ApiServices, Exporter
from workflows.contracts import ExportState, PrepareInput, RecordInput

SECONDS_A_CALL = 1
KEPT_BY_SOAP = ("server_version", "client_version")
"""The SOAP layer answers these itself once it knows the reply, so they come or do not come, as runs before were."""


class InProcess(World):
    """One run without Temporal; ids, tickets and time come from counters."""

    def __init__(
        self, plan: Plan, folder: Path, *, recovery: bool, bridges: int = 1, database_url: str | None = None
    ) -> None:
        fuse, clock = Fuse(), stores.Clock()
        databases = [open_database(folder, fuse.passing, database_url) for _ in range(bridges)]
        http = httpx.Client(transport=httpx.WSGITransport(app=soap_layer(), raise_app_exceptions=True))
        new_set, new_ticket = stores.counter("SET"), stores.counter("ticket")

        def new_id() -> str:
            fuse.passing("id")
            return new_set()

        def now() -> Any:
            fuse.passing("clock")
            return clock()

        super().__init__(plan, databases[0], http, clock, fuse, looks_first=recovery)
        self._databases = databases
        self._storages = [Storage(database) for database in databases]
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
        self._caught_up: set[str] = set()
        self._services = ApiServices(
            database=databases[0],
            exporter=cast("Exporter", None),  # nothing that people say here reaches Temporal
            qwc_file=lambda _: "",
            clock=clock,
            public_soap_url=BASE,
            temporal_ui_url=lambda _, __: "",
            registry=CollectorRegistry(),
        )
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
        """Have space and a disk that works."""
        for storage in self._storages:
            storage.calm()
            self.struck["storage"] += storage.struck
            storage.struck = 0

    def submit(self, document: Document, *, confirmed_absent: bool = False) -> None:
        self._activities.prepare_export(
            PrepareInput(
                company_id=self.company_ids[document.company],
                document=document.body(),
                run_id=f"run-{next(self._runs)}",
                confirmed_absent=confirmed_absent,
            )
        )

    def catch_up(self) -> None:
        """Do what the workflow of each export does with an outcome."""
        for request in self.requests():
            if request.state != states.DONE or request.id in self._caught_up:
                continue
            self._caught_up.add(request.id)
            outcome = outcome_of(request)
            _, company_id, kind, document_id = request.workflow_id.split("/")
            is_there = outcome.transaction is not None
            self._activities.record_state(
                RecordInput(
                    company_id=company_id,
                    kind=kind,
                    document_id=document_id,
                    run_id=request.run_id,
                    state=ExportState.SUCCESSFUL if is_there else ExportState.FAILED,
                    text="It is in QuickBooks" if is_there else "It failed",
                    key="end",
                    transaction=outcome.transaction,
                    failure=outcome.failure,
                )
            )

    def say_of_file(self, desk: Desk, answer: str, path: str) -> None:
        """As the console and the API do it."""
        body = FileAnswer.model_validate({"answer": answer, "path": path})
        answer_file(self._services, desk.id, body, Caller(key_id="", company_id=None, scopes=frozenset()))

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
