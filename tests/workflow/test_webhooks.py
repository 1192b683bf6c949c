"""Webhook messages from a state change to a receiver: real Temporal, real database, real sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.exports import ExportActivities
from activities.webhook_starter import WebhookStarter
from ops.fresh import now
from ops.worker_process import build_webhook_worker, build_worker
from ops.workflow_runner import strict_sandbox
from store import states, webhooks
from store.engine import Database
from store.webhook_tables import Webhook, WebhookDelivery
from tests.support import stores
from tests.support.receiver import Receiver, answers, receiving
from workflows import contracts
from workflows.contracts import Difference, ExportInput, ExportState, PrepareInput, RecordInput
from workflows.webhook_contracts import delivery_workflow_id

from .test_export_workflow import TRANSACTION, eventually, remember

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
MAX_EVENTS = 11
"""Start, one activity and end; tries that fail add none."""
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 24).decode()


TAXED = TRANSACTION.model_copy(
    update={"differences": [Difference(path="total", sent="2062.50", books="2232.66", by="sales_tax")]}
)


class Hooking:
    """One company with webhooks, and what delivers their messages."""

    def __init__(self, client: Client, database: Database, task_queue: str) -> None:
        self.client = client
        self.database = database
        self.task_queue = task_queue
        self.company = f"co-{uuid.uuid4().hex[:8]}"
        stores.add_company(database, self.company)
        self.exports = ExportActivities(database, clock=now, new_id=stores.counter(uuid.uuid4().hex[:6].upper()))

    def hook(self, url: str, **fields: Any) -> str:
        values = {"events": list(webhooks.EVENTS), "secret": SECRET, "enabled": True, "description": "", **fields}
        hook_id = f"wh_{uuid.uuid4().hex[:12]}"
        with self.database.transaction() as session:
            session.add(
                Webhook(
                    id=hook_id, company_id=self.company, url=url, created_at=now(), updated_at=now(),
                    disabled_reason="", **values,
                )
            )  # fmt: skip
        return hook_id

    def move(self, state: ExportState, document_id: str = "inv_1", **more: Any) -> None:
        """Change an export's state as its workflow does."""
        document = stores.an_invoice(document_id)
        self.exports.prepare_export(
            PrepareInput(company_id=self.company, document=document, run_id=f"run-{document_id}")
        )
        self.exports.record_state(
            RecordInput(
                company_id=self.company, kind="invoice", document_id=document_id, run_id=f"run-{document_id}",
                state=state, text="t", key="k", **more,
            )
        )  # fmt: skip

    def starter(self, **options: Any) -> WebhookStarter:
        settings = {"first_pause_s": 0.05, "give_up_after_s": 20.0, "holder": self.company, **options}
        return WebhookStarter(self.database, self.client, clock=now, task_queue=self.task_queue, **settings)

    def rows(self, hook_id: str | None = None) -> list[WebhookDelivery]:
        with self.database.transaction() as session:
            found = session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.created_at)).all()
        return [row for row in found if hook_id is None or row.webhook_id == hook_id]

    async def ended(self, hook_id: str | None = None) -> list[WebhookDelivery]:
        """Wait until no message is pending."""

        async def look() -> list[WebhookDelivery] | None:
            rows = self.rows(hook_id)
            return rows if all(row.state != webhooks.PENDING for row in rows) else None

        found: list[WebhookDelivery] = await eventually(look)
        return found


@pytest_asyncio.fixture
async def hooking(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Hooking]:
    """A worker of webhook messages over this test's database."""
    task_queue = f"test-{uuid.uuid4().hex}"
    async with build_webhook_worker(
        temporal.client, database, allow_private=True, task_queue=task_queue, runner=strict_sandbox()
    ):
        yield Hooking(temporal.client, database, task_queue)


def verify(receiver: Receiver, secret: str = SECRET) -> list[dict[str, Any]]:
    """Check each message as Standard Webhooks says; gives the payloads."""
    payloads = []
    for _, headers, body in receiver.got:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert expected in headers["webhook-signature"].split(" ")
        age = datetime.now(UTC).timestamp() - int(headers["webhook-timestamp"])
        assert -5 < age < 60
        payloads.append(json.loads(body))
    return payloads


async def test_each_state_change_arrives_signed_and_thin(hooking: Hooking) -> None:
    """Sent and Successful arrive with ids; no name, no amount; Mapped and Queued are not told."""
    with receiving() as receiver:
        hook_id = hooking.hook(receiver.url)
        hooking.move(ExportState.SENT)
        hooking.move(ExportState.SUCCESSFUL, transaction=TAXED)
        assert await hooking.starter().start_once() == 2
        rows = await hooking.ended(hook_id)
        assert [(row.state, row.attempts, row.last_status) for row in rows] == [("delivered", 1, 204)] * 2
        payloads = {payload["type"]: payload for payload in verify(receiver)}
    assert set(payloads) == {"export.sent", "export.successful"}
    assert payloads["export.successful"]["data"] == {
        "company_id": hooking.company,
        "kind": "invoice",
        "document_id": "inv_1",
        "state": "Successful",
        "ref_number": "INV-1",
        "txn_id": "C5-1417118624",
        "differences": [{"path": "total", "by": "sales_tax"}],
        "error": None,
    }
    everything = b"".join(body for _, _, body in receiver.got)
    for secret in (b"Cafe Rio", b"1850", b"2062", b"2232", b"Linehaul"):
        assert secret not in everything
    assert {headers["webhook-id"] for _, headers, _ in receiver.got} == {row.id for row in rows}


async def test_a_refused_message_is_tried_again_with_the_same_id(hooking: Hooking) -> None:
    """500, a redirect, then 200: three tries of one message; the redirect is not followed."""
    with receiving() as elsewhere:
        script = [answers(500), answers(302, Location=elsewhere.url), answers(200, b"ok")]
        with receiving(*script) as receiver:
            hook_id = hooking.hook(receiver.url)
            hooking.move(ExportState.SENT)
            await hooking.starter().start_once()
            [row] = await hooking.ended(hook_id)
            assert (row.state, row.attempts, row.last_error) == ("delivered", 3, "")
            assert {headers["webhook-id"] for _, headers, _ in receiver.got} == {row.id}
            verify(receiver)
        assert elsewhere.got == []


async def test_nobody_takes_it_and_a_person_sends_it_again(hooking: Hooking) -> None:
    """It fails after its time; a redelivery has the same id and arrives."""
    with receiving(answers(503)) as receiver:
        hook_id = hooking.hook(receiver.url)
        hooking.move(ExportState.SENT)
        await hooking.starter(give_up_after_s=4.0).start_once()
        [row] = await hooking.ended(hook_id)
        assert (row.state, row.last_status) == ("failed", 503)
        assert row.attempts >= 2
        assert row.last_error == "The receiver answered 503."
        handle = hooking.client.get_workflow_handle(delivery_workflow_id(row.id))
        assert (await handle.result()) == {"state": "failed"}
        await remember(handle, "webhook_failed")
        receiver.script = [answers(200)]
        with hooking.database.transaction() as session:
            again = webhooks.delivery(session, row.id)
            assert again is not None
            again.state, again.started_at, again.run = webhooks.PENDING, None, again.run + 1
        await hooking.starter().start_once()
        [row] = await hooking.ended(hook_id)
        assert (row.state, row.last_status) == ("delivered", 200)
        assert {headers["webhook-id"] for _, headers, _ in receiver.got} == {row.id}


async def test_gone_switches_the_webhook_off(hooking: Hooking) -> None:
    """410 ends it at once, and later changes write no messages."""
    with receiving(answers(410)) as receiver:
        hook_id = hooking.hook(receiver.url)
        hooking.move(ExportState.SENT)
        await hooking.starter().start_once()
        [row] = await hooking.ended(hook_id)
        assert (row.state, row.attempts) == ("failed", 1)
        hooking.move(ExportState.SUCCESSFUL, transaction=TRANSACTION)
        assert len(hooking.rows(hook_id)) == 1
        with hooking.database.transaction() as session:
            found = webhooks.webhook(session, hooking.company, hook_id)
            assert found is not None
            assert (found.enabled, found.disabled_reason) == (False, "The receiver answered 410 Gone.")


async def test_two_secrets_while_one_replaces_the_other(hooking: Hooking) -> None:
    """Within the grace time both verify, after it only the new one."""
    with receiving() as receiver:
        hooking.hook(receiver.url, previous_secret=OLD_SECRET, previous_until=datetime(2999, 1, 1, tzinfo=UTC))
        hooking.move(ExportState.SENT)
        await hooking.starter().start_once()
        await hooking.ended()
        assert verify(receiver, SECRET) == verify(receiver, OLD_SECRET)
    with receiving() as receiver:
        hooking.hook(receiver.url, previous_secret=OLD_SECRET, previous_until=datetime(2000, 1, 1, tzinfo=UTC))
        hooking.move(ExportState.SENT, "inv_2")
        await hooking.starter().start_once()
        await eventually(lambda: _has_got(receiver))
        verify(receiver, SECRET)
        with pytest.raises(AssertionError):
            verify(receiver, OLD_SECRET)


async def _has_got(receiver: Receiver) -> bool:
    return bool(receiver.got)


async def test_the_change_and_its_message_are_one(hooking: Hooking) -> None:
    """A repeated step writes no second message; only what was asked for is told, and only to this company's hooks."""
    all_of_it = hooking.hook("https://tms.example/all")
    failures = hooking.hook("https://tms.example/failed", events=["export.failed"])
    off = hooking.hook("https://tms.example/off", enabled=False)
    stores.add_company(hooking.database, "other", username="qbwc-other")
    with hooking.database.transaction() as session:
        for hook_id in (all_of_it, failures, off):
            assert webhooks.webhook(session, "other", hook_id) is None
    for _ in range(3):
        hooking.move(ExportState.SENT)
    assert [row.event for row in hooking.rows(all_of_it)] == ["export.sent"]
    assert hooking.rows(failures) == []
    assert hooking.rows(off) == []


async def test_a_rolled_back_change_tells_nothing(hooking: Hooking) -> None:
    """The message is in the transaction of the change."""
    hook_id = hooking.hook("https://tms.example/all")
    hooking.move(ExportState.SENT)
    before = len(hooking.rows(hook_id))
    with pytest.raises(RuntimeError), hooking.database.transaction() as session:
        webhooks.tell(session, hooking.company, "export.failed", {}, at=now(), key="x")
        raise RuntimeError
    assert len(hooking.rows(hook_id)) == before


async def test_names_in_next_steps_stay_here(hooking: Hooking) -> None:
    """What a mapping failure says about a customer is read through the API, not sent."""
    hook_id = hooking.hook("https://tms.example/all")
    hooking.move(ExportState.SENT)
    document = stores.an_invoice("inv_1", customer={"id": "cus_0", "name": "Secret Customer"})
    with hooking.database.transaction() as session:
        from store import exports, queue

        row = exports.find_export(session, hooking.company, "invoice", "inv_1")
        assert row is not None
        request = queue.newest_request(session, row.id)
        assert request is not None
        request.state = states.CANCELLED
    prepared = hooking.exports.prepare_export(
        PrepareInput(company_id=hooking.company, document=document, run_id="run-2")
    )
    assert prepared.failure is not None
    assert "Secret Customer" in prepared.failure.next_step
    failed = next(row for row in hooking.rows(hook_id) if row.event == "export.failed")
    assert failed.payload["data"]["error"]["code"] == "document_not_exportable"
    assert "Secret Customer" not in json.dumps(failed.payload)


async def test_an_endless_answer_is_cut_off(hooking: Hooking) -> None:
    """A receiver that answers 200 and then sends for ever gets its message acknowledged and no more of our time."""
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 65_536)
                sent += 65_536

    with receiving(endless) as receiver:
        hook_id = hooking.hook(receiver.url)
        hooking.move(ExportState.SENT)
        await hooking.starter().start_once()
        [row] = await hooking.ended(hook_id)
    assert (row.state, row.attempts) == ("delivered", 1)
    assert sent < 50_000_000


async def test_a_slow_receiver_holds_up_no_export(hooking: Hooking, temporal: WorkflowEnvironment) -> None:
    """While forty messages hang at a receiver that never answers, an export goes through its steps as ever."""
    release = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        release.wait(30)
        with suppress(OSError):
            answers(200)(handler)

    export_queue = f"test-{uuid.uuid4().hex}"
    with receiving(hang) as receiver:
        hook_id = hooking.hook(receiver.url)
        for number in range(40):
            hooking.move(ExportState.SENT, f"inv_{number}")
        await hooking.starter().start_once()
        await eventually(lambda: _has_at_least(receiver, 40))
        async with build_worker(temporal.client, hooking.database, task_queue=export_queue):
            document = stores.an_invoice("inv_live")
            await temporal.client.start_workflow(
                contracts.WORKFLOW_TYPE,
                ExportInput(company_id=hooking.company, document=document),
                id=contracts.export_workflow_id(hooking.company, "invoice", "inv_live"),
                task_queue=export_queue,
            )

            async def queued() -> bool:
                from store import exports

                with hooking.database.transaction() as session:
                    row = exports.find_export(session, hooking.company, "invoice", "inv_live")
                    return row is not None and row.state == "Queued"

            assert await eventually(queued)
            assert all(row.state == webhooks.PENDING for row in hooking.rows(hook_id))
            await temporal.client.get_workflow_handle(
                contracts.export_workflow_id(hooking.company, "invoice", "inv_live")
            ).terminate()
        release.set()
        rows = await hooking.ended(hook_id)
    assert {row.state for row in rows} == {"delivered"}


async def _has_at_least(receiver: Receiver, count: int) -> bool:
    return len(receiver.got) >= count


async def test_private_addresses_are_refused_at_delivery_too(temporal: WorkflowEnvironment, database: Database) -> None:
    """Without the setting nothing reaches a receiver on this machine, whatever the row says."""
    task_queue = f"test-{uuid.uuid4().hex}"
    with receiving() as receiver:
        async with build_webhook_worker(temporal.client, database, allow_private=False, task_queue=task_queue):
            hooking = Hooking(temporal.client, database, task_queue)
            port = receiver.url.rsplit(":", 1)[1].split("/")[0]
            hooks = [
                hooking.hook(url) for url in (receiver.url, f"https://127.0.0.1:{port}/", f"https://localhost:{port}/")
            ]
            hooking.move(ExportState.SENT)
            await hooking.starter(give_up_after_s=3.0).start_once()
            rows = await hooking.ended()
        assert {row.webhook_id for row in rows} == set(hooks)
        assert all(row.state == "failed" and "cannot be used" in row.last_error for row in rows)
        assert receiver.got == []


async def test_temporal_away_loses_no_message(hooking: Hooking) -> None:
    """The message waits in the database; two starters that work at once start it once."""
    with receiving() as receiver:
        hook_id = hooking.hook(receiver.url)
        hooking.move(ExportState.SENT)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            away = await Client.connect(address, lazy=True, data_converter=pydantic_data_converter)
            starter = WebhookStarter(hooking.database, away, clock=now, holder="x", task_queue=hooking.task_queue)
            with pytest.raises(Exception, match=r"(?i)connect|transport"):
                await starter.start_once()
        assert [row.started_at for row in hooking.rows(hook_id)] == [None]
        with hooking.database.transaction() as session:
            from store import outbox

            outbox.drop_lease(session, "webhooks", holder="x")
        counts = await asyncio.gather(hooking.starter().start_once(), hooking.starter(holder="y").start_once())
        assert sorted(counts) == [0, 1]
        [row] = await hooking.ended(hook_id)
        assert row.state == "delivered"
        assert len(receiver.got) == 1
        handle = hooking.client.get_workflow_handle(delivery_workflow_id(row.id))
        assert (await handle.result()) == {"state": "delivered"}
        assert await remember(handle, "webhook_delivered") <= MAX_EVENTS
