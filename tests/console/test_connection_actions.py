"""What a bookkeeper can do on the connection's page, in a real browser at both widths, and what the PC makes of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from simulator.sample_company import freight_company

from .conftest import NewWindow, Window, World
from .troubles import to_file

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("width", ["wide", "narrow"]),
]
expect.set_options(timeout=60_000)  # a machine that does much else is slow, not wrong


def _at_the_connection(world: World, window: NewWindow, width: str) -> Window:
    one = window(width)
    one.page.goto(world.link())
    one.page.get_by_role("button", name="Open the console").click()
    one.page.goto(f"{world.origin}/c/acme/connection")
    return one


def _looks_well(one: Window) -> None:
    one.axe()
    one.fits()


def _state(page: Page, text: str) -> None:
    expect(page.locator("#state")).to_contain_text(text)


def _open(page: Page, what: str) -> None:
    page.locator("summary", has_text=what).click()


def test_pause_quiet_hours_and_schedule(world: World, window: NewWindow, width: str) -> None:
    """Nothing is sent while it is paused or quiet, and the page says so; afterwards it goes on."""
    one, connector = _at_the_connection(world, window, width), world.web_connector()
    page = one.page
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused: nothing is sent to QuickBooks until you resume.")).to_be_visible()
    _state(page, "Resume it when exports may go on.")
    _looks_well(one)
    assert connector.run_once().outcome == "none"
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Resumed. What waits goes out when the Web Connector calls next.")).to_be_visible()

    page.get_by_label("From").fill("09:00")
    page.get_by_label("Until").fill("11:00")
    page.get_by_label("Time zone").select_option("Europe/London")
    page.get_by_role("button", name="Save quiet hours").click()
    expect(page.get_by_text("Saved: nothing is sent between 09:00 and 11:00.")).to_be_visible()
    assert connector.run_once().outcome == "none"
    _state(page, "Nothing is sent until the quiet hours end.")
    _looks_well(one)
    page.get_by_label("Until").fill("09:00")
    page.get_by_role("button", name="Save quiet hours").click()
    expect(page.get_by_text("Quiet hours were not saved: choose two different times")).to_be_visible()
    _looks_well(one)
    page.get_by_role("button", name="Have none").click()
    expect(page.get_by_text("Saved: there are no quiet hours any more.")).to_be_visible()

    page.get_by_label("Minutes between two calls").fill("30")
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.get_by_text('Set "Every_Min" to 30 in the Web Connector too')).to_be_visible()
    _state(page, "every 30 minutes")
    world.bring_lists(connector)
    _state(page, "Everything works.")
    _looks_well(one)


def test_new_password(world: World, window: NewWindow, width: str) -> None:
    """The old one goes on for its hour, or ends at once; a Web Connector that kept it is told on the page."""
    one, connector = _at_the_connection(world, window, width), world.web_connector()
    page = one.page
    _open(page, "New password")
    page.get_by_role("button", name="Make a new password").click()
    expect(page.get_by_role("heading", name="New password", level=1)).to_be_visible()
    expect(page.get_by_text("The old one works until the new one is used")).to_be_visible()
    assert connector.run_once().outcome == "ok"
    _looks_well(one)
    page.get_by_role("link", name="Done").click()
    _open(page, "New password")
    page.get_by_label("End the old one at once").check()
    page.get_by_role("button", name="Make a new password").click()
    password = page.locator("#the-password").inner_text()
    page.get_by_role("link", name="Done").click()
    assert connector.run_once().outcome == "nvu"
    _state(page, "A Web Connector signed in with a wrong password.")
    _looks_well(one)
    connector.password = password
    world.bring_lists(connector)
    _state(page, "Everything works.")


def test_new_ids(world: World, window: NewWindow, width: str) -> None:
    """The connection file changes; the entry that is added anew works with the same books."""
    one, connector = _at_the_connection(world, window, width), world.web_connector()
    page = one.page
    world.bring_lists(connector)
    _open(page, "New ids")
    page.get_by_role("button", name="Make new ids").click()
    expect(page.get_by_text("Remove the old entry")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the new acme.qwc").click()
    assert download.value.suggested_filename == "acme.qwc"
    _looks_well(one)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("region", name="What was noticed")).to_contain_text("New ids were made.")
    world.clock.forward(minutes=61)
    anew = world.web_connector(connector.company)
    assert anew.qwc.file_id != connector.qwc.file_id
    assert anew.run_once().outcome == "ok"
    _state(page, "Everything works.")


def test_another_company_file(world: World, window: NewWindow, width: str) -> None:
    """Another file is refused until the bookkeeper says that the books moved; the wish can be taken back."""
    one, connector = _at_the_connection(world, window, width), world.web_connector()
    page = one.page
    world.bring_lists(connector)
    moved = to_file(freight_company("Next Year Freight", clock=world.clock), connector)
    world.clock.forward(minutes=61)
    assert moved.run_once().outcome == "error"
    _state(page, "now Next Year Freight")
    _state(page, "you, the bookkeeper")
    _looks_well(one)
    _open(page, "Another company file")
    page.get_by_role("button", name="The books moved to another file").click()
    expect(page.get_by_text("Open the new company file").first).to_be_visible()
    _looks_well(one)
    move = page.get_by_role("region", name="Move to another company file")
    expect(move).to_contain_text("Waits for the next session")
    page.get_by_role("button", name="They did not move: stay with this file").click()
    expect(page.get_by_text("The connection stays with its company file.")).to_be_visible()
    assert moved.run_once().outcome == "error"
    _open(page, "Another company file")
    page.get_by_role("button", name="The books moved to another file").click()
    expect(page.get_by_text("Open the new company file").first).to_be_visible()
    world.bring_lists(moved)
    _state(page, "Everything works.")
    expect(page.get_by_role("region", name="QuickBooks", exact=True)).to_contain_text("Next Year Freight")
    _looks_well(one)


def test_lists_are_read_anew(world: World, window: NewWindow, width: str) -> None:
    """A customer that was added in QuickBooks is there after it."""
    one, connector = _at_the_connection(world, window, width), world.web_connector()
    page = one.page
    world.bring_lists(connector)
    _state(page, "Up to date")
    _open(page, "Read QuickBooks' lists anew")
    page.get_by_role("button", name="Read all lists anew").click()
    expect(page.get_by_text("QuickBooks' lists are read anew when the Web Connector calls next.")).to_be_visible()
    _state(page, "At the next call")
    _looks_well(one)
    world.bring_lists(connector)
    _state(page, "Up to date")
