"""Seeded chaos: whatever dies, each export ends as exactly one transaction in the right file, or as a true Failed.

The bridge, its database, the SOAP layer, Web Connectors and QuickBooks run in one process, without Temporal. A seed
decides everything: the documents, the sessions, what goes wrong in them, the ids and the time. So a seed that fails
fails again.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import structlog
from sqlalchemy import event, select
from sqlalchemy.orm import Session as DatabaseSession

from activities.exports import ExportActivities
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from qbxml.envelope import build_message_set
from simulator import soap
from simulator.company import CompanyFile
from simulator.cuts import Cuts
from simulator.faults import Faults
from simulator.qwc import read_qwc
from simulator.records import CompanyState, Posted
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import queue
from store.engine import Database
from store.tables import Company, Incident, MessageSet, OutboxSignal, Request, WebConnectorSession
from tests.support import stores
from tests.support.world import BASE, a_qwc
from workflows import contracts
from workflows.contracts import Outcome, PrepareInput

METHODS = ("", "authenticate", "sendRequestXML", "receiveResponseXML", "getLastError", "closeConnection")
"""Where the connection is cut; "" counts the calls of any method."""
LOST_TOUCH = ("0x80010108", "0x80040402", "0x8004040D", "0x800706BA", None)
"""How the Web Connector reports a QuickBooks that died; None when it died as well."""
COMPANIES = ("acme", "bolt")
CALM_SESSIONS = 12
ALARMS = {"company_file", "wrong_company_file"}
"""What an operator may be told in these runs; any other incident is a false alarm, for no answer is forged here."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document of the TMS, and what will become of it."""

    company: int
    kind: str
    number: int
    fate: str
    """good | poison (QuickBooks cannot parse it) | broken (it is not even XML) | refused (3140)"""
    before_session: int
    again_before: int | None
    """It is queued a second time before this session."""

    @property
    def id(self) -> str:
        """Its id in the TMS."""
        return f"{'inv' if self.kind == 'invoice' else 'bill'}_{self.number}"

    def body(self) -> dict[str, Any]:
        """What the TMS posts."""
        if self.kind == "carrier_bill":
            amount = f"{1500 + self.number}.00"
            line = {"id": "1", "charge": "LINEHAUL", "description": "Linehaul", "amount": amount}
            return stores.a_bill(self.id, lines=[line], total=amount)
        amount, fuel = f"{1850 + self.number}.25", "212.50"
        lines = [
            {"id": "1", "charge": "LINEHAUL", "description": "Linehaul", "amount": amount},
            {"id": "2", "charge": "FUEL", "description": "Fuel surcharge", "amount": fuel},
        ]
        return stores.an_invoice(self.id, lines=lines, total=str(Decimal(amount) + Decimal(fuel)))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong in one session; the name is that of a method of `_Run` without its `fault_`."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Update:
    """One update session of one company, and its faults."""

    company: int
    pause_minutes: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a seed decides before the run."""

    seed: int
    companies: int
    batch_size: int
    documents: tuple[Document, ...]
    updates: tuple[Update, ...]

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Draw the plan of a seed."""
        draw = random.Random(seed)
        companies, count = draw.choice((1, 1, 2)), draw.randint(4, 10)
        documents = tuple(_document(draw, number, companies, count) for number in range(1, draw.randint(3, 12) + 1))
        return cls(
            seed=seed,
            companies=companies,
            batch_size=draw.choice((1, 2, 3, 5, 20)),
            documents=documents,
            updates=tuple(_update(draw, companies, documents) for _ in range(count)),
        )

    def __str__(self) -> str:
        """As it is read beside a violation."""
        lines = [f"seed {self.seed}: {self.companies} companies, {self.batch_size} requests a set"]
        lines += [f"  {document}" for document in self.documents]
        lines += [f"  session {number}: {update}" for number, update in enumerate(self.updates)]
        return "\n".join(lines)


def _document(draw: random.Random, number: int, companies: int, sessions: int) -> Document:
    before = min(draw.randrange(sessions), draw.randrange(sessions))
    return Document(
        company=draw.randrange(companies),
        kind=draw.choice(("invoice", "invoice", "carrier_bill")),
        number=number,
        fate=draw.choices(("good", "poison", "broken", "refused"), (80, 7, 5, 8))[0],
        before_session=before,
        again_before=draw.randrange(before, sessions) if draw.random() < 0.25 else None,
    )


def _update(draw: random.Random, companies: int, documents: tuple[Document, ...]) -> Update:
    count = draw.choices((0, 1, 2, 3), (15, 45, 30, 10))[0]
    return Update(
        company=draw.randrange(companies),
        pause_minutes=draw.choice((1, 5, 15, 15, 60, 600)),
        faults=tuple(_fault(draw, draw.choice(documents).number) for _ in range(count)),
    )


def _fault(draw: random.Random, document: int) -> Fault:
    """Draw a fault; `document` is the one it is about, if it is about one."""
    touch, nth = draw.choice(LOST_TOUCH), draw.choice((1, 1, 1, 2, 3))
    is_seen, place = draw.random() < 0.5, draw.choice(("authenticate", "sendRequestXML", "session", "end"))
    choices: list[tuple[int, Fault]] = [
        (8, Fault(name="cut", arguments=(draw.choice(("before", "after")), draw.choice(METHODS), draw.randint(1, 4)))),
        (4, Fault(name="cut", arguments=(draw.choice(("before", "after")), "receiveResponseXML", nth))),
        (3, Fault(name="crash_before_commit", arguments=(touch,))),
        (5, Fault(name="crash_after_commits", arguments=(draw.randint(1, 4), touch))),
        (4, Fault(name="crash_before_record", arguments=(touch,))),
        (3, Fault(name="crash_after_record", arguments=(touch,))),
        (3, Fault(name="lose_record")),
        (2, Fault(name="lose_all_records")),
        (5, Fault(name="restore_backup", arguments=(draw.random() < 0.7,))),
        (4, Fault(name="foreign_file", arguments=(draw.randrange(3),))),
        (1, Fault(name="modal_dialog")),
        (1, Fault(name="wrong_file_open")),
        (1, Fault(name="single_user_conflict")),
        (3, Fault(name="lock", arguments=(document, draw.randint(1, 3)))),
        (3, Fault(name="user_edits", arguments=(draw.choice(("ref_number", "memo")),))),
        (2, Fault(name="user_deletes")),
        (2, Fault(name="user_types", arguments=(document,))),
        (4, Fault(name="repeat", arguments=("sendRequestXML", nth, is_seen))),
        (3, Fault(name="repeat", arguments=("receiveResponseXML", nth, is_seen))),
        (1, Fault(name="repeat", arguments=("authenticate", 1, is_seen))),
        (3, Fault(name="reorder", arguments=(nth,))),
        (5, Fault(name="late", arguments=(nth, place))),
        (4, Fault(name="second_connector", arguments=(nth, is_seen, draw.choice((0, 1, 5))))),
        (2, Fault(name="second_while_writing", arguments=(nth, is_seen))),
        (2, Fault(name="second_sign_in", arguments=(draw.choice(METHODS[2:4]), nth))),
        (5, Fault(name="killed", arguments=(draw.choice(("clock", "id", "commit")), draw.randint(1, 9)))),
    ]
    weights, faults = zip(*choices, strict=True)
    return draw.choices(faults, weights)[0]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run came to; two runs of one seed give equal ones."""

    plan: Plan
    events: tuple[str, ...]
    ledgers: tuple[str, ...]
    outcomes: Counter[str]
    faults: Counter[str]


class KilledError(RuntimeError):
    """The bridge died here: nothing of its transaction may remain."""


Place = tuple[str, int]
"""The nth call of a method."""
Action = Callable[[], None]


class Fuse:
    """Kills the bridge once, at the nth time that it passes a point."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def arm(self, point: str, nth: int) -> None:
        """Die at the nth passing from now on."""
        self._left[point] = nth

    def disarm(self) -> None:
        """Die no more."""
        self._left.clear()

    def passing(self, point: str) -> None:
        """Pass a point, or die at it."""
        if point in self._left:
            self._left[point] -= 1
            if self._left[point] == 0:
                del self._left[point]
                raise KilledError(point)


class Line:
    """The network between one Web Connector and the bridge: what goes over it can be repeated, held and overtaken."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.cookies = http.cookies
        self._counts: Counter[str] = Counter()
        self.before: dict[Place, list[Action]] = {}
        self.after: dict[Place, list[Action]] = {}
        self.repeats: dict[Place, bool] = {}
        self.reorders: set[int] = set()
        self.holds: dict[int, Callable[[bytes], None]] = {}
        self._overtaken: list[bytes] = []

    def calm(self) -> None:
        """Forget all plans; the counts begin anew."""
        for plans in (self._counts, self.before, self.after, self.repeats, self.reorders, self.holds, self._overtaken):
            plans.clear()

    def post(self, url: str, *, content: bytes, headers: dict[str, str], follow_redirects: bool) -> httpx.Response:
        """Carry a call, as httpx.Client would."""
        data = content
        method = headers["SOAPAction"].strip('"').rpartition("/")[2]
        self._counts[method] += 1
        place = (method, self._counts[method])
        for action in self.before.pop(place, ()):
            action()
        if method == "receiveResponseXML" and place[1] in self.holds:
            self.holds.pop(place[1])(data)
            raise httpx.ReadTimeout("held back by the network")
        reply = self.send(data, headers, url)
        if method == "receiveResponseXML" and place[1] in self.reorders and b"<hresult />" in data:
            self._overtaken.append(data)
        if method == "sendRequestXML":
            # A call whose copy was held up in a proxy: it is delivered again when the session is already further.
            while self._overtaken:
                self.send(self._overtaken.pop(), _headers("receiveResponseXML"), url)
        if place in self.repeats:
            second = self.send(data, headers, url)
            reply = second if self.repeats.pop(place) else reply
        for action in self.after.pop(place, ()):
            action()
        return reply

    def send(self, content: bytes, headers: dict[str, str], url: str = f"{BASE}/qbwc") -> httpx.Response:
        """One POST; the bridge answers legally whatever happens inside it."""
        reply = self._http.post(url, content=content, headers=headers, follow_redirects=False)
        assert reply.status_code == 200, f"HTTP {reply.status_code} after {headers['SOAPAction']}"
        return reply


def _headers(method: str) -> dict[str, str]:
    return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"http://developer.intuit.com/{method}"'}


class WithoutRecovery(Dispatcher):
    """The deliberately broken build: what got no answer is taken as never run, and sent again."""

    def _hand_out(self, session: DatabaseSession, owner: Company, wc: WebConnectorSession) -> str:
        unresolved = queue.unresolved_write_set(session, owner.id)
        if unresolved is not None:
            for request in queue.requests_of_set(session, unresolved.id):
                request.state, request.message_set_id = queue.WAITING, None
            unresolved.state = queue.ABANDONED
            session.flush()
        return super()._hand_out(session, owner, wc)


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


def run(seed: int, *, recovery: bool = True) -> Report:
    """Play the plan of a seed, then calm sessions; raises AssertionError with the plan when the promise is broken."""
    plan = Plan.of(seed)
    with tempfile.TemporaryDirectory(prefix="qbd-chaos-") as folder, structlog.testing.capture_logs():
        running = _Run(plan, Path(folder), recovery=recovery)
        try:
            return running.play()
        except AssertionError as violation:
            story = "\n".join(running.events)
            raise AssertionError(f"{violation}\n{plan}\nwhat happened:\n{story}") from violation
        finally:
            running.close()


class _Current:
    """Passes every call on to the dispatcher of the run that is under way."""

    dispatcher: Dispatcher

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Looked up at each call: spyne keeps what it gets here for longer than a run.
        def call(*values: str) -> Any:
            return getattr(self.dispatcher, name)(*values)

        return call


_CURRENT = _Current()


@functools.cache
def _soap_layer() -> Any:
    """One for all runs: spyne never lets go of an application, and its many objects slow down every later run."""
    service: Any = _CURRENT
    return build_wsgi(service, public_url=BASE, support_page=lambda _company: None)


@functools.cache
def _migrated() -> bytes:
    """A migrated empty database, made once in a process."""
    with tempfile.TemporaryDirectory() as folder:
        database = next(stores.sqlite(Path(folder)))
        with database.engine.connect() as connection:
            connection.exec_driver_sql("rollback")
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
        database.close()
        return (Path(folder) / "qbd.sqlite").read_bytes()


def _open_database(folder: Path) -> Database:
    path = folder / "qbd.sqlite"
    path.write_bytes(_migrated())
    database = Database(f"sqlite:///{path}")

    @event.listens_for(database.engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.execute("pragma synchronous = off")  # no power is lost here, and a seed takes a third of the time

    return database


class _Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, folder: Path, *, recovery: bool) -> None:
        self.plan = plan
        self.events: list[str] = []
        self._draw = random.Random(f"{plan.seed}/run")
        self._clock = stores.Clock()
        self._fuse = Fuse()
        self._limits = Limits(batch_size=plan.batch_size)
        self._runs = itertools.count(1)
        self._struck: Counter[str] = Counter()
        self._poisoned: set[str] = set()
        self._lates: list[Late] = []
        self._kills: list[tuple[str, int]] = []
        self._database = _open_database(folder)
        event.listen(self._database._sessions, "before_commit", lambda _session: self._fuse.passing("commit"))
        new_set, new_ticket = stores.counter("SET"), stores.counter("ticket")

        def new_id() -> str:
            self._fuse.passing("id")
            return new_set()

        def clock() -> Any:
            self._fuse.passing("clock")
            return self._clock()

        self._dispatcher = (Dispatcher if recovery else WithoutRecovery)(
            self._database,
            limits=self._limits,
            clock=clock,
            new_id=new_id,
            new_ticket=new_ticket,
        )
        self._activities = ExportActivities(self._database, clock=self._clock, new_id=stores.counter("REQ"))
        _CURRENT.dispatcher = self._dispatcher
        self._http = httpx.Client(transport=httpx.WSGITransport(app=_soap_layer(), raise_app_exceptions=True))
        self._desks = [self._desk(index) for index in range(plan.companies)]
        for desk in self._desks:
            desk.foreign += [other.quickbooks for other in self._desks if other is not desk]

    def _desk(self, index: int) -> Desk:
        company_id = COMPANIES[index]
        owner_id = f"{{57F3B9B6-86F1-4FCC-B1FF-966DE1813D2{index}}}"
        file_id = f"{{90A44FB5-33D9-4815-AC85-BC87A7E7D1E{index}}}"
        stores.add_company(self._database, company_id, owner_id=owner_id, file_id=file_id)
        quickbooks = freight_company(f"Freight {company_id}", clock=self._clock)
        same_name = freight_company(quickbooks.name, clock=self._clock)
        same_name.state.path = f"D:\\Old\\{quickbooks.name}.qbw"
        line = Line(self._http)
        qwc = read_qwc(a_qwc(company_id, owner_id=owner_id, file_id=file_id))
        http: Any = line
        connector = WebConnector(qwc, stores.PASSWORD, quickbooks, http=http, cuts=Cuts())
        second = WebConnector(qwc, stores.PASSWORD, quickbooks, http=self._http)
        return Desk(
            index=index,
            id=company_id,
            quickbooks=quickbooks,
            foreign=[freight_company(f"Somebody Else {index}", clock=self._clock), same_name],
            line=line,
            connector=connector,
            second=second,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._database.close()

    def play(self) -> Report:
        """The sessions of the plan, then calm ones, and the oracle after each."""
        for number, update in enumerate(self.plan.updates):
            self._queue_documents(number)
            self._play(number, update)
            self._check()
        self._calm_down()
        self._check_the_end()
        outcomes: Counter[str] = Counter()
        for request in self._requests():
            outcome = _outcome(request)
            outcomes["Successful" if outcome.failure is None else f"Failed {outcome.failure.code}"] += 1
        return Report(
            plan=self.plan,
            events=tuple(self.events),
            ledgers=tuple(desk.quickbooks.snapshot() for desk in self._desks),
            outcomes=outcomes,
            faults=self._struck,
        )

    # Documents

    def _queue_documents(self, session: int) -> None:
        for document in self.plan.documents:
            if document.before_session == session:
                self._queue(document)
            if document.again_before == session:
                self._queue(document)

    def _queue(self, document: Document) -> None:
        inp = PrepareInput(
            company_id=COMPANIES[document.company], document=document.body(), run_id=f"run-{next(self._runs)}"
        )
        known = {request.id for request in self._requests()}
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
                self._poisoned.add(request.id)
            if document.fate == "refused":
                self._refuse(self._desks[document.company].quickbooks, request.facts["ref_number"])

    def _refuse(self, quickbooks: CompanyFile, ref_number: str) -> None:
        message = 'There is an invalid reference to QuickBooks Customer "Gone" in the Invoice.'
        quickbooks.faults.reject(ref_number, 3140, message, times=10**6)

    # Sessions

    def _play(self, number: int, update: Update) -> None:
        desk = self._desks[update.company]
        self._clock.forward(minutes=update.pause_minutes)
        desk.line.calm()
        for fault in update.faults:
            self._struck[fault.name] += 1
            getattr(self, f"fault_{fault.name}")(desk, *fault.arguments)
        self._expect_late(desk)
        while self._kills:
            self._fuse.arm(*self._kills.pop())
        self._update(f"session {number}", desk, desk.connector)
        self._fuse.disarm()
        desk.connector.company = desk.quickbooks
        desk.connector.cuts.rules.clear()
        self._restore(desk)
        self._deliver(lambda late: late.company == desk.index and late.place == "session")

    def _update(self, name: str, desk: Desk, connector: WebConnector) -> None:
        report = connector.run_once()
        self.events.append(f"{name} of {desk.id}, {connector.company.name}: {report.outcome} {report.status}")
        self.events += [f"    {method} {detail}" for method, detail in report.calls]
        assert report.outcome != "endless", f"{name} does not end"

    def _expect_late(self, desk: Desk) -> None:
        """Answers held back in earlier sessions arrive in this one."""
        for late in [late for late in self._lates if late.company == desk.index]:
            if late.place in ("authenticate", "sendRequestXML"):
                deliver = functools.partial(self._deliver, lambda other, late=late: other is late)
                desk.line.after.setdefault((late.place, 1), []).append(deliver)

    def _deliver(self, which: Callable[[Late], bool]) -> None:
        due = [late for late in self._lates if which(late)]
        self._lates = [late for late in self._lates if late not in due]
        for late in due:
            self._desks[late.company].line.send(late.content, _headers("receiveResponseXML"))
            self.events.append(f"    a held answer of {COMPANIES[late.company]} arrived")

    def _restore(self, desk: Desk) -> None:
        """The user puts back the backup taken before the session."""
        for backup, only_when_unreported in desk.backups:
            kept = {txn.external_guid for txn in _read_ledger(backup)}
            lost = {txn.external_guid for txn in desk.quickbooks.ledger} - kept
            reported = {
                request.facts["external_guid"]
                for request in self._requests()
                if _is_successful(request)
                or any(f"{request.id}.{request.attempt}".encode() in late.content for late in self._lates)
            }
            if lost & reported and only_when_unreported:
                continue
            desk.gone |= {guid for guid in lost if guid is not None}
            desk.taken_away |= {guid for guid in lost & reported if guid is not None}
            desk.quickbooks.restore(backup)
            held = {txn.txn_id for txn in desk.quickbooks.ledger}
            desk.typed = [txn for txn in desk.typed if txn.txn_id in held]
            self.events.append(f"    a backup of {desk.id} was put back; {len(lost)} transactions are gone")
        desk.backups.clear()

    def _calm_down(self) -> None:
        """Nothing goes wrong any more: everything must come to an end, also what waits out a pause."""
        self.events.append("calm")
        for desk in self._desks:
            desk.quickbooks.faults = Faults()
            desk.line.calm()
        for document in self.plan.documents:
            number = self._ref_number(document)
            if document.fate == "refused" and number is not None:
                self._refuse(self._desks[document.company].quickbooks, number)
        self._deliver(lambda _late: True)
        for number in range(CALM_SESSIONS):
            self._clock.forward(hours=7)
            for desk in self._desks:
                self._update(f"calm session {number}", desk, desk.connector)
            self._check()
            if all(request.state == queue.DONE for request in self._requests()):
                return

    # Faults, each for the session that comes next

    def fault_cut(self, desk: Desk, when: str, method: str, nth: int) -> None:
        getattr(desk.connector.cuts, when)(method, nth)

    def fault_crash_before_commit(self, desk: Desk, hresult: str | None) -> None:
        desk.quickbooks.faults.crash_before_commit(hresult)

    def fault_crash_after_commits(self, desk: Desk, commits: int, hresult: str | None) -> None:
        desk.quickbooks.faults.crash_after(commits, hresult)

    def fault_crash_before_record(self, desk: Desk, hresult: str | None) -> None:
        desk.quickbooks.faults.crash_after_commit_before_record(hresult)

    def fault_crash_after_record(self, desk: Desk, hresult: str | None) -> None:
        desk.quickbooks.faults.crash_after_record(hresult)

    def fault_lose_record(self, desk: Desk) -> None:
        desk.quickbooks.faults.lose_record()

    def fault_lose_all_records(self, desk: Desk) -> None:
        desk.quickbooks.state.message_sets.clear()

    def fault_restore_backup(self, desk: Desk, only_when_unreported: bool) -> None:
        desk.backups.append((desk.quickbooks.snapshot(), only_when_unreported))

    def fault_foreign_file(self, desk: Desk, which: int) -> None:
        desk.connector.company = desk.foreign[which % len(desk.foreign)]

    def fault_modal_dialog(self, desk: Desk) -> None:
        desk.quickbooks.faults.modal_dialog()

    def fault_wrong_file_open(self, desk: Desk) -> None:
        desk.quickbooks.faults.wrong_file_open()

    def fault_single_user_conflict(self, desk: Desk) -> None:
        desk.quickbooks.faults.single_user_conflict()

    def fault_lock(self, desk: Desk, document: int, times: int) -> None:
        number = self._ref_number(self.plan.documents[document - 1])
        if number is not None:
            desk.quickbooks.faults.lock(number, times)

    def fault_user_edits(self, desk: Desk, what: str) -> None:
        if desk.quickbooks.ledger:
            posted = self._draw.choice(desk.quickbooks.ledger)
            desk.quickbooks.edit_transaction(posted.txn_id, **{what: f"U-{self._draw.randrange(1000)}"})
            desk.edited.add(posted.external_guid or "")

    def fault_user_deletes(self, desk: Desk) -> None:
        ours = [txn for txn in desk.quickbooks.ledger if txn.external_guid is not None]
        if ours:
            posted = self._draw.choice(ours)
            desk.quickbooks.delete_transaction(posted.txn_id)
            desk.taken_away.add(posted.external_guid or "")
            desk.gone.add(posted.external_guid or "")
            self.events.append(f"a user deleted {posted.ref_number} of {desk.id}")

    def fault_user_types(self, desk: Desk, document: int) -> None:
        """A bookkeeper enters a document that is also exported: nobody can tell later which of both is there."""
        wanted = self.plan.documents[document - 1]
        request = next((r for r in self._requests() if _names(r, wanted)), None)
        if request is None or self._desks[wanted.company] is not desk or request.id in self._poisoned:
            return
        if wanted.fate == "refused" or desk.quickbooks.faults._crashes:
            return
        before = len(desk.quickbooks.ledger)
        body = re.sub("<ExternalGUID>.*?</ExternalGUID>", "", request.body)
        desk.quickbooks.open_session("by hand").process_request(build_message_set((body,), version="13.0"))
        desk.typed += desk.quickbooks.ledger[before:]

    def fault_repeat(self, desk: Desk, method: str, nth: int, is_seen: bool) -> None:
        desk.line.repeats[(method, nth)] = is_seen

    def fault_reorder(self, desk: Desk, nth: int) -> None:
        desk.line.reorders.add(nth)

    def fault_late(self, desk: Desk, nth: int, place: str) -> None:
        desk.line.holds[nth] = lambda content: self._lates.append(
            Late(company=desk.index, content=content, place=place)
        )

    def fault_second_connector(self, desk: Desk, nth: int, is_locked_out: bool, minutes: int) -> None:
        """A clone runs a whole session when QuickBooks is done with a document of the first and nobody knows yet."""
        self._interrupt(desk.line.before, ("receiveResponseXML", nth), desk, is_locked_out, minutes)

    def fault_second_while_writing(self, desk: Desk, nth: int, is_locked_out: bool) -> None:
        """A clone comes when the first has fetched a document and QuickBooks has not begun with it."""
        self._interrupt(desk.line.after, ("sendRequestXML", nth), desk, is_locked_out, 0)

    def _interrupt(
        self, where: dict[Place, list[Action]], place: Place, desk: Desk, is_locked_out: bool, minutes: int
    ) -> None:
        desk.second.host_name = "QB-DESK-2" if is_locked_out else desk.connector.host_name

        def interrupt() -> None:
            self._clock.forward(minutes=minutes)
            if desk.connector.company is desk.quickbooks:
                self._update("the second Web Connector", desk, desk.second)

        where.setdefault(place, []).append(interrupt)

    def fault_second_sign_in(self, desk: Desk, method: str, nth: int) -> None:
        """A clone signs in and finds the company file locked by the first computer."""

        def interrupt() -> None:
            user = (("strUserName", f"qbwc-{desk.id}"), ("strPassword", stores.PASSWORD))
            desk.line.send(soap.envelope("authenticate", user), _headers("authenticate"))
            self.events.append("    a second computer signed in")

        desk.line.before.setdefault((method, nth), []).append(interrupt)

    def fault_killed(self, desk: Desk, point: str, nth: int) -> None:
        self._kills.append((point, nth))  # armed when the session begins: this test's own reading must not pass it

    # The oracle

    def _check(self) -> None:
        """What holds at any time."""
        with self._read() as session:
            requests = list(session.scalars(select(Request).order_by(Request.seq)))
            sets = list(session.scalars(select(MessageSet)))
            incidents = list(session.scalars(select(Incident)))
            signals = list(session.scalars(select(OutboxSignal)))
        for desk in self._desks:
            self._check_ledger(desk, [request for request in requests if request.company_id == desk.id])
            unresolved = [s.id for s in sets if (s.company_id, s.kind, s.state) == (desk.id, "write", queue.SENT)]
            assert len(unresolved) <= 1, f"two sets of {desk.id} are unresolved: {unresolved}"
        states = {message_set.id: message_set.state for message_set in sets}
        for request in requests:
            if request.state == queue.IN_FLIGHT:
                assert states[request.message_set_id or ""] == queue.SENT, f"{request.id} waits for an answered set"
            if request.state == queue.WAITING:
                assert request.message_set_id is None, f"{request.id} waits and is in a set"
        ends = Counter(s.payload["request_id"] for s in signals if s.payload.get("key") == "end")
        assert ends == Counter(r.id for r in requests if r.state == queue.DONE), f"outcomes were told as {ends}"
        gone = [r.facts["ref_number"] for r in requests if r.facts["external_guid"] in self._gone()]
        strange = {
            f"{incident.code}: {incident.text}"
            for incident in incidents
            # What was removed from the books and sent again looks like two to a late answer: rightly a warning.
            if incident.code not in ALARMS
            and not (incident.code == "possible_duplicate" and any(number in incident.text for number in gone))
        }
        assert not strange, f"false alarms: {strange}"

    def _check_ledger(self, desk: Desk, requests: list[Request]) -> None:
        typed = {txn.txn_id for txn in desk.typed}
        ledger = [txn for txn in desk.quickbooks.ledger if txn.txn_id not in typed]
        wanted = {request.facts["external_guid"]: request for request in requests}
        posted = Counter(txn.external_guid for txn in ledger)
        assert set(posted) <= set(wanted), f"{desk.id} holds transactions without an export"
        doubled = [wanted[guid or ""].id for guid, count in posted.items() if count > 1]
        assert not doubled, f"{desk.id} holds twice: {doubled}"
        documents = Counter(wanted[guid or ""].export_id for guid in posted)
        assert all(count == 1 for count in documents.values()), f"a document of {desk.id} was exported twice"
        for other in desk.foreign[:2]:
            assert not other.ledger, f"business data of {desk.id} went into {other.path}"
        by_guid = {txn.external_guid: txn for txn in ledger}
        for guid, request in wanted.items():
            self._check_request(desk, request, by_guid.get(guid))

    def _check_request(self, desk: Desk, request: Request, posted: Posted | None) -> None:
        guid, facts = request.facts["external_guid"], request.facts
        if posted is not None:
            assert posted.total == Decimal(facts["total"]), f"{request.id} has the total {posted.total}"
            if guid not in desk.edited:
                assert posted.ref_number == facts["ref_number"], f"{request.id} has the number {posted.ref_number}"
        if request.state != queue.DONE:
            return
        outcome = _outcome(request)
        if outcome.transaction is not None:
            if posted is None:
                assert guid in desk.taken_away, f"{request.id} is Successful but absent"
            else:
                assert posted.txn_id == outcome.transaction.txn_id, f"{request.id} names another transaction"
            return
        assert outcome.failure is not None
        code = outcome.failure.code
        if code != contracts.OUTCOME_UNKNOWN:
            assert posted is None, f"{request.id} is Failed with {code} but in QuickBooks"
        assert code in self._true_reasons(desk, request), f"{request.id} is Failed with {code}, which is not true"

    def _true_reasons(self, desk: Desk, request: Request) -> set[str]:
        reasons: set[str] = set()
        if request.id in self._poisoned:
            reasons.add("0x80040400")
        for document in self.plan.documents:
            if document.fate == "refused" and _names(request, document):
                reasons.add("3140")
        if any(str(txn.total) == request.facts["total"] for txn in desk.typed):
            reasons.add(contracts.OUTCOME_UNKNOWN)
        if request.attempt >= self._limits.losses_max:
            reasons.add("lost_too_often")
        return reasons

    def _check_the_end(self) -> None:
        for request in self._requests():
            assert request.state == queue.DONE, f"{request.id} is still {request.state} after calm sessions"

    # Reading

    @contextmanager
    def _read(self) -> Iterator[DatabaseSession]:
        with self._database.transaction() as session:
            yield session

    def _requests(self) -> list[Request]:
        with self._read() as session:
            return list(session.scalars(select(Request).order_by(Request.seq)))

    def _gone(self) -> set[str]:
        return {guid for desk in self._desks for guid in desk.gone}

    def _ref_number(self, document: Document) -> str | None:
        return next((r.facts["ref_number"] for r in self._requests() if _names(r, document)), None)


def _names(request: Request, document: Document) -> bool:
    return request.company_id == COMPANIES[document.company] and request.workflow_id.endswith(
        f"/{document.kind}/{document.id}"
    )


def _outcome(request: Request) -> Outcome:
    return Outcome.model_validate(request.outcome)


def _is_successful(request: Request) -> bool:
    return request.state == queue.DONE and _outcome(request).transaction is not None


def _read_ledger(backup: str) -> list[Posted]:
    return CompanyState.model_validate_json(backup).ledger
