"""Our own database loses its last commits while Temporal, QuickBooks and the PC go on: each document exactly once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.exports import ExportActivities
from mapping.documents import content_hash, parse_document
from ops.workflow_runner import CheckedRunner
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.epoch import EpochWatch, Shown, agrees, knows_more, lacks_its_request
from qbwc_bridge.relay import Relay
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import companies, epochs, exports, outbox
from store.engine import Database
from store.exports import Standing
from store.identity import Identity
from store.metadata import METADATA
from store.tables import Company
from tests.support import stores
from tests.support.world import BASE, World, a_qwc
from tests.workflow.test_export_workflow import eventually
from workflows import contracts
from workflows.search_attributes import EXPORT_STATE

RUNNING, COMPLETED, FAILED = (
    WorkflowExecutionStatus.RUNNING,
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
)


class Site:
    """A company, its bridge with a relay, its worker and its QuickBooks; only the database can be put back."""

    def __init__(self, database: Database, client: Client) -> None:
        self.database, self.client = database, client
        self.clock = stores.Clock()
        self.clock.now = datetime.now(UTC)  # Temporal's is the real one
        self.company = f"co-{uuid.uuid4().hex[:8]}"
        stores.add_company(database, self.company)
        self.activities = ExportActivities(database, clock=self.clock, new_id=self.new_id)
        self.quickbooks = freight_company(clock=self.clock)
        self.start()

    def new_id(self) -> str:
        return uuid.uuid4().hex[:20].upper()

    def start(self) -> None:
        """Begin as new processes do."""

        async def connect() -> Client:
            return self.client

        self.epoch = EpochWatch(self.database, clock=self.clock, new_id=self.new_id)
        holder = uuid.uuid4().hex
        self.relay = Relay(self.database, connect, clock=self.clock, holder=holder, task_queue=self.company)
        self.relay._epoch = self.epoch
        self.dispatcher = Dispatcher(self.database, limits=Limits(), clock=self.clock, new_id=self.new_id)
        wsgi = build_wsgi(self.dispatcher, public_url=BASE, support_page=lambda _company: None)
        http = httpx.Client(transport=httpx.WSGITransport(app=wsgi, raise_app_exceptions=True))
        qwc = read_qwc(a_qwc(self.company))
        self.connector = WebConnector(qwc, stores.PASSWORD, self.quickbooks, http=http)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        from workflows.export import QuickBooksExport

        steps = self.activities
        async with Worker(
            self.client,
            task_queue=self.company,
            workflows=[QuickBooksExport],
            activities=[steps.prepare_export, steps.record_state, steps.cancel_request],
            activity_executor=ThreadPoolExecutor(4),
            workflow_runner=CheckedRunner(),
        ):
            yield

    def id_of(self, document_id: str) -> str:
        return contracts.export_workflow_id(self.company, "invoice", document_id)

    def post(self, document_id: str) -> None:
        """Accept a document as the API does: once, and a second time it is the same export."""
        posted = stores.an_invoice(document_id)
        document = parse_document(posted)
        assert not isinstance(document, list)
        with self.database.transaction() as session:
            if exports.find_export(session, self.company, "invoice", document_id) is not None:
                return
            new = exports.NewExport(
                company_id=self.company,
                kind="invoice",
                document_id=document_id,
                number=posted["number"],
                content_hash=content_hash(document),
                document=posted,
            )
            exports.add_export(session, new, state="Mapped", at=self.clock()).detail = contracts.ACCEPTED
            start = contracts.export_start(self.company, posted, number=posted["number"]).model_dump(mode="json")
            outbox.add_start(session, workflow_id=self.id_of(document_id), start=start, at=self.clock())

    async def deliver(self) -> None:
        while await self.relay.deliver_once(self.client):
            pass

    async def update(self) -> None:
        self.clock.forward(minutes=15)
        await asyncio.to_thread(self.connector.run_once)

    def state(self, document_id: str) -> str:
        with self.database.transaction() as session:
            row = exports.find_export(session, self.company, "invoice", document_id)
            return row.state if row is not None else ""

    async def becomes(self, document_id: str, state: str) -> None:
        async def so() -> bool:
            await self.deliver()
            return self.state(document_id) == state

        try:
            await eventually(so, seconds=30)
        except TimeoutError:
            raise AssertionError(f"{document_id} is {self.state(document_id)!r}, not {state}") from None

    async def until_shown(self, document_id: str, state: str) -> None:
        """Wait until Temporal's list shows it: only what it lists is compared."""

        async def so() -> bool:
            found = [one async for one in self.client.list_workflows(f"WorkflowId = '{self.id_of(document_id)}'")]
            return bool(found) and found[0].typed_search_attributes.get(EXPORT_STATE) == state

        await eventually(so, seconds=30)

    def is_in_doubt(self) -> bool:
        with self.database.transaction() as session:
            owner = companies.company(session, self.company)
            return owner is not None and owner.doubt_since is not None

    async def is_free(self) -> bool:
        """Give the relay turns, with time between them."""
        self.clock.forward(seconds=3)
        await self.deliver()
        return not self.is_in_doubt()

    def incidents(self) -> list[str]:
        with self.database.transaction() as session:
            return [one.code for one in companies.incidents(session, self.company)]

    def keep(self) -> dict[str, list[dict[str, Any]]]:
        """Take a backup of all rows."""
        with self.database.engine.begin() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in METADATA.sorted_tables
            }

    def put_back(self, kept: dict[str, list[dict[str, Any]]]) -> None:
        """Put a backup back, in the same place: nothing but its rows tells."""
        with self.database.engine.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(delete(table))
            for table in METADATA.sorted_tables:
                if kept[table.name]:
                    connection.execute(insert(table), kept[table.name])
        self.start()

    def numbers(self) -> list[str]:
        return sorted(one.ref_number or "" for one in self.quickbooks.ledger)


@pytest.fixture
def site(database: Database, temporal: WorkflowEnvironment) -> Site:
    return Site(database, temporal.client)


STEPS = ("posted", "queued", "written", "told", "second posted")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("instant", STEPS)
@pytest.mark.parametrize(
    "looks", [pytest.param(True, marks=pytest.mark.long), False], ids=["looking first", "not looking first"]
)
async def test_a_database_put_back_to_any_instant_doubles_nothing_and_hangs_nothing(
    site: Site, instant: str, *, looks: bool
) -> None:
    """What was lost is read back, what waits is looked up, and each document is in QuickBooks once, by itself."""
    one, two = f"one-{uuid.uuid4().hex[:4]}", f"two-{uuid.uuid4().hex[:4]}"
    with site.database.transaction() as session:
        owner = session.get_one(Company, site.company)
        owner.look_before_adding = looks
    kept: dict[str, Any] = {}
    async with site.working():
        site.post(one)
        kept["posted"] = site.keep()
        await site.becomes(one, "Queued")
        kept["queued"] = site.keep()
        await site.update()
        assert len(site.numbers()) == 1
        kept["written"] = site.keep()
        await site.becomes(one, "Successful")
        kept["told"] = site.keep()
        site.post(two)
        kept["second posted"] = site.keep()
        await site.becomes(two, "Queued")
        await site.until_shown(two, "Queued")
        await site.update()
        await site.becomes(two, "Successful")
        site.put_back(kept[instant])
        for document_id in (one, two):
            site.post(document_id)  # the TMS hands over again what it has no answer for
        await eventually(site.is_free, seconds=30)
        for _ in range(3):
            await site.update()
            await site.deliver()
        for document_id in (one, two):
            await site.becomes(document_id, "Successful")
        assert len(site.numbers()) == len(set(site.numbers())) == 2
        assert site.incidents().count(epochs.STEPPED_BACK) == 1


@pytest.mark.timeout(120)
async def test_nothing_is_written_until_temporal_was_asked_and_lost_runs_have_queued_again(site: Site) -> None:
    """A run whose request is gone: its worker is away, and its company writes nothing; then it is found by its GUID."""
    one, two = f"one-{uuid.uuid4().hex[:4]}", f"two-{uuid.uuid4().hex[:4]}"
    empty = site.keep()
    async with site.working():
        site.post(one)
        await site.becomes(one, "Queued")
        await site.until_shown(one, "Queued")
        await asyncio.to_thread(site.connector.run_once)  # it is written, and nobody tells Temporal
    assert len(site.numbers()) == 1
    site.put_back(empty)
    site.post(two)
    for _ in range(3):
        await site.is_free()
        await site.update()
    assert site.is_in_doubt()
    assert len(site.numbers()) == 1
    async with site.working():
        await eventually(site.is_free, seconds=30)
        for _ in range(3):
            await site.update()
            await site.deliver()
        await site.becomes(one, "Successful")
        await site.becomes(two, "Successful")
    assert len(site.numbers()) == len(set(site.numbers())) == 2


async def test_without_a_step_back_nothing_is_held_and_nothing_is_told(site: Site) -> None:
    """Comparing while exports go on, in every state: no false alarm."""
    ids = [f"quiet-{number}-{uuid.uuid4().hex[:4]}" for number in range(3)]
    async with site.working():
        for number, document_id in enumerate(ids):
            site.post(document_id)
            await site.becomes(document_id, "Queued")
            if number < 2:
                await site.update()
            if number < 1:
                await site.becomes(document_id, "Successful")
            site.epoch.hasten()
            await site.deliver()
            assert not site.is_in_doubt()
        assert epochs.STEPPED_BACK not in site.incidents()


@pytest.mark.parametrize("forgot", [False, True])
def test_a_company_that_does_not_look_first_does_so_once_its_database_forgot(
    database: Database, clock: stores.Clock, *, forgot: bool
) -> None:
    """What was exported and forgotten bears a GUID that nobody knows any more: it is found by its number."""
    world = World(database, clock)
    with database.transaction() as session:
        owner = session.get_one(Company, "acme")
        owner.look_before_adding = False
        owner.look_everything_since = clock() if forgot else None
    world.queue(stores.an_invoice())
    world.update()
    assert ("look" in [one.kind for one in world.message_sets()]) == forgot
    assert len(world.quickbooks.ledger) == 1
    world.close()


def test_another_server_is_noticed_before_anything_is_read_from_it(database: Database, clock: stores.Clock) -> None:
    """A standby that took over has another timeline; a server that only began anew may have an older disk."""
    stores.add_company(database)
    known = Identity("7:1", "monday")
    with database.transaction() as session:
        session.delete(epochs.epoch(session, now=clock()))  # what the test's own connection met
        session.flush()
        for found in (known, known):
            epochs.look(session, found, now=clock())
        assert epochs.in_doubt(session, limit=9) == []
    seen_at = clock.now
    clock.forward(hours=1)
    with database.transaction() as session:
        epochs.look(session, Identity("7:1", "tuesday"), now=clock())
        [doubt] = epochs.in_doubt(session, limit=9)
        assert (doubt.company_id, doubt.since) == ("acme", seen_at)
        assert companies.incidents(session, "acme") == []  # it is only to be found out
        epochs.look(session, Identity("7:2", "tuesday"), now=clock())
        [incident] = companies.incidents(session, "acme")
        assert incident.code == epochs.STEPPED_BACK
        assert "You do not need to do anything" in incident.text


@pytest.mark.both_databases
def test_a_connection_meets_its_database(database: Database) -> None:
    """The row says what was met; when it says something else, the next connection puts all companies in doubt."""
    stores.add_company(database)
    database.engine.dispose()
    with database.transaction() as session:
        row = epochs.epoch(session, now=datetime.now(UTC))
        assert row.identity
        assert "?" not in row.identity
        row.identity = "of before"
    database.engine.dispose()
    with database.transaction() as session:
        assert [one.company_id for one in epochs.in_doubt(session, limit=9)] == ["acme"]
    with database.transaction() as session:
        assert len(companies.incidents(session, "acme")) == 1


def held(state: str, run_id: str | None = "r", **fields: bool) -> Standing:
    return Standing(state=state, run_id=run_id, **{"has_request": True, "never_left": False, **fields})


def shown(status: WorkflowExecutionStatus, state: str | None, run_id: str = "r") -> Shown:
    return Shown(workflow_id="export/acme/invoice/1", run_id=run_id, status=status, state=state)


@pytest.mark.parametrize(
    ("run", "row", "more", "lacks", "agree"),
    [
        (shown(RUNNING, None), None, False, False, False),  # about to prepare: it writes the row itself
        (shown(RUNNING, "Queued"), None, True, True, False),
        (shown(RUNNING, "Sent"), None, True, True, False),
        (shown(RUNNING, "Queued"), held("Queued"), False, False, False),
        (shown(RUNNING, "Queued"), held("Queued", never_left=True), False, False, False),
        (shown(RUNNING, "Sent"), held("Queued", never_left=True), True, False, False),
        (shown(RUNNING, "Sent"), held("Queued"), False, False, False),  # given back: the list is late
        (shown(RUNNING, "Queued"), held("Mapped", None), True, True, False),  # accepted again after it was lost
        (shown(RUNNING, "Queued"), held("Failed", "older"), True, True, False),
        (shown(RUNNING, "Sent"), held("Successful"), False, False, False),  # about to end
        (shown(RUNNING, "Sent"), held("Failed"), False, False, False),
        (shown(RUNNING, "Queued"), held("Queued", has_request=False), False, True, False),
        (shown(COMPLETED, "Successful"), None, True, False, False),
        (shown(COMPLETED, "Successful"), held("Queued"), True, False, False),
        (shown(COMPLETED, "Successful"), held("Successful"), False, False, True),
        (shown(COMPLETED, "Successful", "newer"), held("Successful"), False, False, True),
        (shown(FAILED, "Failed"), None, False, False, False),  # a document that is none has no row
        (shown(FAILED, "Failed"), held("Failed"), False, False, True),
        (shown(FAILED, "Failed", "newer"), held("Failed"), False, False, False),
        (shown(FAILED, "Failed"), held("Sent"), False, False, False),
    ],
)
def test_what_shows_that_the_database_has_lost_something(
    run: Shown, row: Standing | None, *, more: bool, lacks: bool, agree: bool
) -> None:
    """Each step is in the database before Temporal shows it."""
    assert (knows_more(run, row), lacks_its_request(run, row), agrees(run, row)) == (more, lacks, agree)
