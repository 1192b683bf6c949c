"""Connecting: releases, steps, states with their reasons, new passwords and ids, up to a session."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from simulator.qwc import read_qwc
from simulator.web_connector import WebConnector
from store.companies import record_incident
from store.tables import Company, Incident
from tests.support import stores
from tests.support.world import World as Bridge
from tests.support.world import a_qwc
from tms_api.releases import ReleaseRefusedError, read_release

from .conftest import NOW, World

ONE = "/v1/companies/acme"
TODAY = NOW.date()


def _set(world: World, **values: Any) -> None:
    with world.database.transaction() as session:
        row = session.get(Company, "acme")
        assert row is not None
        for name, value in values.items():
            setattr(row, name, value)


async def test_the_steps_use_the_words_of_the_dialogs(world: World) -> None:
    """The order is the one that works, the permission is named exactly, and nothing secret is in it."""
    created = await world.connect()
    steps = created["steps"]
    titles = [step["title"] for step in steps]
    assert titles.index("Open the company file as administrator") < titles.index("Download the .qwc file and open it")
    assert titles.index("Grant the access in QuickBooks") < titles.index("Enter the password") < len(titles) - 1
    text = str(steps)
    assert '"Yes, always; allow access even if QuickBooks is not running"' in text
    for words in ("Single-user Mode", "Auto-Run", "Admin", created["username"], "15", "https://qbd.example.com/qbwc"):
        assert words in text
    assert created["password"] not in text
    assert (await world.http.get(f"{ONE}/steps")).json() == {"steps": steps}


async def test_the_table_of_releases_is_what_connecting_follows(world: World) -> None:
    """What can be chosen is accepted as it is written there, the others are refused with the reason of the table."""
    items = (await world.http.get("/v1/releases")).json()["items"]
    assert {item["release"] for item in items if item["can_be_chosen"]} == {"2024", "Enterprise 24.0"}
    for item in items:
        body = {"name": "Acme", "quickbooks_release": item["release"]}
        answer = await world.http.post("/v1/companies", json=body)
        assert (answer.status_code == 201) is item["can_be_chosen"]
        if not item["can_be_chosen"]:
            assert answer.json()["code"] == "release_refused"
            assert item["reason"] in answer.json()["issues"][0]["message"]


@pytest.mark.parametrize(
    ("text", "today", "said"),
    [
        ("2024", date(2027, 9, 30), None),
        ("2024", date(2027, 10, 1), "was expected to end in September 2027"),
        ("Enterprise 24.0", date(2028, 1, 1), None),
        ("2023", date(2026, 5, 31), None),
        ("2023", date(2026, 6, 1), "2026-05-31"),
        ("2019", TODAY, "ended the support of 2019"),
        ("QuickBooks Online", TODAY, "not a release of QuickBooks Desktop"),
        # What QuickBooks calls itself inside: years since 1990.
        ("34", TODAY, "34 is the number that QuickBooks uses inside for its release 2024; choose 2024 or Enterprise"),
        ("34.0", TODAY, "34.0 is the number that QuickBooks uses inside for its release 2024; choose 2024 or"),
        ("33", TODAY, "for its release 2023, whose support has ended; the oldest that can be connected is 2024"),
        ("33.0", TODAY, "for its release 2023, whose support has ended"),
        ("Enterprise 33.0 R12", TODAY, "for its release 2023"),
        ("31", TODAY, "for its release 2021, whose support has ended"),
        ("40.0", TODAY, "for its release 2030; known are 2024 or Enterprise 24.0"),
        ("2029", TODAY, "no release 2029 of QuickBooks Desktop is known here"),
    ],
)
def test_support_ends_with_its_day(text: str, today: date, said: str | None) -> None:
    """The last day counts as supported; the refusal names the day and what to choose."""
    if said is None:
        assert read_release(text, today=today).text == text
        return
    with pytest.raises(ReleaseRefusedError, match=re.escape(said)):
        read_release(text, today=today)


def test_notes_on_releases() -> None:
    """One that ends soon is accepted with a note; the end of 2024 is nobody's word, but expected."""
    assert "expected to end in September 2027" in str(read_release("2024", today=date(2027, 8, 1)).note)
    assert read_release("2024", today=TODAY).note is None


async def test_a_release_that_nobody_knows_is_asked_back(world: World) -> None:
    """A newer one than we know is accepted only when a person has read it in QuickBooks; a far one never."""
    body = {"name": "Acme", "quickbooks_release": "Enterprise 26.0"}
    asked = await world.http.post("/v1/companies", json=body)
    assert (asked.status_code, asked.json()["code"]) == (422, "release_unknown")
    assert "release_confirmed" in asked.json()["issues"][0]["next_step"]
    made = await world.http.post("/v1/companies", json=body | {"release_confirmed": True})
    assert made.status_code == 201
    assert "newer than the newest one" in made.json()["notes"][0]
    far = await world.http.post("/v1/companies", json=body | {"release_confirmed": True, "quickbooks_release": "2029"})
    assert far.json()["code"] == "release_refused"


async def test_an_upgrade_is_noted(world: World) -> None:
    """The release can be changed later, by the same rule."""
    await world.connect()
    changed = await world.http.patch(ONE, json={"quickbooks_release": "Enterprise 24.0 R7"})
    assert changed.json()["quickbooks_release"] == "Enterprise 24.0 R7"
    assert (await world.http.patch(ONE, json={"quickbooks_release": "2022"})).json()["code"] == "release_refused"


async def test_each_state_has_a_reason_and_a_next_step(world: World) -> None:
    """Whoever reads the state knows why it is so and what to do; a working connection asks for nothing."""
    await world.connect()

    async def connection() -> dict[str, Any]:
        found: dict[str, Any] = (await world.http.get(ONE)).json()["connection"]
        return found

    waiting = await connection()
    assert (waiting["state"], "never called" in waiting["reason"]) == ("waiting_for_first_contact", True)
    assert "https://qbd.example.com/qbwc" in waiting["next_step"]
    with world.database.transaction() as session:
        record_incident(session, company_id="acme", at=NOW, code="wrong_password", text="x")
    locked_out = await connection()
    assert locked_out["state"] == "waiting_for_first_contact"
    assert "wrong password" in locked_out["reason"]
    _set(world, last_seen_at=NOW + timedelta(seconds=1))
    connected = await connection()
    assert (connected["state"], connected["next_step"]) == ("connected", None)
    _set(world, last_seen_at=NOW - timedelta(hours=2))
    assert "wrong password" in (await connection())["reason"]
    with world.database.transaction() as session:
        session.execute(update(Incident).values(at=NOW - timedelta(days=2)))
    stale = await connection()
    assert stale["state"] == "stale"
    assert "2026-11-23 08:00" in stale["reason"]
    assert "Auto-Run" in stale["next_step"]
    _set(world, problem={"code": "x", "cause": "A dialog is open.", "next_step": "Close it.", "owner": "bookkeeper"})
    refused = await connection()
    assert (refused["state"], refused["reason"], refused["next_step"]) == ("refused", "A dialog is open.", "Close it.")
    _set(world, paused=True)
    assert (await connection())["state"] == "paused"


@pytest.mark.parametrize("grace_minutes", [None, 0, 5])
async def test_the_old_password_has_its_grace_time(
    world: World, clock: stores.Clock, grace_minutes: int | None
) -> None:
    """The Web Connector goes on with the old password until the told time and not at it."""
    bridge = Bridge(world.database, clock)
    clock.now = NOW
    body = None if grace_minutes is None else {"grace_minutes": grace_minutes}
    answer = (await world.http.post(f"{ONE}/password", json=body)).json()
    minutes = 60 if grace_minutes is None else grace_minutes
    until = answer["old_password_valid_until"]
    assert (until is None) == (minutes == 0)

    def signs_in(password: str) -> bool:
        return bridge.dispatcher.authenticate("qbwc-acme", password)[1] != "nvu"

    assert signs_in(answer["password"])
    assert signs_in(stores.PASSWORD) is (minutes > 0)
    clock.forward(minutes=minutes, seconds=-1)
    assert signs_in(stores.PASSWORD) is (minutes > 0)
    clock.forward(seconds=1)
    assert not signs_in(stores.PASSWORD)
    assert signs_in(answer["password"])
    clock.now = NOW
    second = (await world.http.post(f"{ONE}/password")).json()
    assert signs_in(second["password"])
    assert signs_in(answer["password"])
    assert not signs_in(stores.PASSWORD)
    bridge.close()


@pytest.mark.parametrize("grace", [-1, 1441, "60", 1.5])
async def test_a_grace_time_that_is_none(world: World, grace: Any) -> None:
    """At most a day, in whole minutes."""
    await world.connect()
    answer = await world.http.post(f"{ONE}/password", json={"grace_minutes": grace})
    assert answer.status_code == 422
    assert answer.json()["issues"][0]["path"] == "grace_minutes"


@pytest.mark.parametrize("is_bound", [False, True])
async def test_new_ids_are_accepted_by_the_company_guard(world: World, clock: stores.Clock, is_bound: bool) -> None:
    """After new ids the new .qwc exports into the same file; nothing is lost or doubled on the way."""
    bridge = Bridge(world.database, clock)
    if is_bound:
        bridge.queue(stores.an_invoice("inv_1"))
        assert bridge.update().outcome == "ok"
    answer = (await world.http.post(f"{ONE}/rotate-ids")).json()
    assert {answer["owner_id"], answer["file_id"]}.isdisjoint({stores.OWNER_ID, stores.FILE_ID})
    assert "Remove the old entry" in [step["title"] for step in answer["steps"]]
    qwc = (await world.http.get(f"{ONE}/qwc")).text
    assert answer["owner_id"] in qwc
    assert answer["file_id"] in qwc
    bridge.queue(stores.an_invoice("inv_2"))
    if is_bound:
        # The old entry is not removed yet: name and path still say that it is the right file.
        assert bridge.update().outcome == "ok"
        bridge.queue(stores.an_invoice("inv_3"))
    new = read_qwc(a_qwc("acme", owner_id=answer["owner_id"], file_id=answer["file_id"]))
    bridge.connector = WebConnector(new, stores.PASSWORD, bridge.quickbooks, http=bridge.http)
    assert bridge.update().outcome == "ok"
    assert len(bridge.quickbooks.ledger) == (3 if is_bound else 1)
    bridge.must_hold()
    bridge.close()
