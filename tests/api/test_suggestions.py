"""Suggestions over the API: drawn from what was exported or is posted, accepted one by one or all above a score."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from store import exports
from store.exports import NewExport
from tests.support.company_files import store_lists
from workflows.contracts import ExportState

from .conftest import NOW, World, a_bill, an_invoice

BASE = "/v1/companies/acme/mapping"
SUGGESTIONS = f"{BASE}/suggestions"


@pytest.fixture
def company() -> CompanyFile:
    return freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))


def _id(company: CompanyFile, full_name: str) -> str:
    return next(entry.list_id for entry in company.entries() if entry.full_name == full_name)


def _seen(world: World, *documents: dict[str, Any]) -> None:
    """Exports that came without a mapping, as another client of Temporal may start them."""
    with world.database.transaction() as session:
        for document in documents:
            new = NewExport(
                company_id="acme",
                kind=document["kind"],
                document_id=document["id"],
                number=document["number"],
                content_hash="x",
                document=document,
            )
            exports.add_export(session, new, state=ExportState.FAILED, at=NOW)


async def _get(world: World) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    answer = await world.http.get(SUGGESTIONS)
    assert answer.status_code == 200, answer.text
    return {(one["section"], one["key"], one["side"]): one for one in answer.json()["items"]}


async def test_what_was_exported_without_a_mapping_is_suggested_for(world: World, company: CompanyFile) -> None:
    """Each code and id, with the name seen, how often, and the likely entry with its reason."""
    await world.connect(mapping={})
    _seen(world, an_invoice(), an_invoice(id="inv_2"), a_bill())
    assert (await world.http.get(SUGGESTIONS)).json()["lists_known"] is False
    store_lists(world.database, company)
    found = await _get(world)
    assert {key: (one["uses"], one["candidates"][0]["full_name"]) for key, one in found.items()} == {
        ("customers", "cus_88", None): (2, "Cafe Rio Foods"),
        ("terms", "Net 30", None): (2, "Net 30"),
        ("charges", "LINEHAUL", "invoice"): (2, "Linehaul"),
        ("charges", "FUEL", "invoice"): (2, "Fuel Surcharge"),
        ("carriers", "car_7", None): (1, "Acme Carrier LLC"),
        ("charges", "LINEHAUL", "carrier_bill"): (1, "Purchased Transportation"),
    }
    assert found["customers", "cus_88", None]["name"] == "Cafe Rio Foods, Inc."
    best = found["charges", "FUEL", "invoice"]["candidates"][0]
    assert best == {
        "list_id": _id(company, "Fuel Surcharge"),
        "full_name": "Fuel Surcharge",
        "kind": "item",
        "score": 94,
        "reason": "FUEL usually means fuel surcharge.",
    }


async def test_documents_that_were_not_exported_can_be_posted(world: World, company: CompanyFile) -> None:
    await world.connect(mapping={})
    store_lists(world.database, company)
    answer = await world.http.post(SUGGESTIONS, json={"documents": [a_bill(), {"kind": "nonsense"}]})
    assert {(one["section"], one["key"]) for one in answer.json()["items"]} == {
        ("carriers", "car_7"),
        ("charges", "LINEHAUL"),
    }
    assert (await world.http.get(SUGGESTIONS)).json()["items"] == []


async def test_one_call_accepts_one(world: World, company: CompanyFile) -> None:
    await world.connect(mapping={})
    _seen(world, an_invoice())
    store_lists(world.database, company)
    body = {"section": "charges", "key": "FUEL", "list_id": _id(company, "Fuel Surcharge")}
    answer = await world.http.post(f"{SUGGESTIONS}/accept", json=body)
    assert answer.status_code == 200, answer.text
    [linked] = answer.json()["linked"]
    assert (linked["section"], linked["key"], linked["side"], linked["full_name"]) == (
        "charges",
        "FUEL",
        "invoice",
        "Fuel Surcharge",
    )
    rule = (await world.http.get(BASE)).json()["charges"]["FUEL"]
    assert rule["invoice"]["item"] == {"list_id": body["list_id"], "full_name": "Fuel Surcharge"}
    assert rule["carrier_bill"] is None
    assert ("charges", "FUEL", "invoice") not in await _get(world)


async def test_a_charge_is_linked_on_both_sides_where_the_entry_fits(world: World, company: CompanyFile) -> None:
    await world.connect(mapping={})
    _seen(world, an_invoice(), a_bill())
    store_lists(world.database, company)
    two_sided = {"section": "charges", "key": "LINEHAUL", "list_id": _id(company, "Carrier Linehaul")}
    answer = await world.http.post(f"{SUGGESTIONS}/accept", json=two_sided)
    assert {link["side"] for link in answer.json()["linked"]} == {"invoice", "carrier_bill"}
    one_sided = {"section": "charges", "key": "DETENTION", "list_id": _id(company, "Detention")}
    _seen(
        world,
        a_bill(id="b2", lines=[{"charge": "DETENTION", "amount": "900.00"}]),
        an_invoice(id="i2", lines=[{"charge": "DETENTION", "amount": "2062.50"}]),
    )
    answer = await world.http.post(f"{SUGGESTIONS}/accept", json=one_sided)
    assert [link["side"] for link in answer.json()["linked"]] == ["invoice"]
    assert [(left["side"], left["reason"]) for left in answer.json()["left"]] == [
        ("carrier_bill", "The entry does not fit there.")
    ]
    account = {"section": "charges", "key": "DETENTION", "list_id": _id(company, "Purchased Transportation")}
    assert (await world.http.post(f"{SUGGESTIONS}/accept", json=account)).status_code == 200
    rule = (await world.http.get(BASE)).json()["charges"]["DETENTION"]
    assert rule["carrier_bill"]["account"]["full_name"] == "Purchased Transportation"
    assert rule["invoice"]["item"]["full_name"] == "Detention"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"section": "customers", "key": "c", "list_id": "80000999-1"}, 422, "mapping_invalid"),
        ({"section": "customers", "key": "c", "list_id": "Closed Door Furniture"}, 422, "mapping_invalid"),
        ({"section": "customers", "key": "c", "list_id": "Acme Carrier LLC"}, 422, "mapping_invalid"),
        ({"section": "customers", "key": "c"}, 422, "request_invalid"),
        ({}, 422, "request_invalid"),
        ({"min_score": 90, "section": "customers", "key": "c", "list_id": "1"}, 422, "request_invalid"),
        ({"min_score": 0}, 422, "request_invalid"),
        ({"min_score": 101}, 422, "request_invalid"),
        ({"section": "defaults", "key": "invoice", "list_id": "1"}, 422, "request_invalid"),
    ],
)
async def test_what_cannot_be_accepted(
    world: World, company: CompanyFile, body: dict[str, Any], status: int, code: str
) -> None:
    await world.connect(mapping={})
    store_lists(world.database, company)
    ids = {entry.full_name: entry.list_id for entry in company.entries()}
    if "list_id" in body:
        body = {**body, "list_id": ids.get(body["list_id"], body["list_id"])}
    answer = await world.http.post(f"{SUGGESTIONS}/accept", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["issues"]
    assert (await world.http.get(BASE)).json()["customers"] == {}


async def test_before_the_lists_are_known_nothing_can_be_accepted(world: World) -> None:
    await world.connect(mapping={})
    body = {"section": "customers", "key": "c", "list_id": "80000001-1"}
    answer = await world.http.post(f"{SUGGESTIONS}/accept", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "lists_not_known")
    assert (await world.http.get(BASE)).json()["customers"] == {}
    all_of_them = await world.http.post(f"{SUGGESTIONS}/accept", json={"min_score": 50})
    assert all_of_them.json() == {"linked": [], "left": [], "retrying": 0}


async def test_one_call_accepts_all_above_a_score(world: World, company: CompanyFile) -> None:
    """What is sure is linked; what is not, or has a rival, is left with the reason."""
    await world.connect(mapping={})
    company.add_customer("Acme Foods Inc")
    company.add_customer("ACME, Foods LLC")
    _seen(
        world,
        an_invoice(),
        an_invoice(id="i2", customer={"id": "twin", "name": "Acme Foods"}),
        an_invoice(id="i3", customer={"id": "none", "name": "Zanzibar Holdings"}),
        a_bill(carrier={"id": "near", "name": "Sagebrush Trkg & Storage"}),
    )
    store_lists(world.database, company)
    done = (await world.http.post(f"{SUGGESTIONS}/accept", json={"min_score": 90})).json()
    assert {(link["section"], link["key"], link["side"]) for link in done["linked"]} == {
        ("customers", "cus_88", None),
        ("terms", "Net 30", None),
        ("charges", "LINEHAUL", "invoice"),
        ("charges", "LINEHAUL", "carrier_bill"),
        ("charges", "FUEL", "invoice"),
    }
    left = {one["key"]: one["reason"] for one in done["left"]}
    assert set(left) == {"twin", "none", "near"}
    assert left["twin"] == "Two candidates are equally likely."
    assert left["none"] == "QuickBooks has nothing of a similar name."
    assert left["near"].startswith("The best candidate has only")
    mapping = (await world.http.get(BASE)).json()
    assert mapping["customers"]["cus_88"]["list_id"] == _id(company, "Cafe Rio Foods")
    assert set(await _get(world)) == {
        ("customers", "twin", None),
        ("customers", "none", None),
        ("carriers", "near", None),
    }


async def test_the_choices_of_other_companies_count_for_codes_only(world: World, company: CompanyFile) -> None:
    """A code of the trade is learnt from others that agree; what one of them does, and with whom, is not told."""
    theirs = {
        "charges": {"ZZ9": {"invoice": {"item": {"full_name": "Accessorial"}}}},
        "customers": {"secret": {"full_name": "Pinnacle Paper"}},
    }
    await world.connect("other", mapping=theirs)
    await world.connect("second", mapping=theirs)
    await world.connect(mapping={})
    store_lists(world.database, company)
    line = {"charge": "ZZ9", "amount": "2062.50"}
    _seen(world, an_invoice(lines=[line], customer={"id": "secret", "name": "Something Else"}))
    assert (await _get(world))["charges", "ZZ9", "invoice"]["candidates"] == []
    await world.connect("third", mapping=theirs)
    found = await _get(world)
    best = found["charges", "ZZ9", "invoice"]["candidates"][0]
    assert (best["full_name"], best["score"]) == ("Accessorial", 94)
    assert found["customers", "secret", None]["candidates"] == []
