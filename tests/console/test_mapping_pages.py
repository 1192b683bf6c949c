"""Mapping: facts of its pages, without a browser's scripts."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from store.list_tables import ListEntry

from .conftest import OF_ACME, READER, World, send_form
from .played import Played, sample_mapping, samples

CHARGES = "/c/acme/mapping/charges"


@pytest.fixture
def played(world: World) -> Played:
    """Lists are here and the samples handed over; nothing is mapped."""
    made = Played(world)
    made.hand_over(*[one for one in samples() if len(one["lines"]) < 20][:8], *samples()[-6:])
    return made


def _id(played: Played, full_name: str) -> str:
    return next(one.list_id for one in played.quickbooks.entries() if one.full_name == full_name)


def _mapping(played: Played) -> Any:
    return played.api.get("/v1/companies/acme/mapping").json()


def _text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_what_is_missing_comes_first_with_counts_and_suggestions(played: Played) -> None:
    """Each tab says how many are missing; each missing one has the likely entry with score and reason."""
    played.put("/mapping/charges/ZULU", {"invoice": {"item": {"full_name": "Linehaul"}}})
    client = played.world.by_link()
    page = client.get(CHARGES)
    text = _text(page)
    assert text.index("LINEHAUL") < text.index("ZULU")
    assert "usually means" in text
    assert "of 100" in text
    for section in ("charges", "customers", "carriers"):
        assert re.search(rf'/mapping/{section}"[^>]*>\w+\s*<span class="badge badge--warn">\d+', page.text), section


def test_one_is_linked_and_taken_back(played: Played) -> None:
    """Save by ListID, then undo: the mapping is as it was."""
    client = played.world.by_link()
    form = {
        "place": "charges/invoice",
        "key": "FUEL",
        "list_id": _id(played, "Fuel Surcharge"),
        "name": "Fuel Surcharge",
    }
    answer = send_form(client, f"{CHARGES}/link", form, page=CHARGES)
    assert answer.status_code == 303
    assert _mapping(played)["charges"]["FUEL"]["invoice"]["item"]["full_name"] == "Fuel Surcharge"
    shown = client.get(answer.headers["location"])
    assert "FUEL is linked to Fuel Surcharge." in _text(shown)
    changes = client.get("/c/acme/mapping-changes")
    assert "The charge FUEL: Fuel Surcharge" in _text(changes)
    assert "Bookkeeper" in _text(changes)
    address = re.findall(r'action="(/c/acme/mapping-changes/\d+/undo)"', changes.text)[0]
    undone = send_form(client, address, {}, page="/c/acme/mapping-changes")
    assert "The change was taken back." in _text(client.get(undone.headers["location"]))
    assert "FUEL" not in _mapping(played)["charges"]


def test_a_name_is_enough_without_scripts(played: Played) -> None:
    client = played.world.by_link()
    form = {"place": "customers", "key": "cus_88", "name": "cafe rio foods"}
    send_form(client, "/c/acme/mapping/customers/link", form, page="/c/acme/mapping/customers")
    assert _mapping(played)["customers"]["cus_88"]["full_name"] == "Cafe Rio Foods"


def test_what_does_not_fit_is_refused_with_its_reason(played: Played) -> None:
    """The form that a script would not send is refused by the rule that the API has."""
    client = played.world.by_link()
    form = {"place": "charges/carrier_bill", "key": "FUEL", "list_id": _id(played, "Linehaul"), "name": "Linehaul"}
    answer = send_form(client, f"{CHARGES}/link", form, page=CHARGES)
    assert "posts to the income account" in _text(client.get(answer.headers["location"]))
    assert "FUEL" not in _mapping(played)["charges"]


def test_the_dropdown_marks_what_cannot_be_chosen(played: Played) -> None:
    """Items that do not fit say why; inactive ones are marked; those that fit come first."""
    client = played.world.by_link()

    def options(place: str, q: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get("/c/acme/targets", params={"place": place, "q": q}).json()["options"]
        return found

    bill = options("charges/carrier_bill", "linehaul")
    assert [one["label"] for one in bill if not one["disabled"]] == ["Carrier Linehaul"]
    assert "income account" in next(one["reason"] for one in bill if one["label"] == "Linehaul")
    terms = options("terms", "net")
    assert [one["label"] for one in terms if one["disabled"]] == ["Net 90"]
    assert "inactive" in terms[-1]["reason"]


def test_all_suggestions_above_a_score_are_accepted_for_one_section(played: Played) -> None:
    client = played.world.by_link()
    send_form(client, f"{CHARGES}/accept", {"min_score": "90"}, page=CHARGES)
    mapping = _mapping(played)
    assert mapping["charges"]["FUEL"]["invoice"]["item"]["full_name"] == "Fuel Surcharge"
    assert mapping["customers"] == {}


def test_lines_from_a_spreadsheet_are_checked_then_saved(played: Played) -> None:
    """Each line says what it does; those with an error are left out; saving can be taken back as one change."""
    client = played.world.by_link()
    address = "/c/acme/mapping/customers/paste"
    text = "Id\tName in QuickBooks\ncus_88\tCafe Rio Foods\ncus_1\tNobody\ncus_88\tCafe Rio Foods\nlonely"
    checked = _text(send_form(client, address, {"text": text}, page=address))
    assert "New link" in checked
    assert "Nobody, which is not in the company file" in checked
    assert "stands in line 2 already" in checked
    assert "The name in QuickBooks is missing" in checked
    assert _mapping(played)["customers"] == {}
    answer = send_form(client, address, {"text": text, "save": "yes"}, page=address)
    saved = _text(client.get(answer.headers["location"]))
    assert "1 line saved." in saved
    assert saved.count("was left out: ") == 3
    assert list(_mapping(played)["customers"]) == ["cus_88"]


def test_both_sides_of_charges_are_pasted(played: Played) -> None:
    client = played.world.by_link()
    address = f"{CHARGES}/paste"
    text = "LINEHAUL,Linehaul,Purchased Transportation\nDETENTION,,Carrier Detention\nTONU,TONU"
    answer = send_form(client, address, {"text": text, "save": "yes"}, page=address)
    assert answer.status_code == 303
    charges = _mapping(played)["charges"]
    assert charges["LINEHAUL"]["carrier_bill"]["account"]["full_name"] == "Purchased Transportation"
    assert charges["DETENTION"]["invoice"] is None
    assert charges["DETENTION"]["carrier_bill"]["item"]["full_name"] == "Carrier Detention"
    assert charges["TONU"]["invoice"]["item"]["full_name"] == "TONU"


def test_an_entry_that_went_inactive_is_shown_with_the_reason(played: Played) -> None:
    played.map()
    entry = next(one for one in played.quickbooks.entries() if one.full_name == "Cafe Rio Foods")
    with played.world.database.transaction() as session:
        from store import lists

        row = lists.entry(session, "acme", "customer", entry.list_id)
        assert row is not None
        row.is_active = False
    text = _text(played.world.by_link().get("/c/acme/mapping/customers?show=problems"))
    assert "Cafe Rio Foods, which is inactive in QuickBooks" in text
    assert "To look at (1)" in text


def test_defaults_are_set_place_by_place(played: Played) -> None:
    client = played.world.by_link()
    address = "/c/acme/mapping/defaults"
    form = {"place": "defaults/carrier_bill/item", "key": "carrier_bill", "name": "Purchased Transportation"}
    send_form(client, f"{address}/link", form, page=address)
    assert _mapping(played)["defaults"]["carrier_bill"]["account"]["full_name"] == "Purchased Transportation"
    form = {"place": "defaults/carrier_bill/item", "key": "carrier_bill", "name": "Carrier Linehaul"}
    send_form(client, f"{address}/link", form, page=address)
    stored = _mapping(played)["defaults"]["carrier_bill"]
    assert (stored["account"], stored["item"]["full_name"]) == (None, "Carrier Linehaul")
    form = {"place": "defaults/carrier_bill/item", "key": "carrier_bill", "name": ""}
    send_form(client, f"{address}/link", form, page=address)
    assert _mapping(played)["defaults"]["carrier_bill"]["item"] is None


def test_nobody_maps_a_foreign_company_or_without_the_right(played: Played) -> None:
    form = {"place": "customers", "key": "cus_88", "name": "Cafe Rio Foods"}
    own = played.world.signed_in(OF_ACME)
    assert own.get("/c/rival/mapping/customers").status_code == 404
    token = {"page": "/c/acme/mapping/customers"}
    assert send_form(own, "/c/rival/mapping/customers/link", form, **token).status_code == 404
    reader = played.world.signed_in(READER)
    assert send_form(reader, "/c/acme/mapping/customers/link", form, **token).status_code == 403
    assert _mapping(played)["customers"] == {}


def test_a_newer_change_protects_its_entry(played: Played) -> None:
    """Taking back an older change does not run over a newer one."""
    played.put("/mapping/customers/a", {"full_name": "Cafe Rio Foods"})
    played.put("/mapping/customers/a", {"full_name": "Pinnacle Paper"})
    newer, older = played.api.get("/v1/companies/acme/mapping/changes").json()["items"][:2]
    undo = f"/v1/companies/acme/mapping/changes/{older['id']}/undo"
    assert played.api.post(undo).json()["code"] == "changed_since"
    assert played.api.post(undo.replace(f"/{older['id']}/", f"/{newer['id']}/")).status_code == 200
    assert _mapping(played)["customers"]["a"]["full_name"] == "Cafe Rio Foods"
    assert played.api.post(undo).status_code == 200
    assert _mapping(played)["customers"] == {}
    assert played.api.post(undo).json()["code"] == "already_undone"


def test_sample_mapping_is_whole(played: Played) -> None:
    """With it every tab but the wrong samples' gaps is linked."""
    played.put("/mapping", sample_mapping())
    text = _text(played.world.by_link().get("/c/acme/mapping/terms?show=unmapped"))
    assert "Everything in use is linked" in text


def test_a_long_list_suggests_what_the_whole_list_would(played: Played) -> None:
    """The page reads of a long list what is near; the API reads all of it: both say the same, inactive parents too."""
    first, second = ("Cascade", "Harbor", "Summit", "Juniper"), ("Produce", "Steel", "Lumber")
    rows = []
    for number in range(900):
        parent = f"C{number - 1}" if number % 3 == 1 else None
        name = f"{first[number % 4]} {second[number % 3]} {number}"
        full_name = f"{rows[-1]['full_name']}:{name}" if parent else name
        row = {"company_id": "acme", "kind": "customer", "list_id": f"C{number}", "full_name": full_name}
        row |= {"name_key": full_name.casefold(), "type": "", "is_active": number % 18 != 0, "is_gone": False}
        row |= {"parent_list_id": parent, "facts": {}, "time_modified": "", "updated_at": played.world.clock()}
        rows.append(row | {"generation": 1})
    with played.world.database.transaction() as session:
        session.execute(insert(ListEntry), rows)
    names = ["Cascade Produce 12", "HARBOR STEEL 1, Inc.", "Sumit Lumber 890", "Juniper 7", "Lumber Cascade 44 LLC"]
    for number, name in enumerate([*names, "Cascade Produce 36", "Harbor Steel 37"]):  # a job of an inactive customer
        document = samples()[0] | {"id": f"inv_far{number}", "number": f"F{number}"}
        played.hand_over(document | {"customer": {"id": f"far{number}", "name": name}})
    told = played.api.get("/v1/companies/acme/mapping/suggestions").json()["items"]
    wanted = {one["key"]: one["candidates"][:2] for one in told if one["key"].startswith("far")}
    assert sum(bool(found) for found in wanted.values()) >= 5
    page = played.world.by_link().get("/c/acme/mapping/customers?q=far").text
    for key, candidates in wanted.items():
        row = re.search(rf'<tr id="row-{key}">(.*?)</tr>', page, re.S)
        assert row is not None
        shown = re.findall(r'name="list_id" value="(C\d+)"', row[1])
        assert shown == [one["list_id"] for one in candidates], key
