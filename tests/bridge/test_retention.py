"""Pruning forgets what is over and old, and nothing that exactly-once or a late proof needs; on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from store import exports, outbox, queue, retention, states
from store.api_tables import KeptAnswer
from store.companies import record_incident
from store.engine import Database
from store.metadata import METADATA
from store.tables import Export, RefNumber, TimelineEntry
from store.webhook_tables import Webhook, WebhookDelivery
from tests.support import stores
from tests.support.world import World
from workflows import contracts
from workflows.contracts import ExportState, PrepareInput, RecordInput

pytestmark = pytest.mark.both_databases


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def rows(world: World) -> Counter[str]:
    with world.database.engine.connect() as connection:
        return Counter(
            {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in METADATA.sorted_tables
            }
        )


def prune(world: World, *, days: float = 30, **options: Any) -> Counter[str]:
    now = world.clock.now
    return retention.prune(world.database, before=now - timedelta(days=days), now=now, **options)


def finish(world: World, request_id: str) -> None:
    """Write the last state of an export, as its workflow does, and let Temporal have taken every signal."""
    outcome = world.outcome(request_id)
    assert outcome is not None
    request = world.request(request_id)
    _, company_id, kind, document_id = request.workflow_id.split("/")
    state = ExportState.SUCCESSFUL if outcome.transaction else ExportState.FAILED
    world.activities.record_state(
        RecordInput(
            company_id=company_id, kind=kind, document_id=document_id, run_id=request.run_id, state=state, text="t",
            key="end", transaction=outcome.transaction, failure=outcome.failure,
        )
    )  # fmt: skip
    deliver(world)


def deliver(world: World) -> None:
    with world.database.transaction() as session:
        for row in session.scalars(select(outbox.OutboxSignal).where(outbox.OutboxSignal.delivered_at.is_(None))):
            row.delivered_at = world.clock.now


def test_what_is_over_and_old_goes_and_what_proves_it_stays(world: World) -> None:
    with world.database.transaction() as session:
        record_incident(session, company_id="acme", at=world.clock.now, code="c", text="t")
        record_incident(session, company_id=None, at=world.clock.now, code="c", text="t")
        times = {"held_until": world.clock.now, "expires_at": world.clock.now + timedelta(days=1)}
        session.add(KeptAnswer(id="k", request_hash="h", holder="h", **times))
    old = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
    assert world.update().outcome == "ok"
    for request_id in old:
        finish(world, request_id)
    world.clock.forward(days=31)
    new = world.queue(stores.an_invoice("inv_new"))
    assert world.update().outcome == "ok"
    before = rows(world)
    foreseen = prune(world, dry_run=True)
    assert rows(world) == before
    done = prune(world, batch=2)
    assert done == foreseen + Counter(kept_answers=1)
    after = rows(world)
    assert {name: before[name] - after[name] for name in before if before[name] != after[name]} == {
        name: count for name, count in done.items() if name not in ("sessions", "request_texts")
    } | {"web_connector_sessions": done["sessions"]}
    assert (done["sessions"], done["request_texts"], done["incidents"]) == (1, 3, 3)
    assert prune(world) == Counter()
    with world.database.transaction() as session:
        for request_id in old:
            request = queue.request(session, request_id)
            assert request is not None
            assert (request.state, request.body) == (states.DONE, "")
            assert request.outcome is not None and request.facts["external_guid"]
            [last] = exports.timeline(session, request.export_id)
            assert last.state == ExportState.SUCCESSFUL
        assert session.scalar(select(func.count()).select_from(RefNumber)) == 4
        assert queue.request(session, new).body  # type: ignore[union-attr]


def test_an_export_that_was_pruned_is_still_the_same_export(world: World) -> None:
    """A second start finds the transaction; nothing is queued."""
    request_id = world.queue(stores.an_invoice())
    world.update()
    finish(world, request_id)
    world.clock.forward(days=31)
    assert prune(world)["timeline"]
    again = PrepareInput(company_id="acme", document=stores.an_invoice(), run_id="another")
    prepared = world.activities.prepare_export(again)
    assert prepared.transaction is not None
    assert prepared.transaction.txn_id == world.quickbooks.ledger[0].txn_id
    world.update()
    world.must_hold()


def test_what_is_not_decided_is_never_forgotten(world: World) -> None:
    """A lost answer, and a PC that was off for a year: the set is asked for as if it had been yesterday."""
    for number in range(2):
        world.queue(stores.an_invoice(f"inv_{number}0"))
        world.update()
    second = world.queue(stores.an_invoice("inv_2"))
    world.cuts.before("receiveResponseXML", 1)
    world.update()
    world.cuts.rules.clear()
    waiting = world.queue(stores.an_invoice("inv_3"))
    undelivered = len(world.signals())
    world.clock.forward(days=365)
    before = rows(world)
    assert prune(world) == Counter(sessions=1, message_sets=1, incidents=1)
    assert {name for name, count in rows(world).items() if count != before[name]} == {
        "web_connector_sessions",
        "message_sets",
        "incidents",
    }
    assert len(world.signals()) == undelivered
    for _ in range(2):
        world.update()
    assert [world.request(one).state for one in (second, waiting)] == [states.DONE] * 2
    assert len(world.quickbooks.ledger) == 4
    world.must_hold()


def test_what_was_asked_about_an_undecided_set_counts_on(world: World) -> None:
    """Failed look-ups are counted over sessions: forgetting them would look for ever."""
    world.queue(stores.an_invoice())
    world.cuts.before("receiveResponseXML", 1)
    world.update()
    world.cuts.rules.clear()
    world.cuts.before("receiveResponseXML", 1)
    world.clock.forward(hours=2)
    world.update()
    world.cuts.rules.clear()
    asked = [one.kind for one in world.message_sets()]
    assert asked == ["write", "activity"]
    world.clock.forward(days=365)
    prune(world)
    assert [one.kind for one in world.message_sets()] == asked


def test_the_last_settled_set_is_named_by_the_next_one(world: World) -> None:
    """QuickBooks may release its record only when it is told the id."""
    world.queue(stores.an_invoice("inv_1"))
    world.update()
    [settled] = [one.id for one in world.message_sets() if one.kind == "write"]
    world.clock.forward(days=365)
    prune(world)
    world.queue(stores.an_invoice("inv_2"))
    world.update()
    assert f'oldMessageSetID="{settled}"' in world.message_sets()[-1].text


def test_webhook_messages_go_when_they_are_finished(world: World) -> None:
    now = world.clock.now
    with world.database.transaction() as session:
        session.add(
            Webhook(
                id="wh", company_id="acme", url="https://x", events=[], secret="s", disabled_reason="",
                created_at=now, updated_at=now,
            )
        )  # fmt: skip
        session.flush()
        for number, (state, finished) in enumerate(
            (("delivered", now), ("failed", now), ("pending", None), ("delivered", now + timedelta(days=30)))
        ):
            session.add(
                WebhookDelivery(
                    id=f"m{number}", webhook_id="wh", company_id="acme", event="e", payload={}, state=state,
                    created_at=now, available_at=now, finished_at=finished,
                )
            )  # fmt: skip
    world.clock.forward(days=31)
    assert prune(world) == Counter(webhook_deliveries=2)


def test_a_state_that_is_written_twice_after_pruning_is_told_once(world: World) -> None:
    """The last step of a timeline stays: its key makes the repeated write the same one."""
    request_id = world.queue(stores.an_invoice())
    world.update()
    finish(world, request_id)
    world.clock.forward(days=31)
    prune(world)
    with world.database.transaction() as session:
        before = session.scalars(select(Export.updated_at)).one()
    finish(world, request_id)
    with world.database.transaction() as session:
        assert session.scalars(select(Export.updated_at)).one() == before
        assert session.scalar(select(func.count()).select_from(TimelineEntry)) == 1


def test_the_states_that_are_final_are_those_of_the_workflow() -> None:
    assert set(retention.FINAL) == {state.value for state in contracts.ExportState if state.is_final}


def test_a_session_that_is_at_work_waits_no_longer_than_one_batch(world: World, database: Database) -> None:
    """Each transaction holds one company and a bounded number of rows."""
    for number in range(5):
        world.queue(stores.an_invoice(f"inv_{number}"))
        world.update()
        world.clock.forward(hours=1)
    deliver(world)
    world.clock.forward(days=31)
    begun: list[datetime] = []
    transaction = database.transaction
    database.transaction = lambda step="": begun.append(world.clock.now) or transaction(step)  # type: ignore[method-assign,func-returns-value]
    done = prune(world, batch=1)
    assert done["sessions"] == 4
    assert len(begun) > done.total() / 2
