"""The console in a real browser: at both widths, in both schemes, by keyboard, without findings of axe-core."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import STAFF, NewWindow, World


def test_signing_in_by_keyboard(world: World, window: NewWindow) -> None:
    """Tab and Enter are enough, from the link to the page."""
    one = window()
    page = one.page
    page.goto(world.link())
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("button", name="Open the console").press("Enter")
    expect(page).to_have_url(f"{world.origin}/c/acme/connect")
    one.axe()
    one.fits()
    assert not page.context.request.get(f"{world.origin}/c/rival").ok


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_the_way_in_is_accessible(world: World, window: NewWindow, width: str, dark: bool) -> None:
    """Sign-in, link, used link and errors."""
    one = window(width, dark=dark)
    for address in ("/sign-in", world.link(), "/link/none"):
        one.page.goto(address if address.startswith("http") else world.origin + address)
        one.axe()
        one.fits()
    one.errors.clear()  # the browser itself reports the 410
    one.page.goto(f"{world.origin}/sign-in")
    one.page.get_by_label("API key").fill(STAFF)
    one.page.get_by_role("button", name="Sign in").click()
    expect(one.page).to_have_url(f"{world.origin}/companies")
    one.axe()
    one.fits()
