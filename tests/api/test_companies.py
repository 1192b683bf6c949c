"""Companies over the API."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from store import secrets
from store.tables import Company
from tms_api.companies import username_for
from tms_api.releases import ReleaseRefusedError, note_on, read_release

from .conftest import NOW, World

GUID = re.compile(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}")


def _row(world: World, company_id: str = "acme") -> Company:
    with world.database.transaction() as session:
        row = session.get(Company, company_id)
        assert row is not None
        return row


def _set(world: World, **values: Any) -> None:
    with world.database.transaction() as session:
        row = session.get(Company, "acme")
        for name, value in values.items():
            setattr(row, name, value)


async def test_connect_gives_everything_for_the_web_connector(world: World) -> None:
    """A new company comes with user name, password and the address of its .qwc file."""
    created = await world.connect()
    assert created["username"] == "qbwc-acme"
    assert created["qwc_url"] == "http://api/v1/companies/acme/qwc"
    assert created["connection"]["state"] == "waiting_for_first_contact"
    assert created["queue"] == {"waiting": 0, "in_flight": 0}
    assert created["run_every_minutes"] == 15
    assert secrets.password_matches(created["password"], _row(world).password_hash)
    assert GUID.fullmatch(_row(world).owner_id)
    assert GUID.fullmatch(_row(world).file_id)
    assert _row(world).owner_id != _row(world).file_id


async def test_password_is_shown_once_and_kept_nowhere(world: World) -> None:
    """No later answer, no stored value and no log line holds the password."""
    with structlog.testing.capture_logs() as lines:
        created = await world.connect()
        shown = [await world.http.get(f"/v1/companies{path}") for path in ("", "/acme", "/acme/qwc", "/acme/mapping")]
        await world.http.post("/v1/companies", json={"id": "acme", "name": "x", "quickbooks_release": "2024"})
    password = created["password"]
    assert all(password not in answer.text for answer in shown)
    assert password not in str(lines)
    stored = {column.name: getattr(_row(world), column.name) for column in Company.__table__.columns}
    assert password not in str(stored)


async def test_new_password_takes_its_place(world: World) -> None:
    """A renewed password is the only one that signs in."""
    created = await world.connect()
    answer = await world.http.post("/v1/companies/acme/password")
    renewed = answer.json()["password"]
    assert answer.headers["cache-control"] == "no-store"
    assert renewed != created["password"]
    assert secrets.password_matches(renewed, _row(world).password_hash)
    assert not secrets.password_matches(created["password"], _row(world).password_hash)


async def test_qwc_is_an_attachment_that_stays_the_same(world: World) -> None:
    """Two downloads name the same owner and file, even after a change of settings."""
    await world.connect()
    first = await world.http.get("/v1/companies/acme/qwc")
    await world.http.patch("/v1/companies/acme", json={"name": "Other", "run_every_minutes": 30})
    await world.http.post("/v1/companies/acme/password")
    second = await world.http.get("/v1/companies/acme/qwc")
    assert first.headers["content-disposition"] == 'attachment; filename="acme.qwc"'
    assert first.text == second.text
    assert _row(world).owner_id in first.text


async def test_duplicate_id_is_refused(world: World) -> None:
    """A second company with the same id is a conflict and changes nothing."""
    await world.connect()
    answer = await world.http.post("/v1/companies", json={"id": "acme", "name": "Other", "quickbooks_release": "2024"})
    assert (answer.status_code, answer.json()["code"]) == (409, "company_exists")
    assert _row(world).name == "Acme Logistics LLC"


async def test_an_absent_id_is_made(world: World) -> None:
    """Without an id each company gets one of its own."""
    body = {"name": "Acme", "quickbooks_release": "Enterprise 24.0", "country": "CA", "run_every_minutes": 20}
    ids = {(await world.http.post("/v1/companies", json=body)).json()["id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"id": ".."}, "id"),
        ({"id": "a/b"}, "id"),
        ({"id": "a" * 65}, "id"),
        ({"id": ""}, "id"),
        ({"name": ""}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"quickbooks_release": "2019"}, "quickbooks_release"),
        ({"quickbooks_release": "Enterprise 23.0"}, "quickbooks_release"),
        ({"quickbooks_release": "Xero"}, "quickbooks_release"),
        ({"country": "DE"}, "country"),
        ({"run_every_minutes": 0}, "run_every_minutes"),
        ({"run_every_minutes": 1441}, "run_every_minutes"),
        ({"run_every_minutes": "15"}, "run_every_minutes"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_bad_company_is_refused(world: World, changes: dict[str, Any], path: str) -> None:
    """Each bad field is named with a next step."""
    body = {"name": "Acme", "quickbooks_release": "2024"} | changes
    answer = await world.http.post("/v1/companies", json=body)
    assert answer.status_code == 422
    assert [issue["path"] for issue in answer.json()["issues"]] == [path]


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2024", 2024),
        ("24.0", 2024),
        ("Enterprise 24.0", 2024),
        ("QuickBooks Desktop Premier Plus 2024", 2024),
        ("QuickBooks for Mac 2024", None),
        ("Pro Plus 2024", 2024),
        ("enterprise  24.0 R3", 2024),
        ("2026", 2026),
    ],
)
def test_releases(text: str, year: int | None) -> None:
    """The usual ways to write a release are understood; a newer one is taken with a note when it is confirmed."""
    if year is None:
        with pytest.raises(ReleaseRefusedError):
            read_release(text, today=NOW.date())
        return
    release = read_release(text, today=NOW.date(), is_confirmed=year > 2024)
    assert release.year == year
    assert len(release.text) <= 20
    assert read_release(release.text, today=NOW.date(), is_confirmed=year > 2024).year == year
    assert (release.note is not None) == (year > 2024)


async def test_settings_change_one_by_one(world: World) -> None:
    """A change keeps what it does not name."""
    await world.connect()
    answer = await world.http.patch(
        "/v1/companies/acme", json={"paused": True, "company_file": "C:\\QB\\Acme.qbw", "ref_number_rule": "refuse"}
    )
    changed = answer.json()
    assert changed["paused"] is True
    assert changed["connection"]["state"] == "paused"
    assert changed["company_file"] == "C:\\QB\\Acme.qbw"
    assert changed["ref_number_rule"] == "refuse"
    assert changed["name"] == "Acme Logistics LLC"
    for bad in ({"paused": "yes"}, {"ref_number_rule": "random"}, {"name": " "}, {"id": "other"}):
        assert (await world.http.patch("/v1/companies/acme", json=bad)).status_code == 422


async def test_connection_states(world: World) -> None:
    """The state follows the last contact and a known problem."""
    await world.connect()

    async def state() -> str:
        return str((await world.http.get("/v1/companies/acme")).json()["connection"]["state"])

    _set(world, last_seen_at=NOW - timedelta(minutes=45))
    assert await state() == "connected"
    _set(world, last_seen_at=NOW - timedelta(minutes=46))
    assert await state() == "stale"
    _set(world, problem={"code": "wrong_company_file", "message": "Another file is open."})
    assert await state() == "refused"


async def test_what_counts_as_silence_is_judged_anew_when_it_changes(world: World) -> None:
    """Pauses, intervals and quiet hours: the next look at the connection is at once."""
    await world.connect()
    quiet = {"from": "22:00", "until": "05:00", "time_zone": "America/Chicago"}
    for method, path, body in (
        ("PATCH", "", {"run_every_minutes": 5}), ("PUT", "/quiet-hours", quiet), ("DELETE", "/quiet-hours", None),
    ):  # fmt: skip
        _set(world, look_at=NOW + timedelta(hours=3))
        answer = await world.http.request(method, f"/v1/companies/acme{path}", json=body)
        assert answer.is_success
        with world.database.transaction() as session:
            assert session.scalar(select(Company.look_at)) == NOW, (method, path)


async def test_companies_are_listed_in_pages(world: World) -> None:
    """Following the cursor gives every company once."""
    for name in ("a", "b", "c"):
        await world.connect(name)
    seen, cursor = [], ""
    while True:
        page = (await world.http.get(f"/v1/companies?limit=2{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == ["a", "b", "c"]


async def test_mapping_round_trip(world: World) -> None:
    """Entries are set, shown and removed, also under keys with slashes."""
    await world.connect(mapping={})
    base = "/v1/companies/acme/mapping"
    item = {"invoice": {"item": {"full_name": "Linehaul"}}}
    assert (await world.http.put(f"{base}/charges/LINEHAUL", json=item)).status_code == 200
    assert (await world.http.put(f"{base}/terms/2%2F10 net 30", json={"full_name": "2% 10"})).status_code == 200
    tax = {"tax_code": {"full_name": "Non"}}
    assert (await world.http.put(f"{base}/defaults/invoice", json=tax)).status_code == 200
    mapping = (await world.http.get(base)).json()
    assert mapping["charges"]["LINEHAUL"]["invoice"]["item"]["full_name"] == "Linehaul"
    assert list(mapping["terms"]) == ["2/10 net 30"]
    assert mapping["defaults"]["invoice"]["tax_code"]["full_name"] == "Non"
    assert (await world.http.delete(f"{base}/terms/2%2F10 net 30")).status_code == 204
    assert (await world.http.delete(f"{base}/terms/2%2F10 net 30")).status_code == 204
    assert (await world.http.get(base)).json()["terms"] == {}


async def test_bad_mapping_is_refused_with_every_reason(world: World) -> None:
    """A mapping that cannot be read changes nothing."""
    await world.connect()
    base = "/v1/companies/acme/mapping"
    answer = await world.http.put(base, json={"customers": {"c": {}}, "nonsense": {}})
    assert answer.json()["code"] == "mapping_invalid"
    assert {issue["path"] for issue in answer.json()["issues"]} == {"customers.c", "nonsense"}
    assert (await world.http.put(f"{base}/charges/X", json={"invoice": {}})).status_code == 422
    assert (await world.http.put(f"{base}/nonsense/X", json={"full_name": "x"})).status_code == 404
    assert (await world.http.get(base)).json()["customers"]["cus_88"]["full_name"] == "Cafe Rio Foods"


def test_user_names_fit_and_differ() -> None:
    """The longest ids keep different names of at most 64 characters."""
    names = {username_for("a" * 63 + end) for end in "bc"}
    assert len(names) == 2
    assert all(len(name) <= 64 for name in names)


async def test_an_outdated_release_is_still_shown(world: World) -> None:
    """A company that was connected years ago can be looked at, with a note."""
    await world.connect()
    _set(world, quickbooks_release="2021")
    [note] = (await world.http.get("/v1/companies/acme")).json()["notes"]
    assert "2021" in note
    assert note == note_on("2021", today=NOW.date())
