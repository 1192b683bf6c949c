"""Webhooks over the API: made, changed, removed; their log and redelivery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from store import webhooks
from store.webhook_tables import Webhook, WebhookDelivery
from tms_api.webhook_models import ALL_EVENTS

from .conftest import NOW, World, an_invoice

BASE = "/v1/companies/acme/webhooks"
URL = "https://tms.example.com/hooks"


async def _make(world: World, **body: Any) -> dict[str, Any]:
    answer = await world.http.post(BASE, json={"url": URL} | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _messages(world: World, webhook_id: str, states: list[str]) -> list[str]:
    with world.database.transaction() as session:
        for number, state in enumerate(states):
            session.add(
                WebhookDelivery(
                    id=f"msg_{number}",
                    webhook_id=webhook_id,
                    company_id="acme",
                    event="export.sent",
                    payload={"type": "export.sent"},
                    state=state,
                    attempts=1,
                    created_at=NOW + timedelta(seconds=number // 2),
                    available_at=NOW,
                    started_at=NOW,
                )
            )
    return [f"msg_{number}" for number in range(len(states))]


def test_the_api_and_the_store_know_the_same_events() -> None:
    """Two lists, one meaning."""
    assert set(ALL_EVENTS) == set(webhooks.EVENTS)


async def test_the_secret_is_shown_once(world: World) -> None:
    """It comes with the answer that makes it and with no other."""
    await world.connect()
    made = await _make(world)
    assert made["secret"].startswith("whsec_")
    assert made["events"] == list(ALL_EVENTS)
    one = f"{BASE}/{made['id']}"
    shown = [await world.http.get(BASE), await world.http.get(one), await world.http.patch(one, json={"enabled": True})]
    assert all(made["secret"] not in answer.text for answer in shown)
    rotated = (await world.http.post(f"{one}/rotate-secret")).json()
    assert rotated["secret"] != made["secret"]
    with world.database.transaction() as session:
        row = session.get(Webhook, made["id"])
        assert row is not None
        assert (row.secret, row.previous_secret) == (rotated["secret"], made["secret"])
        assert row.previous_until == NOW + timedelta(days=1)
    await world.http.post(f"{one}/rotate-secret", json={"grace_minutes": 0})
    with world.database.transaction() as session:
        row = session.get(Webhook, made["id"])
        assert row is not None
        assert row.previous_secret is None


@pytest.mark.parametrize(
    "url", ["http://tms.example.com/", "https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/", "x", " "]
)
async def test_addresses_that_are_refused(world: World, url: str) -> None:
    """When it is made and when it is changed."""
    await world.connect()
    assert (await world.http.post(BASE, json={"url": url})).status_code == 422
    made = await _make(world)
    answer = await world.http.patch(f"{BASE}/{made['id']}", json={"url": url})
    assert answer.status_code == 422
    assert answer.json()["issues"][0]["path"] == "url"
    assert (await world.http.get(f"{BASE}/{made['id']}")).json()["url"] == URL


@pytest.mark.parametrize("body", [{}, {"url": URL, "events": []}, {"url": URL, "events": ["x"]}, {"url": URL, "x": 1}])
async def test_bodies_that_are_refused(world: World, body: dict[str, Any]) -> None:
    """Without address, without events, with unknown ones."""
    await world.connect()
    assert (await world.http.post(BASE, json=body)).status_code == 422
    assert (await world.http.get(BASE)).json()["items"] == []


@pytest.mark.parametrize("world_options", [{"webhook_allow_private": True}])
async def test_development_may_use_this_machine(world: World) -> None:
    """With the setting only."""
    await world.connect()
    assert (await _make(world, url="http://localhost:9000/"))["url"] == "http://localhost:9000/"


async def test_change_and_removal(world: World) -> None:
    """A change keeps what it does not name; removing takes the log along and is no error twice."""
    await world.connect()
    made = await _make(world, events=["export.failed"], description="prod")
    one = f"{BASE}/{made['id']}"
    changed = (await world.http.patch(one, json={"enabled": False})).json()
    assert (changed["enabled"], changed["events"], changed["description"]) == (False, ["export.failed"], "prod")
    _messages(world, made["id"], ["delivered"])
    assert [(await world.http.delete(one)).status_code for _ in range(2)] == [204, 204]
    assert (await world.http.get(one)).json()["code"] == "webhook_not_found"
    with world.database.transaction() as session:
        assert session.get(WebhookDelivery, "msg_0") is None


async def test_twenty_at_most(world: World) -> None:
    """Each state change writes a row for each."""
    await world.connect()
    for _ in range(20):
        await _make(world)
    answer = await world.http.post(BASE, json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


async def test_the_log_pages_and_filters(world: World) -> None:
    """Newest first, each once, also those of one moment."""
    await world.connect()
    made = await _make(world)
    ids = _messages(world, made["id"], ["delivered", "failed", "pending", "failed", "failed"])
    log = f"{BASE}/{made['id']}/deliveries"
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await world.http.get(f"{log}?limit=2{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert sorted(seen) == ids
    assert seen == sorted(ids, reverse=True)
    failed = (await world.http.get(f"{log}?state=failed")).json()
    assert [item["id"] for item in failed["items"]] == ["msg_4", "msg_3", "msg_1"]


async def test_redelivery(world: World) -> None:
    """What has ended goes again as another run; what is pending, switched off or of another webhook does not."""
    await world.connect()
    made, other = await _make(world), await _make(world)
    _messages(world, made["id"], ["failed", "pending", "delivered"])
    log = f"{BASE}/{made['id']}/deliveries"
    again = await world.http.post(f"{log}/msg_0/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    with world.database.transaction() as session:
        [row] = webhooks.unstarted(session, now=NOW, limit=10)
        assert (row.id, row.run) == ("msg_0", 2)
    assert (await world.http.post(f"{log}/msg_1/redeliver")).json()["code"] == "delivery_pending"
    foreign = await world.http.post(f"{BASE}/{other['id']}/deliveries/msg_2/redeliver")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "delivery_not_found")
    await world.http.patch(f"{BASE}/{made['id']}", json={"enabled": False})
    assert (await world.http.post(f"{log}/msg_2/redeliver")).json()["code"] == "webhook_disabled"


async def test_another_companys_webhook_is_none(world: World) -> None:
    """Its id leads nowhere under this company."""
    await world.connect()
    await world.connect("rival")
    made = await _make(world)
    for method, tail in (("GET", ""), ("PATCH", ""), ("POST", "/rotate-secret"), ("GET", "/deliveries")):
        path = f"/v1/companies/rival/webhooks/{made['id']}{tail}"
        answer = await world.http.request(method, path, json={} if method != "GET" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_not_found")
    assert (await world.http.delete(f"/v1/companies/rival/webhooks/{made['id']}")).status_code == 204
    assert (await world.http.get(f"{BASE}/{made['id']}")).status_code == 200


async def test_an_export_taken_back_before_its_start_is_told(world: World) -> None:
    """The API's own change of state writes its message, too."""
    await world.connect()
    await _make(world)
    world.exporter.is_away = True
    await world.export(an_invoice())
    world.exporter.is_away = False
    world.exporter.runs_nothing = True
    await world.http.post("/v1/companies/acme/exports/invoice/inv_48213/cancel")
    with world.database.transaction() as session:
        [row] = webhooks.unstarted(session, now=NOW, limit=10)
    assert (row.event, row.payload["data"]["state"]) == ("export.cancelled", "Cancelled")
