"""Every screen of connecting in a real browser, at both widths and in both schemes.

With QBD_TEST_SCREENSHOTS set, the pictures of the guide are taken anew.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from store import companies
from tests.support import stores

from .conftest import STAFF, NewWindow, Window, World

expect.set_options(timeout=30_000)  # the connection's page asks every five seconds, as long as the default


def _look(one: Window, name: str, *, dark: bool, width: str) -> None:
    one.axe()
    one.fits()
    if not dark:
        one.screenshot(f"{name}-{'1440' if width == 'wide' else '360'}")


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_connecting(world: World, window: NewWindow, width: str, dark: bool) -> None:
    """The whole way of a bookkeeper from the link to the lists, with a problem on it; then the connection's page."""
    one = window(width, dark=dark)
    page = one.page
    page.goto(world.link())
    _look(one, "link", dark=dark, width=width)
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("radio", name="Enterprise 22.0")).to_be_disabled()
    page.get_by_role("radio", name="Enterprise 24.0").check()
    _look(one, "connect-1-software", dark=dark, width=width)
    page.get_by_role("button", name="Go on").click()
    for box in page.get_by_role("checkbox").all():
        box.check()
    _look(one, "connect-2-ready", dark=dark, width=width)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("radio", name="Every 20 minutes").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download acme.qwc").click()
    assert download.value.suggested_filename == "acme.qwc"
    page.get_by_role("button", name="Make and show the password").click()
    password = page.locator("#the-password").inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the password").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == password
    _look(one, "connect-3-file", dark=dark, width=width)
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("img", name="Yes, always; allow access even if QuickBooks is not running")).to_be_visible()
    _look(one, "connect-4-allow", dark=dark, width=width)
    page.get_by_role("link", name="I did this").click()
    expect(page.get_by_text("Nothing has called yet")).to_be_visible()
    _look(one, "connect-5-waiting", dark=dark, width=width)
    connector = world.web_connector(password=password)
    connector.company.faults.modal_dialog()
    connector.run_once()
    expect(page.get_by_role("heading", name="Something is in the way")).to_be_visible()
    _look(one, "connect-5-problem", dark=dark, width=width)
    world.bring_lists(connector)
    page.wait_for_url("**/c/acme/mapping/charges")
    expect(page.get_by_role("heading", name="Mapping", level=1)).to_be_visible()
    page.goto(f"{world.origin}/c/acme/connect/wait")
    _look(one, "connect-5-done", dark=dark, width=width)
    page.goto(f"{world.origin}/c/acme/connection")
    expect(page.get_by_role("region", name="State").get_by_text("Everything works.")).to_be_visible()
    _look(one, "connection", dark=dark, width=width)
    for more in page.locator("details").all():
        more.locator("summary").click()
    _look(one, "connection-changes", dark=dark, width=width)
    page.goto(f"{world.origin}/sign-in")


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_companies(world: World, window: NewWindow, width: str, dark: bool) -> None:
    """Staff see the worst first; a new problem shows without a reload."""
    now = world.clock()
    fields = {"last_seen_at": now, "lists_are_here": True}
    stores.add_company(world.database, "summit", name="Summit Carriers Inc.", **fields)
    stores.add_company(world.database, "harbor", name="Harbor Freight Brokers", **fields | {"paused": True})
    stores.add_company(
        world.database, "prairie", name="Prairie Logistics LLC", **fields | {"last_seen_at": now - timedelta(hours=3)}
    )
    problem = {
        "code": "wrong_company_file",
        "cause": "Another company file is open: Sample Company.qbw instead of Lakeside.qbw.",
        "owner": "bookkeeper",
        "next_step": "Open the right company file.",
        "at": now.isoformat(),
    }
    stores.add_company(world.database, "lakeside", name="Lakeside Transport", **fields | {"problem": problem})
    one = window(width, dark=dark)
    page = one.page
    page.goto(f"{world.origin}/sign-in")
    page.get_by_label("API key").fill(STAFF)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("tbody tr").first).to_contain_text("Lakeside Transport")
    _look(one, "companies", dark=dark, width=width)
    page.goto(f"{world.origin}/c/lakeside/connection")
    _look(one, "connection-problem", dark=dark, width=width)
    with world.database.transaction() as session:
        row = companies.company(session, "lakeside")
        assert row is not None
        row.problem = None
    expect(page.get_by_role("region", name="State").get_by_text("Everything works.")).to_be_visible()
    page.goto(f"{world.origin}/companies/new")
    _look(one, "company-new", dark=dark, width=width)
