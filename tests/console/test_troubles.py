"""What is in the way of connecting, as the bookkeeper sees it on the waiting page and on the connection's, and its end.

Each trouble is brought about by the simulated Web Connector and QuickBooks against the real bridge.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import NewWindow, Window, World
from .troubles import TROUBLES

expect.set_options(timeout=60_000)  # a machine that does much else is slow, not wrong


def _also(one: Window) -> Window:
    """Give a second tab of the same browser, whose errors count too."""
    page = one.context.new_page()
    page.on("console", lambda message: one.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: one.errors.append(str(error)))
    return Window(page, one.context, one.errors)


def _looks_well(*tabs: Window) -> None:
    for one in tabs:
        one.axe()
        one.fits()


def _is_said(page: Page, region: str, *texts: str) -> None:
    for text in texts:
        expect(page.locator(region)).to_contain_text(text)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_a_trouble_is_said_on_both_pages_and_its_mend_leads_on(
    world: World, window: NewWindow, width: str, name: str
) -> None:
    """Cause, owner and steps appear without a reload; so does the end: the waiting page goes on to mapping."""
    trouble = TROUBLES[name]
    waiting = window(width)
    waiting.page.goto(world.link())
    waiting.page.get_by_role("button", name="Open the console").click()
    waiting.page.goto(f"{world.origin}/c/acme/connect/wait")
    expect(waiting.page.get_by_text("Nothing has called yet")).to_be_visible()
    state = _also(waiting)
    state.page.goto(f"{world.origin}/c/acme/connection")
    connector = world.web_connector()
    trouble.make(world, connector)
    _is_said(waiting.page, "#first-contact", trouble.says, trouble.next_step, trouble.owner)
    _is_said(state.page, "#state", trouble.says, trouble.next_step, trouble.owner)
    heading = "Something is in the way" if trouble.is_refusal else "The Web Connector has stopped calling"
    expect(waiting.page.get_by_role("heading", name=heading)).to_be_visible()
    chip = "Needs a hand" if trouble.is_refusal else "Not seen lately"
    for one in (waiting, state):
        expect(one.page.get_by_text(chip, exact=True)).to_be_visible()
    _looks_well(waiting, state)
    assert waiting.page.url.endswith("/connect/wait")
    world.bring_lists(trouble.mend(world, connector))
    waiting.page.wait_for_url("**/c/acme/mapping/charges", timeout=60_000)
    expect(state.page.locator("#state").get_by_text("Everything works.")).to_be_visible()
    expect(state.page.locator("#state").get_by_text("Up to date", exact=True)).to_be_visible()
    _looks_well(state)
