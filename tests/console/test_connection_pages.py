"""Connecting, the connection, and the companies, without a browser: what the pages say and what their forms do."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import event, insert, select

from ops.ports import NO_TLS
from store import companies, states
from store.tables import Company, Request
from tests.support import stores

from .conftest import READER, World, bearer, form_token, send_form

CONNECTION = "/c/acme/connection"


def _company(world: World, company_id: str = "acme") -> Company:
    with world.database.transaction() as session:
        found = companies.company(session, company_id)
        assert found is not None
        return found


def _set(world: World, company_id: str = "acme", **fields: object) -> None:
    with world.database.transaction() as session:
        row = companies.company(session, company_id)
        for name, value in fields.items():
            setattr(row, name, value)


def test_only_supported_versions_can_be_chosen_and_older_ones_say_why(world: World) -> None:
    """The choice is disabled, and a form that sends it all the same is refused with the reason."""
    client = world.by_link()
    page = client.get("/c/acme/connect").text
    choices = dict(re.findall(r'name="release" value="([^"]+)" required( disabled)?', page))
    assert choices["Enterprise 24.0"] == ""
    assert choices["2022"] == " disabled"
    assert "Intuit ended the support of QuickBooks Desktop Enterprise 22.0 on May 31, 2025" in page
    refused = send_form(client, "/c/acme/connect", {"release": "2022"}, page="/c/acme/connect")
    assert refused.status_code == 422
    assert "2022 cannot be used" in refused.text
    assert _company(world).quickbooks_release == "2024"
    taken = send_form(client, "/c/acme/connect", {"release": "Enterprise 24.0"}, page="/c/acme/connect")
    assert taken.headers["location"] == "/c/acme/connect/ready"
    other = {"release": "other", "other": "Enterprise 25.0"}
    asked = send_form(client, "/c/acme/connect", other, page="/c/acme/connect")
    assert asked.status_code == 422
    assert "no release 25.0 of QuickBooks Desktop is known here" in asked.text
    assert 'name="confirmed"' in asked.text
    newer = send_form(client, "/c/acme/connect", other | {"confirmed": "yes"}, page="/c/acme/connect")
    assert newer.status_code == 303
    assert _company(world).quickbooks_release == "Enterprise 25.0"


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ({"every": "20"}, 20),
        ({"every": "other", "own": "45"}, 45),
        ({"every": "other", "own": "0"}, 15),
        ({"every": "x"}, 15),
    ],
)
def test_the_schedule_is_in_the_file(world: World, form: dict[str, str], kept: int) -> None:
    """15, 20, 30 or an own one; nonsense is refused."""
    client = world.by_link()
    answer = send_form(client, "/c/acme/connect/download", form, page="/c/acme/connect/file")
    assert answer.status_code == 303
    assert _company(world).run_every_minutes == kept
    is_taken = form["every"] == "20" or form.get("own") == "45"
    assert answer.headers["location"] == ("/c/acme/qwc" if is_taken else "/c/acme/connect/file")
    assert ("Not saved" in client.get("/c/acme/connect/file").text) is not is_taken
    assert "Not saved" not in client.get("/c/acme/connect/file").text, "a message is shown once"


def test_the_schedule_of_the_connection_page_is_in_its_file(world: World) -> None:
    """One button saves, the other one saves and gives the file."""
    client = world.by_link()
    form = {"minutes": "25", "download": "yes"}
    answer = send_form(client, f"{CONNECTION}/schedule", form, page=CONNECTION)
    assert (answer.headers["location"], _company(world).run_every_minutes) == ("/c/acme/qwc", 25)
    answer = send_form(client, f"{CONNECTION}/schedule", {"minutes": "35"}, page=CONNECTION)
    assert (answer.headers["location"], _company(world).run_every_minutes) == (CONNECTION, 35)


def shown_password(page: str) -> str | None:
    found = re.search(r'<code id="the-password">([^<]+)</code>', page)
    return found[1] if found else None


def test_the_password_is_shown_to_its_maker_for_half_an_hour(world: World) -> None:
    """On its step and the next one, back and forth; in no other browser and not later; the Web Connector signs in."""
    client, other = world.by_link(), world.by_link()
    made = send_form(client, "/c/acme/connect/password", {}, page="/c/acme/connect/file")
    assert (made.status_code, made.headers["location"]) == (303, "/c/acme/connect/file#password")
    password = shown_password(client.get("/c/acme/connect/file").text)
    assert password is not None
    pages = [client.get(f"/c/acme/connect/{step}").text for step in ("allow", "file", "allow")]
    assert {shown_password(page) for page in pages} == {password}
    assert "Keep this page open" not in "".join(pages)
    assert all(password not in cookie.value for cookie in client.cookies.jar if cookie.value)
    stolen = {cookie.name: cookie.value or "" for cookie in client.cookies.jar if cookie.name == "qbd_shown"}
    other.cookies.update(stolen)
    assert shown_password(other.get("/c/acme/connect/file").text) is None
    world.clock.forward(minutes=31)
    assert shown_password(client.get("/c/acme/connect/file").text) is None
    assert world.web_connector(password=password).run_once().outcome == "ok"
    assert world.web_connector(password=stores.PASSWORD).run_once().outcome == "nvu"


def test_the_file_is_downloaded(world: World) -> None:
    """As an attachment, with this company's ids."""
    answer = world.by_link().get("/c/acme/qwc")
    assert answer.headers["content-disposition"] == 'attachment; filename="acme.qwc"'
    assert f"<UserName>{_company(world).username}</UserName>" in answer.text


def test_pausing_quiet_hours_and_schedule(world: World) -> None:
    """Each form does what the API's call does."""
    client = world.by_link()
    send_form(client, f"{CONNECTION}/pause", {"paused": "true"}, page=CONNECTION)
    assert _company(world).paused
    assert "Paused" in client.get(CONNECTION).text
    send_form(client, f"{CONNECTION}/pause", {"paused": "false"}, page=CONNECTION)
    assert not _company(world).paused
    form = {"begins": "09:00", "until": "11:00", "time_zone": "UTC"}
    send_form(client, f"{CONNECTION}/quiet-hours", form, page=CONNECTION)
    assert _company(world).quiet_hours == {"from": "09:00", "until": "11:00", "time_zone": "UTC"}
    assert world.web_connector().run_once().outcome == "none"
    page = client.get(CONNECTION).text
    assert "Quiet hours" in page
    assert "Nothing is sent until the quiet hours end" in page
    for bad in ({"until": "09:00"}, {"begins": "25:00"}, {"time_zone": "Mars/Olympus"}):
        send_form(client, f"{CONNECTION}/quiet-hours", form | bad, page=CONNECTION)
        assert "Quiet hours were not saved" in client.get(CONNECTION).text
    send_form(client, f"{CONNECTION}/quiet-hours/end", {}, page=CONNECTION)
    assert _company(world).quiet_hours is None
    send_form(client, f"{CONNECTION}/schedule", {"minutes": "30"}, page=CONNECTION)
    assert _company(world).run_every_minutes == 30


def test_new_password_new_ids_and_another_file(world: World) -> None:
    """The old password goes on for its hour or ends at once; ids change; the wish to move can be taken back."""
    client = world.by_link()
    connector = world.web_connector()
    world.bring_lists(connector)
    made = send_form(client, f"{CONNECTION}/password", {}, page=CONNECTION)
    assert "The old one works until the new one is used" in client.get(made.headers["location"]).text
    assert connector.run_once().outcome != "nvu"
    send_form(client, f"{CONNECTION}/password", {"ends": "now"}, page=CONNECTION)
    assert connector.run_once().outcome == "nvu"
    before = _company(world).file_id
    page = send_form(client, f"{CONNECTION}/ids", {}, page=CONNECTION)
    assert "Remove the old entry" in client.get(page.headers["location"]).text
    assert _company(world).file_id != before
    send_form(client, f"{CONNECTION}/rebind", {}, page=CONNECTION)
    assert _company(world).rebind_requested_at is not None
    assert "Open the new company file" in client.get(CONNECTION).text
    send_form(client, f"{CONNECTION}/stay", {}, page=CONNECTION)
    assert _company(world).rebind_requested_at is None
    send_form(client, f"{CONNECTION}/sync", {}, page=CONNECTION)
    assert "At the next call" in client.get(CONNECTION).text


def test_a_reading_key_sees_no_button_and_can_press_none(world: World) -> None:
    """The page has no form but the sign-out, and every form that is sent all the same is refused."""
    client = world.signed_in(READER)
    page = client.get(CONNECTION).text
    assert re.findall(r'<form method="post" action="([^"]+)"', page) == ["/sign-out"]
    assert 'href="/companies/new"' not in client.get("/companies").text
    token = form_token(page)
    routers = [router for one in world.app.routes if (router := getattr(one, "original_router", None))]
    checked = 0
    for route in (route for router in routers for route in router.routes):
        path = getattr(route, "path", "")
        if "POST" not in getattr(route, "methods", ()) or not path.startswith(("/c/{company}", "/companies")):
            continue
        address = path.replace("{company}", "acme").replace("{", "").replace("}", "")
        answer = client.post(address, data={"form_token": token})
        assert answer.status_code == 403, path
        assert "may look at this, but not change it" in answer.text
        checked += 1
    assert checked >= 12


def test_companies_worst_first(world: World) -> None:
    """Refused, stale, never seen, paused, connected; among equals the oldest pending export."""
    now = world.clock()
    late = now - timedelta(hours=3)
    states: dict[str, dict[str, object]] = {
        "fine": {"last_seen_at": now},
        "fine-waits": {"last_seen_at": now},
        "stale": {"last_seen_at": late},
        "refused": {
            "last_seen_at": now,
            "problem": {"code": "x", "cause": "A dialog is open.", "next_step": "Close it."},
        },
        "paused": {"last_seen_at": now, "paused": True},
    }
    for name, fields in states.items():
        stores.add_company(world.database, name, name=f"Company {name}", **fields)
    _wait(world, "fine-waits", late)
    page = world.signed_in().get("/companies").text
    shown = re.findall(r'<tr id="company-([^"]+)"', page)
    assert shown == ["refused", "stale", "acme", "rival", "paused", "fine-waits", "fine"]
    assert "A dialog is open." in page
    assert "3 hours ago" in page


def test_ten_thousand_companies_are_read_lightly_and_shown_by_pages(world: World) -> None:
    """The worst stands first although its name is last; a page costs as many statements as with fewer companies."""
    client, counted = world.signed_in(), list[str]()
    event.listen(world.database.engine, "before_cursor_execute", lambda *args: counted.append(args[2]))

    def statements(address: str) -> tuple[int, list[str]]:
        counted.clear()
        page = client.get(address).text
        return len(counted), re.findall(r'<tr id="company-([^"]+)"', page)

    def add(numbers: range) -> None:
        with world.database.transaction() as session:
            like = session.execute(select(Company.__table__).where(Company.id == "acme")).one()._asdict()
            like = {name: value for name, value in like.items() if value is not None}
            fresh = {"last_seen_at": world.clock()}
            rows = [like | fresh | {"id": f"c{n:05}", "username": f"u{n}", "name": f"C {n:05}"} for n in numbers]
            session.execute(insert(Company), rows)

    add(range(200))
    few, _ = statements("/companies/rows")
    add(range(200, 9_998))
    _set(world, "c00000", problem={"code": "x"})
    _set(world, "c00000", problem=None)  # mended: a problem that was there once counts no more
    _set(world, "c09997", problem={"code": "x", "cause": "A dialog is open.", "next_step": "Close it."})
    many, shown = statements("/companies/rows")
    assert shown[:4] == ["c09997", "acme", "rival", "c00000"]
    assert len(shown) == 100
    assert many == few
    assert statements("/companies?page=100")[1][-1] == "c09996"


def _wait(world: World, company_id: str, since: object) -> None:
    from store.tables import Export

    with world.database.transaction() as session:
        export = Export(
            company_id=company_id,
            kind="invoice",
            document_id="i",
            number="1",
            content_hash="",
            document={},
            state="Queued",
            created_at=since,
            updated_at=since,
        )
        session.add(export)
        session.flush()
        session.add(
            Request(
                id="R1",
                company_id=company_id,
                export_id=export.id,
                run_id="r",
                workflow_id="w",
                operation="InvoiceAdd",
                body="",
                facts={},
                state=states.WAITING,
                batch_max=1,
                available_at=since,
                created_at=since,
            )
        )


def test_staff_connect_a_company(world: World) -> None:
    """From the list to its first step; an id that is taken is said."""
    client = world.signed_in()
    form = {"name": "New Freight", "company_id": "newfreight", "release": "Enterprise 24.0"}
    made = send_form(client, "/companies/new", form, page="/companies/new")
    assert made.headers["location"] == "/c/newfreight/connect"
    again = send_form(client, "/companies/new", form, page="/companies/new")
    assert (again.status_code, "There is a company with this id" in again.text) == (409, True)
    bad = send_form(client, "/companies/new", form | {"company_id": "a b"}, page="/companies/new")
    assert (bad.status_code, "The ID may hold letters" in bad.text) == (422, True)
    with httpx.Client(base_url=world.origin, trust_env=False, verify=NO_TLS, headers=bearer()) as api:
        assert api.get("/v1/companies/newfreight").json()["quickbooks_release"] == "Enterprise 24.0"
