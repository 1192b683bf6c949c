"""Problems of a connection become webhook messages, once each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qbwc_bridge.answers import LOWER_VERSIONS, UNKNOWN_VERSION
from simulator.sample_company import freight_company
from store import list_syncs, webhooks
from store.companies import company
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


def _problem(world: World) -> dict[str, Any] | None:
    with world.database.transaction() as session:
        found = company(session, "acme")
        assert found is not None
        return found.problem


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


def test_a_quickbooks_that_understands_no_version_has_one_problem(world: World) -> None:
    """Questions about lists find it, too; a second session that finds the same tells nothing anew; then it is over."""
    versions = 1 + len(LOWER_VERSIONS)
    world.quickbooks.faults.fail_queries("CompanyActivityQueryRq", UNKNOWN_VERSION, "Unknown version.", 2 * versions)
    with world.database.transaction() as session:
        list_syncs.request_sync(session, "acme", at=world.clock(), full=False)
    for _ in range(2):
        world.clock.forward(hours=2)
        report = world.update()
        assert (report.outcome, len(report.exchanges)) == ("error", versions)
        problem = _problem(world)
        assert problem is not None
        assert (problem["code"], problem["owner"], problem["message"]) == (UNKNOWN_VERSION, "it", "Unknown version.")
    [message] = _messages(world)
    assert message.payload["data"]["code"] == UNKNOWN_VERSION
    world.clock.forward(hours=2)
    assert world.update().outcome == "ok"
    assert _problem(world) is None
