"""Answering for a company file, and deciding about what is not in QuickBooks any more."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from store import companies, exports, outbox
from store.tables import OutboxSignal

from .conftest import NOW, World, an_invoice

PATH = "C:\\QuickBooks\\Acme.qbw"
CONFIRM = "/v1/companies/acme/company-file/confirm"
QUESTION: dict[str, Any] = {
    "code": "company_file_unconfirmed",
    "name": "Acme Logistics LLC",
    "path": PATH,
    "release": "QuickBooks Enterprise Solutions 24.0",
    "resembles": True,
    "at": NOW.isoformat(),
    "answer": None,
}


def change(world: World, **fields: Any) -> None:
    with world.database.transaction() as session:
        row = companies.company(session, "acme")
        assert row is not None
        for name, value in fields.items():
            setattr(row, name, value)


async def company(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (await world.http.get("/v1/companies/acme")).json()
    return found


def lose(world: World, document_id: str) -> None:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", document_id)
        assert row is not None
        row.state = "Successful"
        row.run_id = "run-1"
        row.quickbooks = {"txn_id": "5A2B-1767225600", "edit_sequence": "1767225600"}
        row.missing_since = NOW
        outbox.withdraw_start(session, f"export/acme/invoice/{document_id}", now=NOW)


async def test_a_new_company_is_asked_unless_it_says_otherwise(world: World) -> None:
    await world.connect()
    assert (await company(world))["confirm_first_file"] is True
    body = {
        "id": "bolt",
        "name": "Bolt",
        "quickbooks_release": "2024",
        "company_file": PATH,
        "confirm_first_file": False,
    }
    made = (await world.http.post("/v1/companies", json=body)).json()
    assert (made["company_file"], made["confirm_first_file"]) == (PATH, False)
    titles = [step["title"] for step in made["steps"]]
    assert "Say that it is your company file" not in titles


async def test_yes_binds_the_file_that_was_shown_and_keeps_who_said_so(world: World) -> None:
    await world.connect()
    change(world, file_question=QUESTION, problem={"code": "company_file_unconfirmed", "next_step": "Answer."})
    assert (await company(world))["connection"]["file_to_confirm"]["resembles"] is True
    answer = await world.http.post(CONFIRM, json={"answer": "yes", "path": "D:\\Other.qbw"})
    assert (answer.status_code, answer.json()["code"]) == (409, "other_company_file")
    answer = await world.http.post(CONFIRM, json={"answer": "yes", "path": "c:/quickbooks/acme.QBW"})
    connection = answer.json()["connection"]
    assert (connection["file_to_confirm"], connection["problem"]) == (None, None)
    assert connection["quickbooks"]["company_file"] == PATH
    notices = (await world.http.get("/v1/companies/acme/notices")).json()["items"]
    assert notices[0]["code"] == "company_file_answered"
    assert "said that Acme Logistics LLC" in notices[0]["text"]
    assert (await world.http.post(CONFIRM, json={"answer": "yes"})).json()["code"] == "no_file_to_confirm"


async def test_no_leaves_the_connection_without_a_file_and_says_what_comes_next(world: World) -> None:
    await world.connect()
    change(world, file_question=QUESTION)
    connection = (await world.http.post(CONFIRM, json={"answer": "no"})).json()["connection"]
    assert connection["file_to_confirm"]["answer"] == "no"
    assert connection["quickbooks"]["company_file"] is None
    assert connection["problem"]["code"] == "wrong_company_file"
    assert connection["next_step"].startswith("Open the right company file")


async def test_an_export_that_waits_says_that_its_company_file_waits_for_an_answer(world: World) -> None:
    await world.connect()
    await world.export(an_invoice())
    change(world, file_question=QUESTION, problem={"code": "company_file_unconfirmed"}, last_seen_at=NOW)
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", "inv_48213")
        assert row is not None
        row.state = "Queued"
    detail = (await world.http.get("/v1/companies/acme/exports/invoice/inv_48213")).json()["detail"]
    assert f"Acme Logistics LLC ({PATH}) is open there and waits for somebody to say" in detail


@pytest.mark.parametrize("in_one", [True, False])
async def test_what_is_missing_is_exported_again_as_a_new_generation(world: World, in_one: bool) -> None:
    await world.connect()
    await world.export(an_invoice())
    lose(world, "inv_48213")
    assert (await company(world))["connection"]["missing"]["count"] == 1
    listed = (await world.http.get("/v1/companies/acme/exports?missing=true")).json()["items"]
    assert [one["document_id"] for one in listed] == ["inv_48213"]
    assert (listed[0]["state"], listed[0]["detail"][:36]) == ("Successful", "It is not in QuickBooks any more: no")
    path = "missing/resolve" if in_one else "exports/invoice/inv_48213/resolve"
    answer = await world.http.post(f"/v1/companies/acme/{path}", json={"choice": "export_again"})
    assert answer.status_code == 202, answer.text
    panel = (await world.http.get("/v1/companies/acme/exports/invoice/inv_48213")).json()
    assert (panel["state"], panel["generation"], panel["quickbooks"], panel["missing"]) == ("Mapped", 2, None, None)
    with world.database.transaction() as session:
        start = session.scalars(select(OutboxSignal).order_by(OutboxSignal.id.desc())).first()
        assert start is not None
        assert (start.payload["may_repeat"], start.payload["after_run"]) == (True, "run-1")
    again = await world.http.post("/v1/companies/acme/exports/invoice/inv_48213/resolve", json={"choice": "leave"})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_resolve")


async def test_what_was_entered_by_hand_is_left_and_stays_told(world: World) -> None:
    await world.connect()
    await world.export(an_invoice())
    lose(world, "inv_48213")
    answer = await world.http.post("/v1/companies/acme/missing/resolve", json={"choice": "leave"})
    assert answer.json() == {"resolved": 1, "left": 0}
    panel = (await world.http.get("/v1/companies/acme/exports/invoice/inv_48213")).json()
    assert (panel["state"], panel["missing"]["choice"]) == ("Successful", "leave")
    assert "entered by hand" in panel["timeline"][-1]["text"]
    assert (await company(world))["connection"]["missing"] is None
