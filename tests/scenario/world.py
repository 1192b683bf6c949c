"""The world of one run: the bridge, and each company with its documents, files and Web Connectors."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from activities.exports import ExportActivities
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from simulator.company import CompanyFile
from simulator.cuts import Cuts
from simulator.qwc import read_qwc
from simulator.records import Posted
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import queue
from store.tables import Request
from tests.scenario.plan import Document, Plan
from tests.scenario.wiring import CURRENT, Fuse, Line, WithoutRecovery, headers_of, open_database, soap_layer
from tests.support import stores
from tests.support.world import a_qwc
from workflows.contracts import Outcome, PrepareInput

COMPANIES = ("acme", "bolt")


@dataclass
class Late:
    """An answer that the network holds."""

    company: int
    content: bytes
    place: str
    """After which call of the company's next session it arrives; session: after that session; end: after all."""


@dataclass
class Desk:
    """One company: its file, the files of others on the same computer, its Web Connector."""

    index: int
    id: str
    quickbooks: CompanyFile
    foreign: list[CompanyFile]
    line: Line
    connector: WebConnector
    second: WebConnector
    taken_away: set[str] = field(default_factory=set)
    """GUIDs of what a user deleted, or a backup undid after it had been reported."""
    gone: set[str] = field(default_factory=set)
    """GUIDs of all that a user or a backup ever removed, reported or not."""
    edited: set[str] = field(default_factory=set)
    typed: list[Posted] = field(default_factory=list)
    """What a user entered by hand: the same document as an export, without our GUID."""
    backups: list[tuple[str, bool]] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)
    """What a user puts right again after the session."""
    has_changed_lists: bool = False


class World:
    """Everything that one run acts on."""

    def __init__(self, plan: Plan, folder: Path, *, recovery: bool) -> None:
        self.plan = plan
        self.events: list[str] = []
        self.draw = random.Random(f"{plan.seed}/run")
        self.clock = stores.Clock()
        self.fuse = Fuse()
        self.limits = Limits(batch_size=plan.batch_size)
        self._runs = itertools.count(1)
        self.poisoned: set[str] = set()
        self.lates: list[Late] = []
        self.kills: list[tuple[str, int]] = []
        self._database = open_database(folder, self.fuse.passing)
        new_set, new_ticket = stores.counter("SET"), stores.counter("ticket")

        def new_id() -> str:
            self.fuse.passing("id")
            return new_set()

        def clock() -> Any:
            self.fuse.passing("clock")
            return self.clock()

        self._dispatcher = (Dispatcher if recovery else WithoutRecovery)(
            self._database,
            limits=self.limits,
            clock=clock,
            new_id=new_id,
            new_ticket=new_ticket,
        )
        self._activities = ExportActivities(self._database, clock=self.clock, new_id=stores.counter("REQ"))
        CURRENT.dispatcher = self._dispatcher
        self._http = httpx.Client(transport=httpx.WSGITransport(app=soap_layer(), raise_app_exceptions=True))
        self.desks = [self._desk(index) for index in range(plan.companies)]
        for desk in self.desks:
            desk.foreign += [other.quickbooks for other in self.desks if other is not desk]

    def _desk(self, index: int) -> Desk:
        company_id = COMPANIES[index]
        owner_id = f"{{57F3B9B6-86F1-4FCC-B1FF-966DE1813D2{index}}}"
        file_id = f"{{90A44FB5-33D9-4815-AC85-BC87A7E7D1E{index}}}"
        stores.add_company(self._database, company_id, owner_id=owner_id, file_id=file_id)
        quickbooks = freight_company(f"Freight {company_id}", clock=self.clock)
        same_name = freight_company(quickbooks.name, clock=self.clock)
        same_name.state.path = f"D:\\Old\\{quickbooks.name}.qbw"
        quickbooks.switches.records_survive_restore = self.plan.records_survive
        line = Line(self._http, self.fuse)
        qwc = read_qwc(a_qwc(company_id, owner_id=owner_id, file_id=file_id))
        http: Any = line
        connector = WebConnector(qwc, stores.PASSWORD, quickbooks, http=http, cuts=Cuts())
        second = WebConnector(qwc, stores.PASSWORD, quickbooks, http=self._http)
        return Desk(
            index=index,
            id=company_id,
            quickbooks=quickbooks,
            foreign=[freight_company(f"Somebody Else {index}", clock=self.clock), same_name],
            line=line,
            connector=connector,
            second=second,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._database.close()

    # Documents

    def queue_documents(self, session: int) -> None:
        for document in self.plan.documents:
            if document.before_session == session:
                self._queue(document)
            if document.again_before == session:
                self._queue(document)

    def _queue(self, document: Document) -> None:
        inp = PrepareInput(
            company_id=COMPANIES[document.company], document=document.body(), run_id=f"run-{next(self._runs)}"
        )
        known = {request.id for request in self.requests()}
        prepared = self._activities.prepare_export(inp)
        self.events.append(f"{document.id} queued as {prepared.request_id}")
        if prepared.request_id is None or prepared.request_id in known:
            return
        with self._database.transaction() as session:
            request = queue.request(session, prepared.request_id)
            assert request is not None
            if document.fate in ("poison", "broken"):
                bad = "<Unheard/>" if document.fate == "poison" else "<Unclosed>"
                request.body = request.body.replace("<RefNumber>", f"{bad}<RefNumber>")
                assert bad in request.body
                self.poisoned.add(request.id)
            if document.fate == "refused":
                self.refuse(self.desks[document.company].quickbooks, request.facts["ref_number"])

    def refuse(self, quickbooks: CompanyFile, ref_number: str) -> None:
        message = 'There is an invalid reference to QuickBooks Customer "Gone" in the Invoice.'
        quickbooks.faults.reject(ref_number, 3140, message, times=10**6)

    # Sessions

    def update(self, name: str, desk: Desk, connector: WebConnector) -> None:
        report = connector.run_once()
        self.events.append(f"{name} of {desk.id}, {connector.company.name}: {report.outcome} {report.status}")
        self.events += [f"    {method} {detail}" for method, detail in report.calls]
        assert report.outcome != "endless", f"{name} does not end"

    def deliver(self, which: Callable[[Late], bool]) -> None:
        due = [late for late in self.lates if which(late)]
        self.lates = [late for late in self.lates if late not in due]
        for late in due:
            self.desks[late.company].line.send(late.content, headers_of("receiveResponseXML"))
            self.events.append(f"    a held answer of {COMPANIES[late.company]} arrived")

    # Reading

    @contextmanager
    def read(self) -> Iterator[DatabaseSession]:
        with self._database.transaction() as session:
            yield session

    def requests(self) -> list[Request]:
        with self.read() as session:
            return list(session.scalars(select(Request).order_by(Request.seq)))

    def ref_number(self, document: Document) -> str | None:
        return next((r.facts["ref_number"] for r in self.requests() if names(r, document)), None)


def names(request: Request, document: Document) -> bool:
    return request.company_id == COMPANIES[document.company] and request.workflow_id.endswith(
        f"/{document.kind}/{document.id}"
    )


def outcome_of(request: Request) -> Outcome:
    return Outcome.model_validate(request.outcome)
