"""The relay delivers the outbox to a real Temporal server: in order, once Temporal is there, and never twice as two."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio import workflow
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from benchmarks.queue_length import noted
from qbwc_bridge.pace import BATCH, BATCH_MIN, PAUSE_MAX_S, Pace
from qbwc_bridge.relay import LEASE_S, Relay
from store import companies, exports, outbox, webhooks
from store.engine import Database
from store.tables import OutboxSignal
from store.webhook_tables import Webhook
from tests.support import stores
from tests.support.world import World
from workflows import contracts, search_attributes


@workflow.defn(name="Listener", sandboxed=False)
class Listener:
    """Collects what it is told until it has enough."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    @workflow.run
    async def run(self, wanted: int) -> list[int]:
        await workflow.wait_condition(lambda: len(self.heard) >= wanted)
        return self.heard

    @workflow.signal(name="tell")
    def tell(self, payload: dict[str, int]) -> None:
        self.heard.append(payload["n"])


def a_relay(database: Database, client: Client, clock: stores.Clock, holder: str = "one") -> Relay:
    async def connect() -> Client:
        return client

    return Relay(database, connect, clock=clock, holder=holder)


def put(database: Database, clock: stores.Clock, workflow_id: str, numbers: range) -> None:
    for number in numbers:
        with database.transaction() as session:
            outbox.add_signal(session, workflow_id=workflow_id, signal="tell", payload={"n": number}, at=clock.now)


async def test_signals_arrive_in_order_and_late_ones_are_settled(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """Fifty signals to one workflow keep their order; one to a workflow that never was is noted, not retried."""
    relay = a_relay(database, temporal.client, clock)
    async with Worker(temporal.client, task_queue="listen", workflows=[Listener]):
        handle = await temporal.client.start_workflow("Listener", 50, id="listener-1", task_queue="listen")
        put(database, clock, "listener-1", range(50))
        put(database, clock, "never-was", range(1))
        assert await relay.deliver_once(temporal.client) == 51
        assert await handle.result() == list(range(50))
    with database.transaction() as session:
        assert outbox.count_undelivered(session) == 0


async def test_what_temporal_took_is_noted_once_for_a_batch(
    temporal: WorkflowEnvironment, database: Database, database_kind: str, clock: stores.Clock
) -> None:
    """One statement that does not wait for the disk, however many workflows there are."""
    relay = a_relay(database, temporal.client, clock)
    names = [f"listener-6-{number}-{database_kind}" for number in range(5)]
    async with Worker(temporal.client, task_queue="listen", workflows=[Listener]):
        start = temporal.client.start_workflow
        handles = [await start("Listener", 2, id=name, task_queue="listen") for name in names]
        for name in names:
            put(database, clock, name, range(2))
        rows = await asyncio.to_thread(relay._take)
        with noted(database) as seen:
            await relay._deliver(temporal.client, rows)
        assert [await handle.result() for handle in handles] == [[0, 1]] * 5
    assert [statement.split()[0] for statement, _ in seen if not statement.startswith("set local")] == ["UPDATE"]
    with database.transaction() as session:
        assert outbox.count_undelivered(session) == 0


async def test_only_the_holder_of_the_lease_delivers(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """A second relay stands by until the lease has run out."""
    put(database, clock, "nobody", range(1))
    first = a_relay(database, temporal.client, clock, "first")
    second = a_relay(database, temporal.client, clock, "second")
    assert await first.deliver_once(temporal.client) == 1
    put(database, clock, "nobody", range(1))
    assert await second.deliver_once(temporal.client) == 0
    clock.forward(minutes=1)
    assert await second.deliver_once(temporal.client) == 1


async def test_a_namespace_that_does_not_exist_is_not_taken_for_an_ended_workflow(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """Both answer NOT_FOUND; a wrong setting must not swallow signals."""
    put(database, clock, "somebody", range(2))
    config = temporal.client.config()
    config["namespace"] = "typo"
    wrong = Client(**config)
    with pytest.raises(RPCError, match="typo"):
        await a_relay(database, wrong, clock).deliver_once(wrong)
    with database.transaction() as session:
        assert outbox.count_undelivered(session) == 2


async def test_signals_that_temporal_refuses_do_not_hold_up_others(
    temporal: WorkflowEnvironment, database: Database, database_kind: str, clock: stores.Clock
) -> None:
    """A payload over the server's limit is refused for good; the next workflow hears its own at once."""
    relay = a_relay(database, temporal.client, clock)
    huge = {"n": 0, "padding": "x" * 2_500_000}
    refused, taken = f"listener-4-{database_kind}", f"listener-3-{database_kind}"
    with database.transaction() as session:
        outbox.add_signal(session, workflow_id=refused, signal="tell", payload=huge, at=clock.now)
    async with Worker(temporal.client, task_queue="listen", workflows=[Listener]):
        await temporal.client.start_workflow("Listener", 1, id=refused, task_queue="listen")
        handle = await temporal.client.start_workflow("Listener", 1, id=taken, task_queue="listen")
        put(database, clock, taken, range(1))
        assert await relay.deliver_once(temporal.client) == 1
        assert await handle.result() == [0]
    with database.transaction() as session:
        assert outbox.count_undelivered(session) == 1
        assert outbox.take(session, 10, now=clock.now, hold_starts=timedelta()) == []


async def test_while_temporal_is_away_signals_wait_and_arrive_afterwards(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """Nothing is marked delivered that Temporal did not take."""
    from tests.conftest import temporal_binary

    other = await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary())
    gone = other.client
    await other.shutdown()
    put(database, clock, "listener-2", range(3))
    relay = a_relay(database, gone, clock)
    with pytest.raises(RPCError):
        async with asyncio.timeout(30):
            await relay.deliver_once(gone)
    with database.transaction() as session:
        assert outbox.count_undelivered(session) == 3
    async with Worker(temporal.client, task_queue="listen", workflows=[Listener]):
        handle = await temporal.client.start_workflow(
            "Listener", 3, id="listener-2", task_queue="listen", run_timeout=timedelta(seconds=30)
        )
        assert await relay.deliver_once(temporal.client) == 3
        assert await handle.result() == [0, 1, 2]


async def test_a_start_is_the_same_export_while_it_runs_and_a_new_run_after_it(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """Attributes, summary and input arrive; after a failure the start waits for the end of the run before."""
    client = temporal.client
    relay = a_relay(database, client, clock)
    document = stores.an_invoice("relay_1")
    workflow_id = contracts.export_workflow_id("relay-tests", "invoice", "relay_1")
    handle = client.get_workflow_handle(workflow_id)

    def start(after_run: str | None = None) -> None:
        wanted = contracts.export_start("relay-tests", document, number="R-1", after_run=after_run)
        with database.transaction() as session:
            outbox.add_start(session, workflow_id=workflow_id, start=wanted.model_dump(mode="json"), at=clock.now)

    start()
    assert await relay.deliver_once(client) == 1
    first = await handle.describe()
    start()
    assert await relay.deliver_once(client) == 1
    assert (await handle.describe()).run_id == first.run_id
    assert first.workflow_type == "QuickBooksExport"
    assert first.task_queue == "qbd-exports"
    assert first.typed_search_attributes.get(search_attributes.COMPANY_ID) == "relay-tests"
    assert first.typed_search_attributes.get(search_attributes.DOCUMENT_KIND) == "invoice"
    assert await first.static_summary() == "Invoice R-1"
    start(after_run=first.run_id)
    assert await relay.deliver_once(client) == 0  # the run before has not ended
    await handle.terminate()
    clock.forward(seconds=2)
    assert await relay.deliver_once(client) == 1
    second = await handle.describe()
    assert second.run_id != first.run_id
    await handle.terminate()


@workflow.defn(name=contracts.WORKFLOW_TYPE, sandboxed=False)
class Exported:
    """An export that succeeds at once, with what its document's memo says as result."""

    @workflow.run
    async def run(self, inp: contracts.ExportInput) -> Any:
        if inp.document.get("memo") == "nonsense":
            return {"txn_number": {"of": "no type"}}
        return contracts.Transaction(txn_id="7A-1", ref_number="ALREADY-1")


async def _exported_and_forgotten(client: Client, clock: stores.Clock, database: Database, document: Any) -> str:
    """An export that succeeded, and of which our database knows only that it was accepted anew."""
    stores.add_company(database)
    start = contracts.export_start("acme", document, number="A-1")
    workflow_id = contracts.export_workflow_id("acme", "invoice", document["id"])
    queue_name = f"exported-{uuid.uuid4().hex}"
    async with Worker(client, task_queue=queue_name, workflows=[Exported]):
        await client.execute_workflow(start.workflow_type, start.argument, id=workflow_id, task_queue=queue_name)
    new = exports.NewExport(
        company_id="acme",
        kind="invoice",
        document_id=document["id"],
        number="A-1",
        content_hash="another",
        document=document,
    )
    with database.transaction() as session:
        exports.add_export(session, new, state="Mapped", at=clock.now).detail = contracts.ACCEPTED
        outbox.add_start(session, workflow_id=workflow_id, start=start.model_dump(mode="json"), at=clock.now)
    return workflow_id


async def test_a_start_of_what_has_succeeded_takes_over_the_result(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """The database stepped back before the export: its row becomes Successful with the transaction, and tells it."""
    document = stores.an_invoice(f"known_{uuid.uuid4().hex[:8]}")
    workflow_id = await _exported_and_forgotten(temporal.client, clock, database, document)
    assert await a_relay(database, temporal.client, clock).deliver_once(temporal.client) == 1
    with database.transaction() as session:
        row = exports.by_workflow_id(session, workflow_id)
        assert row is not None
        assert (row.state, row.quickbooks["txn_id"], row.ref_number) == ("Successful", "7A-1", "ALREADY-1")
        assert [entry.state for entry in exports.timeline(session, row.id)] == ["Successful"]
        assert exports.numbers_of_others(session, company_id="acme", kind="invoice", party_id="", document_id="x")(
            "already-1"
        )


async def test_a_result_that_cannot_be_read_is_told_and_asked_for_again(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """It is there, and nobody can say as what: the start stays, the row says why, the others go on."""
    document = stores.an_invoice(f"known_{uuid.uuid4().hex[:8]}", memo="nonsense")
    workflow_id = await _exported_and_forgotten(temporal.client, clock, database, document)
    put(database, clock, "never-was-7", range(1))
    relay = a_relay(database, temporal.client, clock)
    assert await relay.deliver_once(temporal.client) == 1
    with database.transaction() as session:
        row = exports.by_workflow_id(session, workflow_id)
        assert row is not None
        assert (row.state, row.owner) == ("Mapped", "us")
        assert "has succeeded, and what it came to cannot be read" in row.detail
        assert outbox.waits_to_start(session, workflow_id)


async def test_an_export_whose_workflow_temporal_lost_is_started_again(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """An empty Temporal took the place of the old one: the next signal starts the workflow, once."""
    stores.add_company(database)
    document = stores.an_invoice("lost_1")
    workflow_id = contracts.export_workflow_id("acme", "invoice", "lost_1")
    new = exports.NewExport(
        company_id="acme", kind="invoice", document_id="lost_1", number="L-1", content_hash="x", document=document
    )
    with database.transaction() as session:
        exports.add_export(session, new, state="Queued", at=clock.now)
    put(database, clock, workflow_id, range(2))
    relay = a_relay(database, temporal.client, clock)
    assert await relay.deliver_once(temporal.client) == 2
    assert await relay.deliver_once(temporal.client) == 1
    description = await temporal.client.get_workflow_handle(workflow_id).describe()
    assert description.workflow_type == "QuickBooksExport"
    assert await relay.deliver_once(temporal.client) == 0
    await temporal.client.get_workflow_handle(workflow_id).terminate()


async def test_a_start_that_temporal_refuses_is_told_in_words_and_goes_on_when_it_is_mended(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """A search attribute is missing: the export's row, its timeline and the company's incidents name it."""
    client = temporal.client
    stores.add_company(database)
    document = stores.an_invoice("unlisted_1")
    workflow_id = contracts.export_workflow_id("acme", "invoice", "unlisted_1")
    wanted = contracts.export_start("acme", document, number="U-1")
    wanted.search_attributes["NobodyMadeThis"] = "x"
    new = exports.NewExport(
        company_id="acme", kind="invoice", document_id="unlisted_1", number="U-1", content_hash="x", document=document
    )
    with database.transaction() as session:
        row = exports.add_export(session, new, state="Mapped", at=clock.now)
        row.detail = contracts.ACCEPTED
        outbox.add_start(session, workflow_id=workflow_id, start=wanted.model_dump(mode="json"), at=clock.now)
    relay = a_relay(database, client, clock)
    for _ in range(2):
        assert await relay.deliver_once(client) == 0
        clock.forward(minutes=6)
    with database.transaction() as session:
        row = exports.by_workflow_id(session, workflow_id)
        assert row is not None
        assert "NobodyMadeThis" in row.detail
        assert "operations" in row.detail
        assert (row.state, row.owner) == ("Mapped", "us")
        assert contracts.has_not_begun(row)
        assert len(exports.timeline(session, row.id)) == 1
        [incident] = companies.incidents(session, "acme")
        assert (incident.code, incident.text) == ("temporal_refuses", row.detail)
        waiting = session.scalars(select(OutboxSignal).where(OutboxSignal.workflow_id == workflow_id)).one()
        waiting.payload = {**waiting.payload, "search_attributes": {"CompanyId": "acme"}}
    assert await relay.deliver_once(client) == 1
    handle = client.get_workflow_handle(workflow_id)
    assert (await handle.describe()).workflow_type == "QuickBooksExport"
    await handle.terminate()


async def test_two_relays_that_hold_the_same_signals_keep_their_order(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """One hangs until its lease is over; the other tells the same and more: first hearings stay in order."""
    client = temporal.client
    first, second = (a_relay(database, client, clock, holder) for holder in ("first", "second"))
    async with Worker(client, task_queue="listen", workflows=[Listener]):
        handle = await client.start_workflow("Listener", 36, id="listener-5", task_queue="listen")
        put(database, clock, "listener-5", range(12))
        held = await asyncio.to_thread(first._take)
        assert len(held) == 12
        await first._deliver(client, held[:5])
        put(database, clock, "listener-5", range(12, 24))
        assert await second.deliver_once(client) == 0  # the lease is the first one's
        clock.forward(seconds=LEASE_S + 1)
        both = asyncio.gather(first._deliver(client, held[5:]), second.deliver_once(client))
        assert (await both)[1] == 19
        put(database, clock, "listener-5", range(24, 29))
        assert await second.deliver_once(client) == 5
        heard = await handle.result()
    assert list(dict.fromkeys(heard)) == list(range(29))
    assert len(heard) == 36


@pytest.mark.long
async def test_a_temporal_that_has_too_much_is_given_less_and_later(database: Database, clock: stores.Clock) -> None:
    """A real server over its limit of requests: nothing is refused for good, and everything arrives in order."""
    from tests.conftest import temporal_binary

    limits = [f"--dynamic-config-value=frontend.namespace{kind}={count}" for kind, count in (("RPS", 6), ("Count", 50))]
    slow = await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary(),
        dev_server_extra_args=[*limits, "--dynamic-config-value=frontend.namespaceBurstRatio=1"],
    )
    relay = a_relay(database, slow.client, clock)
    paces: list[Pace] = []
    try:
        for number in range(60):
            put(database, clock, f"nobody-{number}", range(2))
        thread = asyncio.create_task(relay._deliver_until_stopped())
        async with asyncio.timeout(100):
            while True:
                with database.transaction() as session:
                    left = outbox.count_undelivered(session)
                paces.append(relay._pace)
                if not left:
                    break
                clock.forward(seconds=1)
                await asyncio.sleep(0.1)
        relay._stop.set()
        await thread
    finally:
        await slow.shutdown()
    assert min(pace.batch for pace in paces) < BATCH, "the server never had too much"
    with database.transaction() as session:
        notes = set(session.scalars(select(OutboxSignal.note)))
    assert notes == {"the workflow had ended"}


def test_the_pace_falls_and_rises_within_bounds() -> None:
    pace = Pace()
    for _ in range(20):
        pace = pace.refused()
    assert (pace.batch, pace.pause_s) == (BATCH_MIN, PAUSE_MAX_S)
    pace = pace.taken()
    assert (pace.batch, pace.pause_s) == (2 * BATCH_MIN, 0)
    for _ in range(20):
        pace = pace.taken()
    assert pace == Pace()


async def test_sessions_that_nobody_closed_are_closed_by_time(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """After an hour of silence; a late answer still counts, but nothing more is handed out."""
    world = World(database, clock)
    request_id = world.queue(stores.an_invoice())
    ticket, _ = world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    session = world.quickbooks.open_session("TMS export")
    text = world.dispatcher.send_request_xml(ticket, world.hcp(), world.quickbooks.path, "US", "13", "0")
    relay = a_relay(database, temporal.client, clock)
    clock.forward(minutes=59)
    await relay.deliver_once(temporal.client)
    assert world.dispatcher.get_last_error(ticket) == "Nothing was left to do."
    clock.forward(minutes=5)
    await relay.deliver_once(temporal.client)
    assert "closed" in world.dispatcher.get_last_error(ticket)
    assert world.dispatcher.receive_response_xml(ticket, session.process_request(text), "", "") >= 0
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert world.dispatcher.send_request_xml(ticket, "", world.quickbooks.path, "US", "13", "0") == ""
    world.close()


async def test_the_holder_of_the_lease_tells_who_has_stopped_calling(
    temporal: WorkflowEnvironment, database: Database, clock: stores.Clock
) -> None:
    """Two relays look, for an hour and at each minute; after 45 minutes one message, whoever has the lease by then."""
    stores.add_company(database, last_seen_at=clock())
    hook = {"url": "https://tms.example.com/", "secret": "whsec_eA==", "disabled_reason": ""}
    with database.transaction() as session:
        session.add(
            Webhook(
                id="wh",
                company_id="acme",
                events=[webhooks.EVENT_STALE],
                created_at=clock(),
                updated_at=clock(),
                **hook,
            )
        )
    relays = [a_relay(database, temporal.client, clock, holder) for holder in ("one", "two")]
    for minute in range(60):
        for relay in relays if minute % 2 else relays[::-1]:
            await relay.deliver_once(temporal.client)
        clock.forward(minutes=1)
    with database.transaction() as session:
        [message] = webhooks.unstarted(session, now=clock(), limit=9)
        assert message.event == "connection.stale"
