"""Documents for review: handed over, looked at, changed, exported, taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support.stores import Clock

from .conftest import KEY, MAPPING, NOW, World, a_bill, an_invoice

BASE = "/v1/companies/acme/documents"
ONE = f"{BASE}/invoice/inv_48213"


async def _put(world: World, document: dict[str, Any]) -> httpx.Response:
    return await world.http.put(f"{BASE}/{document['kind']}/{document['id']}", json=document)


async def test_a_document_is_kept_and_not_exported(world: World) -> None:
    """201 the first time, 200 again; it comes back as posted; nothing is started."""
    await world.connect()
    assert [(await _put(world, an_invoice())).status_code for _ in range(2)] == [201, 200]
    view = (await world.http.get(ONE)).json()
    assert view["document"] == an_invoice()
    assert (view["number"], view["party"], view["total"]) == ("INV-2026-004821", "Cafe Rio Foods, Inc.", "2062.50")
    assert (view["export"], view["issues"], view["differs_from_export"]) == (None, [], False)
    assert view["ref_number"]
    assert world.exporter.starts == []
    assert (await world.http.get("/v1/companies/acme/exports")).json()["items"] == []


async def test_what_cannot_be_exported_is_kept_with_its_reasons(world: World) -> None:
    """Reasons follow the mapping of today: after the mend the same document has none."""
    await world.connect(mapping={})
    view = (await _put(world, an_invoice(terms=None))).json()
    assert {"customer.id", "lines[0].charge"} <= {issue["path"] for issue in view["issues"]}
    refused = await world.http.post(f"{ONE}/export")
    assert (refused.status_code, refused.json()["code"]) == (422, "document_not_exportable")
    await world.http.put("/v1/companies/acme/mapping", json=MAPPING)
    assert (await world.http.get(ONE)).json()["issues"] == []
    nul = await world.http.put(f"{BASE}/invoice/n", json={"kind": "invoice", "id": "n", "number": "a\x00b"})
    assert (nul.status_code, nul.json()["number"], nul.json()["document"]["number"]) == (201, "ab", "a\x00b")
    unreadable = await world.http.put(f"{BASE}/invoice/x", json={"kind": "invoice", "id": "x", "total": 1})
    assert unreadable.status_code == 201
    assert unreadable.json()["issues"]


async def test_export_of_what_was_handed_over(world: World) -> None:
    """The stored document starts; again is the same export; another content conflicts until it has ended."""
    await world.connect()
    await _put(world, an_invoice())
    first, again = [await world.http.post(f"{ONE}/export") for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 200)
    assert world.exporter.starts[0][0].document == an_invoice()
    view = (await world.http.get(ONE)).json()
    assert (view["export"]["status"], view["differs_from_export"]) == ("Pending", False)
    changed = (await _put(world, an_invoice(memo="changed"))).json()
    assert changed["differs_from_export"] is True
    conflict = await world.http.post(f"{ONE}/export")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "content_differs_under_way")


async def test_taking_back_leaves_the_export(world: World) -> None:
    """204, also twice; the document is gone, its export goes on."""
    await world.connect()
    await _put(world, an_invoice())
    await world.http.post(f"{ONE}/export")
    assert [(await world.http.delete(ONE)).status_code for _ in range(2)] == [204, 204]
    gone = await world.http.get(ONE)
    assert (gone.status_code, gone.json()["code"]) == (404, "document_not_found")
    assert (await world.http.post(f"{ONE}/export")).status_code == 404
    assert (await world.http.get("/v1/companies/acme/exports/invoice/inv_48213")).status_code == 200


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"id": "other"}, ["id"]),
        ({"kind": "carrier_bill"}, ["kind"]),
        ({"id": None, "kind": 5}, ["kind", "id"]),
    ],
)
async def test_the_address_and_the_document_must_agree(world: World, changes: dict[str, Any], paths: list[str]) -> None:
    """Otherwise nothing is stored."""
    await world.connect()
    answer = await world.http.put(ONE, json=an_invoice() | changes)
    assert answer.status_code == 422
    assert [issue["path"] for issue in answer.json()["issues"]] == paths
    assert (await world.http.get(BASE)).json()["items"] == []


class _Moving(Clock):
    now = NOW


CLOCK = _Moving()


@pytest.mark.parametrize("world_options", [{"clock": CLOCK}])
async def test_lists(world: World) -> None:
    """Filters and pages; the time of change moves only with the content."""
    CLOCK.now = NOW
    await world.connect()
    await _put(world, an_invoice())
    await _put(world, an_invoice(id="inv_2", number="N2"))
    await _put(world, a_bill())
    await world.http.post(f"{ONE}/export")
    CLOCK.forward(hours=1)
    await _put(world, an_invoice(id="inv_2", number="N2"))
    await _put(world, a_bill(memo="new"))

    async def ids(**params: Any) -> list[str]:
        return [item["document_id"] for item in (await world.http.get(BASE, params=params)).json()["items"]]

    assert await ids() == ["bill_1", "inv_2", "inv_48213"]
    assert await ids(kind="invoice") == ["inv_2", "inv_48213"]
    assert await ids(status="NotExported") == ["bill_1", "inv_2"]
    assert await ids(status="Pending") == ["inv_48213"]
    assert await ids(status="Failed") == []
    assert await ids(q="acme CARRIER") == ["bill_1"]
    assert await ids(q="n2") == ["inv_2"]
    assert await ids(updated_since=(NOW + timedelta(minutes=1)).isoformat()) == ["bill_1"]
    first = (await world.http.get(BASE, params={"limit": 2})).json()
    rest = (await world.http.get(BASE, params={"limit": 2, "cursor": first["cursor"]})).json()
    assert [item["document_id"] for item in first["items"] + rest["items"]] == ["bill_1", "inv_2", "inv_48213"]
    assert rest["cursor"] is None


async def test_simultaneous_clients_hand_over_one_document(
    world: World, serving: Callable[[FastAPI], AbstractContextManager[str]]
) -> None:
    """Eight PUTs over real sockets: one is 201, the others 200, and no error."""
    await world.connect()
    with serving(world.app) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
            answers = await asyncio.gather(*(http.put(ONE, json=an_invoice()) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
