"""Problems of a connection become webhook messages, once each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.sample_company import freight_company
from store import webhooks
from store.engine import Database
from store.webhook_tables import Webhook, WebhookDelivery
from tests.support import stores
from tests.support.world import World


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    with database.transaction() as session:
        session.add(
            Webhook(
                id="wh_1",
                company_id="acme",
                url="https://tms.example.com/",
                events=[webhooks.EVENT_PROBLEM],
                secret="whsec_eA==",
                disabled_reason="",
                created_at=clock(),
                updated_at=clock(),
            )
        )
    yield world
    world.close()


def _messages(world: World) -> list[WebhookDelivery]:
    with world.database.transaction() as session:
        return list(webhooks.unstarted(session, now=world.clock(), limit=100))


def test_a_problem_is_told_once_until_it_is_over(world: World) -> None:
    """Three sessions with the same dialog open tell it once; when it comes back after a good session, again."""
    world.queue(stores.an_invoice())
    world.quickbooks.faults.modal_dialog(times=3)
    for _ in range(3):
        world.update()
    [message] = _messages(world)
    assert message.payload["type"] == "connection.problem"
    data = message.payload["data"]
    assert (data["company_id"], bool(data["code"]), bool(data["owner"])) == ("acme", True, True)
    assert data["next_step"]
    assert world.update().outcome == "ok"
    world.queue(stores.an_invoice("inv_2"))
    world.quickbooks.faults.modal_dialog()
    world.update()
    assert len(_messages(world)) == 2


def test_the_wrong_company_file_is_told_without_its_name(world: World) -> None:
    """The message says what is wrong; which files they are is read through the API."""
    world.queue(stores.an_invoice())
    right = world.connector.company
    assert world.update().outcome == "ok"
    world.queue(stores.an_invoice("inv_2"))
    world.connector.company = freight_company("Other Books LLC", clock=world.clock)
    world.update()
    [message] = _messages(world)
    assert message.payload["data"]["code"] == "wrong_company_file"
    assert "Other" not in str(message.payload)
    world.connector.company = right
    assert world.update().outcome == "ok"
