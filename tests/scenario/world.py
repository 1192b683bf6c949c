"""The world of one run: the bridge, and each company with its documents, files and Web Connectors."""

from __future__ import annotations

import contextlib
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from qbwc_bridge.session import Limits
from simulator.company import CompanyFile
from simulator.copies import spellings
from simulator.cuts import Cuts
from simulator.qwc import read_qwc
from simulator.records import Posted
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import queue, states
from store.engine import Database
from store.tables import Company, Request
from tests.scenario.plan import Document, Plan
from tests.scenario.storage import Storage
from tests.scenario.wiring import Fuse, Line, headers_of
from tests.support import stores
from tests.support.world import BASE, a_qwc
from workflows.contracts import OUTCOME_UNKNOWN, Outcome

COMPANIES = ("acme", "bolt")
CALLS_MAX = 100
"""No session of these small plans may take more calls, whatever happens in it."""


@dataclass(frozen=True)
class Known:
    """A request as it was seen last."""

    state: str
    attempt: int


@dataclass
class Late:
    """An answer that the network holds."""

    company: int
    content: bytes
    place: str
    """After which call of the company's next session it arrives; session: after that session; end: after all."""


@dataclass
class Almost:
    """What a person typed that is almost an export."""

    typed: Posted
    what: str
    request_id: str
    attempt: int
    """How often it had been sent by then."""
    is_second: bool
    """The export was there already: two of them now are that person's doing."""


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
    undone: set[str] = field(default_factory=set)
    """GUIDs of all that a backup undid: it must be told."""
    edited: set[str] = field(default_factory=set)
    typed: list[Posted] = field(default_factory=list)
    """What a user entered by hand: the same document as an export, without our GUID."""
    backups: list[tuple[str, bool]] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)
    """What a user puts right again after the session."""
    has_changed_lists: bool = False
    almost: list[Almost] = field(default_factory=list)
    copies: list[tuple[CompanyFile, set[str]]] = field(default_factory=list)
    """Copies of the books that were opened instead of them, and the GUIDs that each held then."""
    hanging: int = 0
    """Computers whose QuickBooks stands still now."""
    begun: set[str] = field(default_factory=set)
    """GUIDs of a set that QuickBooks had begun with when it stood still and a second computer polled."""
    unheard: set[str] = field(default_factory=set)
    """Those of them of whose end nobody ever heard: QuickBooks died over it, or its answer was lost."""
    kept: list[str] = field(default_factory=list)
    """The books before each session."""

    def sit_down_again(self) -> None:
        """The right file is open again, by its own path, on a computer that is right again."""
        self.connector.company = self.quickbooks
        self.connector.opened_as = self.connector.clock = None
        self.connector.cuts.rules.clear()


class World(ABC):
    """Everything that one run acts on; subclasses say what the bridge runs in and how documents reach it."""

    base = BASE

    def __init__(
        self,
        plan: Plan,
        database: Database,
        http: httpx.Client,
        clock: stores.Clock,
        fuse: Fuse,
        *,
        looks_first: bool = True,
    ) -> None:
        self.plan = plan
        self.events: list[str] = []
        self.draw = random.Random(f"{plan.seed}/run")
        self.clock = clock
        self.fuse = fuse
        self.limits = Limits(batch_size=plan.batch_size)
        self.poisoned: set[str] = set()
        self.lates: list[Late] = []
        self.at_start: list[Callable[[], None]] = []
        """What is done when the session begins, after this test has read what it needs."""
        self.struck: Counter[str] = Counter()
        """How often each fault of the harder world really did something."""
        self.known: dict[str, Known] = {}
        self.forgotten: dict[str, str] = {}
        """GUIDs that our own database may have lost when it was set back, and the workflow of each."""
        self.database = database
        self.http = http
        self.company_ids = self.name_companies()
        # In the harder world people say at first contact which file is theirs; elsewhere it is what is open then.
        self.settings = {"look_before_adding": looks_first, "confirm_first_file": plan.is_harder}
        self.desks = [self._desk(index) for index in range(plan.companies)]
        for desk in self.desks:
            desk.foreign += [other.quickbooks for other in self.desks if other is not desk]

    def name_companies(self) -> tuple[str, ...]:
        """Give the ids of the companies."""
        return COMPANIES

    @abstractmethod
    def submit(self, document: Document, *, confirmed_absent: bool = False) -> None:
        """Let the TMS hand a document over, and wait until it is queued or refused.

        With `confirmed_absent` a person says that what may be in QuickBooks is not there.
        """

    @abstractmethod
    def catch_up(self) -> None:
        """Let the read model know what the bridge knows."""

    @abstractmethod
    def say_of_file(self, desk: Desk, answer: str, path: str) -> None:
        """A person answers `yes` or `no` to whether the file at a path is the company file."""

    def keep_database(self) -> None:
        """Remember our own database as it is now; after the session it is set back to that."""
        raise NotImplementedError

    def put_right(self) -> None:  # noqa: B027 - most worlds have nothing of their own to put right
        """After a session: disks work again, and a database that was kept is put back."""

    @property
    def storage(self) -> Storage:
        """What the disk under our own database does."""
        raise NotImplementedError

    def _desk(self, index: int) -> Desk:
        company_id = self.company_ids[index]
        owner_id = f"{{57F3B9B6-86F1-4FCC-B1FF-966DE1813D2{index}}}"
        file_id = f"{{90A44FB5-33D9-4815-AC85-BC87A7E7D1E{index}}}"
        stores.add_company(self.database, company_id, owner_id=owner_id, file_id=file_id, **self.settings)
        quickbooks = freight_company(f"Freight {company_id}", clock=self.clock)
        same_name = freight_company(quickbooks.name, clock=self.clock)
        same_name.state.path = f"D:\\Old\\{quickbooks.name}.qbw"
        quickbooks.switches.records_survive_restore = self.plan.records_survive
        line = Line(self.http, self.fuse)
        qwc = read_qwc(a_qwc(company_id, owner_id=owner_id, file_id=file_id, base=self.base))
        connector = WebConnector(qwc, stores.PASSWORD, quickbooks, http=line, cuts=Cuts(), request_cap=CALLS_MAX)  # type: ignore[arg-type]
        second = WebConnector(qwc, stores.PASSWORD, quickbooks, http=self.http, request_cap=CALLS_MAX)
        return Desk(
            index=index,
            id=company_id,
            quickbooks=quickbooks,
            foreign=[freight_company(f"Somebody Else {index}", clock=self.clock), same_name],
            line=line,
            connector=connector,
            second=second,
        )

    # Documents

    def queue_documents(self, session: int) -> None:
        for document in self.plan.documents:
            if document.before_session == session:
                self._queue(document)
            if document.again_before == session:
                self._queue(document)

    def _queue(self, document: Document, *, confirmed_absent: bool = False) -> None:
        known = {request.id for request in self.requests()}
        self.submit(document, confirmed_absent=confirmed_absent)
        new = [request for request in self.requests() if request.id not in known and self.names(request, document)]
        self.events.append(f"{document.id} queued as {[request.id for request in new]}")
        for request in new:
            self._spoil(request, document)

    def say_absent(self, desk: Desk) -> None:
        """A person says of all that may be in QuickBooks that it is not there, and has it exported again."""
        newest = {request.export_id: request for request in self.requests() if request.company_id == desk.id}
        for document in self.plan.documents:
            request = next((r for r in newest.values() if self.names(r, document)), None)
            if request is None or request.state != states.DONE:
                continue
            failure = outcome_of(request).failure
            if failure is not None and failure.code == OUTCOME_UNKNOWN:
                self.struck["wrong_word"] += 1
                self.events.append(f"a person says that {request.id} is not in {desk.id}")
                self._queue(document, confirmed_absent=True)

    def answer_questions(self, desk: Desk) -> None:
        """A person does what the connection's next step says, and knows which company file is the right one."""
        with self.read() as session:
            question = session.get_one(Company, desk.id).file_question
        if question is None or question.get("answer"):
            return
        is_right = question["path"] in spellings(desk.quickbooks.path) and question["name"] == desk.quickbooks.name
        answer = "yes" if is_right else "no"
        self.events.append(f"    a person of {desk.id} says {answer} to {question['path']}")
        self.say_of_file(desk, answer, question["path"])

    def choose_tax_code(self, desk: Desk, name: str) -> None:
        """Somebody makes a sales tax code the default for invoices."""
        with self.database.transaction() as session:
            company = session.get_one(Company, desk.id)
            defaults = company.mapping["defaults"]
            invoice = {**defaults["invoice"], "tax_code": {"full_name": name}}
            company.mapping = {**company.mapping, "defaults": {**defaults, "invoice": invoice}}

    def _spoil(self, request: Request, document: Document) -> None:
        if document.fate in ("poison", "broken"):
            bad = "<Unheard/>" if document.fate == "poison" else "<Unclosed>"
            with self.database.transaction() as session:
                row = queue.request(session, request.id)
                assert row is not None
                row.body = row.body.replace("<RefNumber>", f"{bad}<RefNumber>")
                assert bad in row.body
            self.poisoned.add(request.id)
        if document.fate == "refused":
            self.refuse(self.desks[document.company].quickbooks, request.facts["ref_number"])

    def refuse(self, quickbooks: CompanyFile, ref_number: str) -> None:
        message = 'There is an invalid reference to QuickBooks Customer "Gone" in the Invoice.'
        quickbooks.faults.reject(ref_number, 3140, message, times=10**6)

    # Sessions

    def update(self, name: str, desk: Desk, connector: WebConnector) -> str:
        """Play one update session; gives its outcome."""
        report = connector.run_once()
        self.events.append(f"{name} of {desk.id}, {connector.company.name}: {report.outcome} {report.status}")
        self.events += [f"    {method} {detail}" for method, detail in report.calls]
        assert report.outcome != "endless", f"{name} does not end"
        assert report.count <= CALLS_MAX, f"{name} took {report.count} calls"
        if report.outcome in ("crashed", "failed") or not all(response for _, response in report.exchanges):
            desk.unheard |= desk.begun
        return report.outcome

    def deliver(self, which: Callable[[Late], bool]) -> None:
        due = [late for late in self.lates if which(late)]
        self.lates = [late for late in self.lates if late not in due]
        for late in due:
            with contextlib.suppress(httpx.HTTPError):
                self.desks[late.company].line.send(late.content, headers_of("receiveResponseXML"))
            self.events.append(f"    a held answer of {self.company_ids[late.company]} arrived")

    # Reading

    @contextmanager
    def read(self) -> Iterator[DatabaseSession]:
        with self.database.transaction() as session:
            yield session

    def requests(self) -> list[Request]:
        with self.read() as session:
            query = select(Request).where(Request.company_id.in_(self.company_ids))
            return list(session.scalars(query.order_by(Request.seq)))

    def ref_number(self, document: Document) -> str | None:
        return next((r.facts["ref_number"] for r in self.requests() if self.names(r, document)), None)

    def names(self, request: Request, document: Document) -> bool:
        """Say whether a request is about a document."""
        return request.company_id == self.company_ids[document.company] and request.workflow_id.endswith(
            f"/{document.kind}/{document.id}"
        )


def outcome_of(request: Request) -> Outcome:
    return Outcome.model_validate(request.outcome)
