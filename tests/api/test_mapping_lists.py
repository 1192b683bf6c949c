"""The mapping over the API once QuickBooks' lists are known, and what pre-flight then says of exports."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from tests.support.company_files import store_lists

from .conftest import World, a_bill, an_invoice

BASE = "/v1/companies/acme/mapping"
EXPORTS = "/v1/companies/acme/exports"


@pytest.fixture
def company() -> CompanyFile:
    return freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))


def _id(company: CompanyFile, full_name: str) -> str:
    return next(entry.list_id for entry in company.entries() if entry.full_name == full_name)


async def _connected(world: World, company: CompanyFile) -> None:
    await world.connect(mapping={})
    store_lists(world.database, company)


async def _mapped(world: World, company: CompanyFile) -> None:
    await _connected(world, company)
    mapping = {
        "charges": {
            "LINEHAUL": {
                "invoice": {"item": {"full_name": "Linehaul"}},
                "carrier_bill": {"account": {"full_name": "Purchased Transportation"}},
            },
            "FUEL": {"invoice": {"item": {"full_name": "Fuel Surcharge"}}},
        },
        "customers": {"cus_88": {"full_name": "Cafe Rio Foods"}},
        "carriers": {"car_7": {"full_name": "Acme Carrier LLC"}},
        "terms": {"Net 30": {"full_name": "Net 30"}},
        "defaults": {"invoice": {"tax_code": {"full_name": "Non"}}},
    }
    assert (await world.http.put(BASE, json=mapping)).status_code == 200


async def test_names_become_list_ids(world: World, company: CompanyFile) -> None:
    """A bare name is stored with its ListID and QuickBooks' spelling, whole and one by one."""
    await _connected(world, company)
    expected = {"list_id": _id(company, "Cafe Rio Foods"), "full_name": "Cafe Rio Foods"}
    whole = await world.http.put(BASE, json={"customers": {"a": {"full_name": "cafe rio FOODS"}}})
    assert whole.json()["customers"]["a"] == expected
    one = await world.http.put(f"{BASE}/customers/b", json={"list_id": expected["list_id"]})
    assert one.json()["customers"] == {"a": expected, "b": expected}
    item = await world.http.put(f"{BASE}/charges/F", json={"invoice": {"item": {"full_name": "Fuel Surcharge"}}})
    assert item.json()["charges"]["F"]["invoice"]["item"]["list_id"] == _id(company, "Fuel Surcharge")
    default = await world.http.put(f"{BASE}/defaults/carrier_bill", json={"account": {"full_name": "Claims Expense"}})
    assert default.json()["defaults"]["carrier_bill"]["account"]["list_id"] == _id(company, "Claims Expense")
    shown = (await world.http.get(BASE)).json()
    assert shown["customers"] == {"a": expected, "b": expected}
    assert (await world.http.put(BASE, json=shown)).status_code == 200


@pytest.mark.parametrize(
    ("section", "key", "body", "code", "path"),
    [
        ("customers", "x", {"full_name": "Nobody"}, "target_unknown", "customers.x"),
        ("carriers", "x", {"full_name": "Cafe Rio Foods"}, "target_wrong_list", "carriers.x"),
        ("terms", "x", {"full_name": "Net 90"}, "target_inactive", "terms.x"),
        (
            "charges",
            "x",
            {"carrier_bill": {"item": {"full_name": "Linehaul"}}},
            "item_income_only",
            "charges.x.carrier_bill.item",
        ),
        (
            "defaults",
            "invoice",
            {"template": {"full_name": "Custom Estimate"}},
            "template_type_unfit",
            "defaults.invoice.template",
        ),
    ],
)
async def test_what_does_not_fit_is_said_at_once(
    world: World, company: CompanyFile, section: str, key: str, body: dict[str, Any], code: str, path: str
) -> None:
    await _connected(world, company)
    before = (await world.http.get(BASE)).json()
    answer = await world.http.put(f"{BASE}/{section}/{key}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "mapping_invalid")
    assert [(issue["code"], issue["path"]) for issue in answer.json()["issues"]] == [(code, path)]
    assert (await world.http.get(BASE)).json() == before


async def test_one_entry_can_be_saved_beside_a_broken_one(world: World, company: CompanyFile) -> None:
    """What went bad in QuickBooks is shown, and does not stand in the way of mending the rest."""
    await _mapped(world, company)
    company.set_active(_id(company, "Cafe Rio Foods"), False)
    store_lists(world.database, company)
    shown = (await world.http.get(f"{BASE}/issues")).json()["issues"]
    assert [(issue["code"], issue["path"], issue["severity"]) for issue in shown] == [
        ("target_inactive", "customers.cus_88", "error")
    ]
    saved = await world.http.put(f"{BASE}/customers/other", json={"full_name": "Pinnacle Paper"})
    assert saved.status_code == 200


async def test_an_entry_that_became_inactive_is_reported_before_the_export(world: World, company: CompanyFile) -> None:
    """Preview, export and retry say it, and nothing is started."""
    await _mapped(world, company)
    company.set_active(_id(company, "Fuel Surcharge"), False)
    company.preferences.closing_date = date(2026, 11, 30)
    store_lists(world.database, company)
    expected = [("target_inactive", "lines[1].charge"), ("closed_period", "date")]
    preview = (await world.http.post(f"{EXPORTS}/preview", json={"document": an_invoice()})).json()
    assert [(issue["code"], issue["path"]) for issue in preview["issues"]] == expected
    assert preview["qbxml"] is None
    answer = await world.export(an_invoice())
    assert answer.status_code == 422
    assert [(issue["code"], issue["path"]) for issue in answer.json()["issues"]] == expected
    assert world.exporter.starts == []


async def test_warnings_are_shown_and_do_not_block(world: World, company: CompanyFile) -> None:
    await _mapped(world, company)
    await world.http.put(f"{BASE}/defaults/invoice", json={})
    preview = (await world.http.post(f"{EXPORTS}/preview", json={"document": an_invoice()})).json()
    assert [(issue["code"], issue["severity"]) for issue in preview["issues"]] == [("tax_code_missing", "warning")]
    assert "<InvoiceAdd>" in preview["qbxml"]
    assert f"<ListID>{_id(company, 'Linehaul')}</ListID>" in preview["qbxml"]
    assert (await world.export(an_invoice())).status_code == 202
    assert (await world.export(a_bill())).status_code == 202


async def test_a_mapping_of_many_entries_is_held_against_the_lists_at_once(world: World, company: CompanyFile) -> None:
    """Above some hundred entries the lists are read whole; the answer is the same."""
    await _connected(world, company)
    customers = {f"c{n}": {"full_name": "Pinnacle Paper"} for n in range(300)}
    answer = await world.http.put(BASE, json={"customers": customers})
    assert {entry["list_id"] for entry in answer.json()["customers"].values()} == {_id(company, "Pinnacle Paper")}
    wrong = await world.http.put(BASE, json={"customers": {**customers, "bad": {"full_name": "Nobody"}}})
    assert [issue["path"] for issue in wrong.json()["issues"]] == ["customers.bad"]
