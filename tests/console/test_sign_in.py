"""Signing in and out, forms, headers, and that one company's people see nothing of another."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from ops.ports import NO_TLS
from store import secrets
from store.console_tables import ConsoleSession
from store.tables import ApiKey

from .conftest import OF_ACME, READER, STAFF, World, bearer, form_token, send_form


def test_unknown_keys_are_slowed_down_by_address(world: World) -> None:
    """Sixty a minute, as at the API."""
    client = world.client()
    tries = [send_form(client, "/sign-in", {"key": f"qbd_{n}"}, page="/sign-in").status_code for n in range(62)]
    assert tries == [403] * 60 + [429] * 2


def test_who_is_not_signed_in_is_asked_to(world: World) -> None:
    """Every page leads to the sign-in and back; an address of another site is not gone to."""
    client = world.client()
    answer = client.get("/c/acme/connection?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fc%2Facme%2Fconnection%3Fx%3D1")
    back = send_form(client, "/sign-in", {"key": STAFF, "next": "/c/acme/connection?x=1"}, page="/sign-in")
    assert back.headers["location"] == "/c/acme/connection?x=1"
    for evil in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = send_form(world.client(), "/sign-in", {"key": STAFF, "next": evil}, page="/sign-in")
        assert answer.headers["location"] == "/"


def test_a_wrong_key_is_refused_and_a_revoked_one_ends_its_sessions(world: World) -> None:
    """As the API refuses them, and at the next click."""
    wrong = send_form(world.client(), "/sign-in", {"key": "qbd_wrong"}, page="/sign-in")
    assert wrong.status_code == 403
    assert "This key is not known" in wrong.text
    assert "qbd_wrong" not in wrong.text
    client = world.signed_in(STAFF)
    assert client.get("/companies").status_code == 200
    with world.database.transaction() as session:
        key = session.get(ApiKey, "staff")
        assert key is not None
        key.revoked_at = world.clock()
    assert client.get("/companies").headers["location"] == "/sign-in?next=%2Fcompanies"


def test_a_session_runs_out_and_ends_with_signing_out_for_every_copy(world: World) -> None:
    """The cookie alone is worth nothing afterwards."""
    client = world.signed_in()
    copied = dict(client.cookies)
    assert send_form(client, "/sign-out", {}, page="/companies").status_code == 303
    assert world.client(cookies=copied).get("/companies").status_code == 303
    later = world.signed_in()
    world.clock.forward(hours=11, minutes=59)
    assert later.get("/companies").status_code == 200
    world.clock.forward(minutes=1)
    assert later.get("/companies").status_code == 303


def test_a_link_works_once_and_looking_at_it_uses_nothing_up(world: World) -> None:
    """Programs that preview links only GET; the button signs in; the second time it is refused."""
    path = urlsplit(world.link()).path
    for _ in range(3):
        assert world.client().get(path).status_code == 200
    client = world.client()
    token = path.rpartition("/")[2]
    answer = send_form(client, "/link", {"token": token}, page=path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/c/acme")
    assert client.get("/c/acme", follow_redirects=True).status_code == 200
    other = world.client()
    assert other.get(path).status_code == 410
    assert send_form(other, "/link", {"token": token}, page="/sign-in").status_code == 410
    assert other.get("/c/acme/connection").status_code == 303


def test_a_link_runs_out_and_cannot_be_made_up(world: World) -> None:
    """Ten minutes; a changed one is none."""
    path = urlsplit(world.link()).path
    world.clock.forward(minutes=9, seconds=59)
    assert world.client().get(path).status_code == 200
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert world.client().get(changed).status_code == 410
    world.clock.forward(seconds=1)
    assert world.client().get(path).status_code == 410


def test_the_api_makes_the_link(world: World) -> None:
    """Admins only; it leads to the console of that company and is kept by no idempotency."""
    with httpx.Client(base_url=world.origin, trust_env=False, verify=NO_TLS) as api:
        assert api.post("/v1/companies/acme/console-link", headers=bearer(READER)).status_code == 403
        assert api.post("/v1/companies/rival/console-link", headers=bearer(OF_ACME)).status_code == 404
        headers = bearer() | {"Idempotency-Key": "once"}
        made = api.post("/v1/companies/acme/console-link", headers=headers)
        assert made.status_code == 201
        assert made.json()["url"].startswith(world.origin + "/link/")
        assert datetime.fromisoformat(made.json()["expires_at"]) == world.clock() + timedelta(minutes=10)
        assert api.post("/v1/companies/acme/console-link", headers=headers).json()["url"] is None
        assert api.get(urlsplit(made.json()["url"]).path).status_code == 200


def test_two_people_with_one_link(world: World) -> None:
    """Whoever is second is told so, also when both had the page open."""
    path = urlsplit(world.link()).path
    token = path.rpartition("/")[2]
    first, second = world.client(), world.client()
    pages = [form_token(one.get(path).text) for one in (first, second)]
    statuses = [
        one.post("/link", data={"form_token": page, "token": token}).status_code
        for one, page in zip((first, second), pages, strict=True)
    ]
    assert statuses == [303, 410]


@pytest.mark.parametrize("who", ["link", "key"])
def test_one_company_sees_nothing_of_another(world: World, who: str) -> None:
    """A company that exists and one that does not look the same, for every page and form."""
    client = world.by_link() if who == "link" else world.signed_in(OF_ACME)
    token = form_token(client.get("/c/acme/connection").text)
    checked = 0
    routers = [router for one in world.app.routes if (router := getattr(one, "original_router", None))]
    for route in (route for router in routers for route in router.routes):
        path = getattr(route, "path", "")
        if not path.startswith("/c/{company}"):
            continue
        for method in getattr(route, "methods", ()):
            answers = [
                client.request(
                    method,
                    path.replace("{company}", company).replace("{", "").replace("}", ""),
                    data={"form_token": token} if method == "POST" else None,
                )
                for company in ("rival", "nobody")
            ]
            assert [answer.status_code for answer in answers] == [404, 404], (method, path)
            first, second = (re.sub(r'name="once" value="[^"]+"', "", answer.text) for answer in answers)
            assert first == second, (method, path)
            checked += 1
    assert checked >= 3
    assert "Rival" not in client.get("/companies").text


def test_a_form_of_another_site_changes_nothing(world: World) -> None:
    """Wrong origin, no token, a token of somebody else, much too long."""
    client = world.signed_in()
    own = form_token(client.get("/companies").text)
    foreign = form_token(world.signed_in().get("/companies").text)
    tries: list[tuple[dict[str, str], dict[str, str], int]] = [
        ({"form_token": own}, {"Origin": "https://evil.example"}, 403),
        ({"form_token": own}, {"Origin": "null"}, 403),
        ({"form_token": own}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"form_token": own}, {"Sec-Fetch-Site": "same-site"}, 403),
        ({}, {"Origin": world.origin}, 403),
        ({"form_token": foreign}, {"Origin": world.origin}, 403),
        ({"form_token": own, "x": "x" * (4 * 1024 * 1024)}, {"Origin": world.origin}, 413),
    ]
    for data, headers, status in tries:
        assert client.post("/sign-out", data=data, headers=headers).status_code == status, headers
    assert client.get("/companies").status_code == 200
    login = world.client()
    token = form_token(login.get("/sign-in").text)
    answer = login.post(
        "/sign-in", data={"key": STAFF, "form_token": token}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert world.client().post("/sign-in", data={"key": STAFF, "form_token": token}).status_code == 403


def test_headers_and_cookies(world: World) -> None:
    """Strict on every page; the session's cookie is for the server alone."""
    client = world.client()
    answer = send_form(client, "/sign-in", {"key": STAFF}, page="/sign-in")
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("qbd_console="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    for path, status in (("/companies", 200), ("/sign-in?next=/x", 303), ("/nowhere", 404), ("/c/nobody", 404)):
        page = client.get(path, headers={"Accept": "text/html"})
        assert page.status_code == status
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        if status != 303:
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert " style=" not in page.text
            assert "<script>" not in page.text


def test_programs_get_problems_and_people_get_pages(world: World) -> None:
    """An address that does not exist answers each in its own way."""
    client = world.signed_in()
    page = client.get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert "There is nothing here" in page.text
    assert client.get("/v1/nowhere", headers={"Accept": "text/html"}).json()["code"] == "route_not_found"
    assert client.get("/nowhere").json()["code"] == "route_not_found"


def test_what_was_used_or_ran_out_is_forgotten(world: World) -> None:
    """Sessions do not pile up, and only hashes of ids are kept."""
    client = world.signed_in()
    world.clock.forward(hours=13)
    world.by_link()
    with world.database.transaction() as session:
        rows = session.query(ConsoleSession).all()
        assert len(rows) == 1
        assert all(secrets.fingerprint(value) != row.id_hash for value in client.cookies.values() for row in rows)
        assert rows[0].created_at > datetime(2026, 11, 1, tzinfo=UTC)
