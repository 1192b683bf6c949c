"""Many exports at once, and lists that are searched and followed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from store import exports
from tests.support.stores import Clock
from workflows.contracts import ExportState

from .conftest import NOW, World, a_bill, an_invoice

BASE = "/v1/companies/acme/exports"


class _Moving(Clock):
    now = NOW


CLOCK = _Moving()
MOVING = pytest.mark.parametrize("world_options", [{"clock": CLOCK}])


def _fail(world: World, document_id: str, code: str, owner: str = "tms_user", state: str = "Failed") -> None:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", document_id)
        assert row is not None
        row.state = state
        row.owner = owner
        row.error = {"code": code, "message": "m", "explanation": "e", "owner": owner, "next_step": "n"}
        row.updated_at = CLOCK.now


def _set(world: World, document_id: str, **values: Any) -> None:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", document_id)
        assert row is not None
        for name, value in values.items():
            setattr(row, name, value)


async def _bulk(world: World, documents: list[Any]) -> dict[str, Any]:
    answer = await world.http.post(f"{BASE}/bulk", json={"documents": documents})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_each_document_has_its_result_in_order(world: World) -> None:
    """Good, unmapped, unreadable, repeated and conflicting ones: each as a single request would be answered."""
    await world.connect()
    documents = [
        an_invoice(),
        an_invoice(id="inv_2", number="N2", customer={"id": "cus_9", "name": "X"}),
        {"kind": "letter"},
        a_bill(),
    ]
    answer = await _bulk(world, documents)
    assert [item["status"] for item in answer["items"]] == [202, 422, 422, 202]
    assert [item["index"] for item in answer["items"]] == [0, 1, 2, 3]
    assert (answer["accepted"], answer["refused"]) == (2, 2)
    assert answer["items"][0]["export"]["status"] == "Pending"
    assert answer["items"][1]["problem"]["issues"][0]["path"] == "customer.id"
    assert answer["items"][2]["document_id"] is None
    assert {start[1] for start in world.exporter.starts} == {
        "export/acme/invoice/inv_48213",
        "export/acme/carrier_bill/bill_1",
    }
    again = await _bulk(world, [an_invoice(), an_invoice(memo="other")])
    assert [item["status"] for item in again["items"]] == [200, 409]


@pytest.mark.long
async def test_five_hundred_at_most(world: World) -> None:
    """500 documents make 500 exports; 501 and none are refused as a whole."""
    await world.connect()
    many = [an_invoice(id=f"inv_{number}", number=f"N{number}") for number in range(501)]
    assert (await world.http.post(f"{BASE}/bulk", json={"documents": many})).status_code == 422
    assert (await world.http.post(f"{BASE}/bulk", json={"documents": []})).status_code == 422
    assert world.exporter.starts == []
    answer = await _bulk(world, many[:500])
    assert answer["accepted"] == 500
    assert [item["document_id"] for item in answer["items"]] == [one["id"] for one in many[:500]]
    assert len(world.exporter.starts) == 500


async def test_temporal_away_loses_none(world: World) -> None:
    """All are accepted and wait in the outbox; the same request again starts none twice."""
    await world.connect()
    world.exporter.is_away = True
    documents = [an_invoice(id=f"inv_{number}", number=f"N{number}") for number in range(20)]
    assert (await _bulk(world, documents))["accepted"] == 20
    assert (await _bulk(world, documents))["accepted"] == 20
    assert sorted(start[1] for start in world.exporter.starts) == sorted(
        f"export/acme/invoice/inv_{number}" for number in range(20)
    )


async def test_one_call_exports_again_what_was_mended(world: World) -> None:
    """All that failed for one reason go again; others, and what may be in QuickBooks, stay as they are."""
    await world.connect()
    await _bulk(world, [an_invoice(id=f"inv_{number}", number=f"N{number}") for number in range(6)])
    for number in range(3):
        _fail(world, f"inv_{number}", "3140", "bookkeeper")
    _fail(world, "inv_3", "3180", "it")
    _fail(world, "inv_4", "outcome_unknown", "bookkeeper")
    world.exporter.forget()
    answer = (await world.http.post(f"{BASE}/retry", json={"filter": {"code": "3140"}})).json()
    assert [item["document_id"] for item in answer["items"]] == ["inv_0", "inv_1", "inv_2"]
    assert (answer["accepted"], answer["cursor"]) == (3, None)
    assert len(world.exporter.starts) == 3
    by_owner = (await world.http.post(f"{BASE}/retry", json={"filter": {"owner": "bookkeeper"}})).json()
    assert by_owner["items"] == []
    rest = (await world.http.post(f"{BASE}/retry", json={"filter": {}})).json()
    assert [item["document_id"] for item in rest["items"]] == ["inv_3"]


async def test_retry_by_id_says_for_each_why_not(world: World) -> None:
    """Pending, unknown, undecided and unmended ones are refused one by one, the good one starts."""
    await world.connect()
    await _bulk(world, [an_invoice(id=f"inv_{number}", number=f"N{number}") for number in range(4)])
    _fail(world, "inv_0", "3140")
    _fail(world, "inv_1", "outcome_unknown")
    _fail(world, "inv_3", "3140")
    _set(world, "inv_3", document=an_invoice(id="inv_3", customer={"id": "gone", "name": "Gone"}))
    ids = [{"kind": "invoice", "document_id": name} for name in ("inv_2", "inv_0", "nowhere", "inv_1", "inv_3")]
    answer = (await world.http.post(f"{BASE}/retry", json={"ids": ids})).json()
    codes = [item["problem"] and item["problem"]["code"] for item in answer["items"]]
    assert codes == ["not_retryable", None, "export_not_found", "may_be_in_quickbooks", "document_not_exportable"]


async def test_bulk_cancel(world: World) -> None:
    """Those that wait are asked to end, those that were sent are not."""
    await world.connect()
    await _bulk(world, [an_invoice(id=f"inv_{number}", number=f"N{number}") for number in range(3)] + [a_bill()])
    _set(world, "inv_0", state="Sent")
    _set(world, "inv_1", state="Queued")
    body = {"filter": {"kind": "invoice"}, "reason": "wrong month"}
    answer = (await world.http.post(f"{BASE}/cancel", json=body)).json()
    assert [item["document_id"] for item in answer["items"]] == ["inv_1", "inv_2"]
    assert {reason for _, reason in world.exporter.cancels} == {"wrong month"}
    ids = [{"kind": "invoice", "document_id": "inv_0"}]
    answer = (await world.http.post(f"{BASE}/cancel", json={"ids": ids})).json()
    assert answer["items"][0]["problem"]["code"] == "already_sent"


@pytest.mark.parametrize(
    "body", [{}, {"ids": [], "filter": None}, {"ids": [{"kind": "x"}]}, {"filter": {"state": "Sent"}}]
)
@pytest.mark.parametrize("call", ["retry", "cancel"])
async def test_a_choice_must_be_clear(world: World, call: str, body: dict[str, Any]) -> None:
    """Neither ids nor filter, or both, or what is no choice, is refused; nothing happens."""
    await world.connect()
    assert (await world.http.post(f"{BASE}/{call}", json=body)).status_code == 422
    both = {"ids": [{"kind": "invoice", "document_id": "a"}], "filter": {}}
    assert (await world.http.post(f"{BASE}/{call}", json=both)).status_code == 422


@pytest.mark.long
async def test_a_filter_over_many_goes_on_with_its_cursor(world: World) -> None:
    """More than one call's worth: the cursor leads through all of them, once each, also when they fail again."""
    await world.connect()
    with world.database.transaction() as session:
        for number in range(501):
            new = exports.NewExport(
                company_id="acme",
                kind="invoice",
                document_id=f"inv_{number}",
                number=f"N{number}",
                content_hash="x",
                document=an_invoice(id=f"inv_{number}", customer={"id": "gone", "name": "Gone"}),
            )
            row = exports.add_export(session, new, state=ExportState.FAILED, at=NOW)
            row.error = {"code": "3140", "message": "m", "explanation": "e", "owner": "us", "next_step": "n"}
    first = (await world.http.post(f"{BASE}/retry", json={"filter": {}})).json()
    second = (await world.http.post(f"{BASE}/retry", json={"filter": {}, "cursor": first["cursor"]})).json()
    assert (len(first["items"]), len(second["items"]), second["cursor"]) == (500, 1, None)
    assert len({item["document_id"] for item in first["items"] + second["items"]}) == 501


async def test_search(world: World) -> None:
    """Numbers, ids and names are found by any part, without case; signs of SQL are plain text."""
    await world.connect()
    await _bulk(world, [an_invoice(), an_invoice(id="inv_2", number="50%_A"), a_bill()])

    async def found(q: str) -> list[str]:
        return [item["document_id"] for item in (await world.http.get(BASE, params={"q": q})).json()["items"]]

    assert await found("cafe RIO") == ["inv_2", "inv_48213"]
    assert await found("acme carrier") == ["bill_1"]
    assert await found("4821") == ["inv_48213"]
    assert await found("INV_2") == ["inv_2"]
    assert await found("%") == ["inv_2"]
    assert await found("_A") == ["inv_2"]
    assert await found("nobody") == []


@MOVING
async def test_following_changes_misses_none(world: World) -> None:
    """By `updated` with a cursor each change is seen, also of an export that moves while the pages are read."""
    CLOCK.now = NOW
    await world.connect()
    for number in range(5):
        CLOCK.forward(seconds=number % 2)
        await _bulk(world, [an_invoice(id=f"inv_{number}", number=f"N{number}")])
    page = (await world.http.get(BASE, params={"sort": "updated", "limit": 2})).json()
    assert [item["document_id"] for item in page["items"]] == ["inv_0", "inv_1"]
    CLOCK.forward(seconds=1)
    _fail(world, "inv_0", "3140")
    seen: list[str] = []
    while page["cursor"]:
        params = {"sort": "updated", "limit": 2, "cursor": page["cursor"]}
        page = (await world.http.get(BASE, params=params)).json()
        seen += [item["document_id"] for item in page["items"]]
    assert seen == ["inv_2", "inv_3", "inv_4", "inv_0"]
    since = (await world.http.get(BASE, params={"updated_since": CLOCK.now.isoformat()})).json()
    assert [item["document_id"] for item in since["items"]] == ["inv_0"]
    late = (CLOCK.now + timedelta(seconds=1)).isoformat()
    assert (await world.http.get(BASE, params={"updated_since": late})).json()["items"] == []
    by_code = (await world.http.get(BASE, params={"code": "3140"})).json()
    assert [item["document_id"] for item in by_code["items"]] == ["inv_0"]


async def test_a_cursor_of_another_order_is_refused(world: World) -> None:
    """And a time without zone is no time."""
    await world.connect()
    for params in (
        {"sort": "updated", "cursor": "5"},
        {"cursor": "1700000000000000.5"},
        {"updated_since": "2026-11-20"},
        {"updated_since": "0001-01-01T00:00:00+14:00"},
    ):
        answer = await world.http.get(BASE, params=params)
        assert answer.status_code == 422, params
