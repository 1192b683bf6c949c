"""What a page does while somebody works on it: what changes leaves focus, text and selection; the searchable field."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from console.filters import with_times
from store import companies

from .conftest import NewWindow, Window, World
from .played import Played, sample_mapping
from .test_documents_pages import an_invoice

LOOKED_AGAIN_MS = 30_000
"""A page looks every five seconds; a busy machine takes longer."""


def _at(world: World, one: Window, address: str) -> Page:
    page = one.page
    page.goto(world.link())
    page.get_by_role("button", name="Open the console").click()
    page.goto(f"{world.origin}/c/acme{address}")
    return page


def test_times_inside_sentences_are_the_readers_own(world: World, window: NewWindow) -> None:
    """A reason names a time in UTC without scripts, and in the reader's zone with them, as it moves on."""
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1"))
    played.api.post("/v1/companies/acme/documents/invoice/inv_1/export")
    played.go_on()
    _seen(world, "2026-11-23T15:42:00+00:00")
    here = "/c/acme/documents/invoice/inv_1"
    plain = re.sub(r"</?time[^>]*>", "", world.by_link().get(here).text)
    assert "The Web Connector was last seen at Nov 23, 2026, 15:42 UTC." in plain
    page = _at(world, window(), here.removeprefix("/c/acme"))
    panel = page.get_by_role("region", name="QuickBooks", exact=True)
    expect(panel).to_contain_text("The Web Connector was last seen at Nov 23, 2026, 09:42.")
    _seen(world, "2026-11-23T15:57:00+00:00")
    expect(panel).to_contain_text("was last seen at Nov 23, 2026, 09:57.", timeout=LOOKED_AGAIN_MS)


def _seen(world: World, at: str) -> None:
    with world.database.transaction() as session:
        row = companies.company(session, "acme")
        assert row is not None
        row.last_seen_at = datetime.fromisoformat(at)


@pytest.mark.parametrize(
    "text", ["It said 2026-13-40 10:00 UTC.", "It said 2026-11-23 10:00.", "It said 12026-11-23 10:00 UTC."]
)
def test_what_is_no_time_stays_as_it_was_said(text: str) -> None:
    """Sentences may hold words of QuickBooks: they are written as text, whatever they look like."""
    assert with_times(text) == text
    assert with_times(f"<b>{text}</b>") == f"&lt;b&gt;{text}&lt;/b&gt;"


@pytest.mark.long
def test_the_list_changes_around_the_person(world: World, window: NewWindow) -> None:
    """A row changes and one is new: the text being typed, its marked part, checked boxes and an open menu stay."""
    played = Played(world)
    played.map()
    played.hand_over(*[an_invoice(f"inv_{n}", number=f"90{n}") for n in (1, 2, 3)])
    page = _at(world, window(), "/documents")
    page.get_by_label("Select 902").check()
    page.get_by_label("Select 903").check()
    page.get_by_text("Mark as done", exact=True).click()
    page.get_by_label("Whose turn").select_option("bookkeeper")
    search = page.get_by_label("Search")
    search.fill("half a wor")
    search.evaluate("field => field.setSelectionRange(2, 6)")
    page.evaluate("window.field = document.activeElement")
    played.api.post("/v1/companies/acme/documents/invoice/inv_1/export")
    played.go_on()
    played.hand_over(an_invoice("inv_4", number="904"))
    expect(page.locator("#row-invoice-inv_1").get_by_text("Pending: waiting")).to_be_visible(timeout=LOOKED_AGAIN_MS)
    expect(page.locator("#row-invoice-inv_4")).to_be_visible()
    expect(search).to_be_focused()
    expect(search).to_have_value("half a wor")
    assert page.evaluate("window.field === document.activeElement"), "the field was replaced"
    assert search.evaluate("field => [field.selectionStart, field.selectionEnd]") == [2, 6]
    for number, is_checked in (("901", False), ("902", True), ("903", True), ("904", False)):
        expect(page.get_by_label(f"Select {number}")).to_be_checked(checked=is_checked)
    expect(page.get_by_text("2 selected")).to_be_visible()
    expect(page.get_by_label("Whose turn")).to_have_value("bookkeeper")
    expect(page.get_by_role("button", name="They are in QuickBooks")).to_be_visible()
    page.get_by_label("Select 902").press("Space")
    expect(page.get_by_text("1 selected")).to_be_visible()


@pytest.mark.long
def test_a_document_changes_around_the_person(world: World, window: NewWindow) -> None:
    """The timeline grows while somebody types in a searchable field: what is typed, its choices and the focus stay."""
    played = Played(world)
    mapping = sample_mapping()
    del mapping["charges"]["FUEL"]
    played.map(**mapping)
    played.hand_over(an_invoice("inv_1"))
    page = _at(world, window(), "/documents/invoice/inv_1")
    field = page.get_by_role("combobox", name="External Item of line 2, FUEL")
    field.fill("fuel")
    expect(page.get_by_role("option", name="Fuel Surcharge").first).to_be_visible()
    field.press("ArrowDown")
    chosen = field.get_attribute("aria-activedescendant")
    played.hand_over(an_invoice("inv_1", memo="Changed meanwhile"))
    expect(page.get_by_text("Changed meanwhile")).to_be_visible(timeout=LOOKED_AGAIN_MS)
    expect(field).to_be_focused()
    expect(field).to_have_value("fuel")
    expect(field).to_have_attribute("aria-expanded", "true")
    assert chosen
    expect(field).to_have_attribute("aria-activedescendant", chosen)
    field.press("Enter")
    expect(page.get_by_role("main").get_by_text("Linked to Fuel Surcharge.")).to_be_visible()
    stored = played.api.get("/v1/companies/acme/mapping").json()["charges"]["FUEL"]
    assert stored["invoice"]["item"]["full_name"] == "Fuel Surcharge"


def test_the_searchable_field_by_keyboard(world: World, window: NewWindow) -> None:
    """Type, arrows, Escape, Enter; what a screen reader is told; what does not fit says why and cannot be chosen."""
    played = Played(world)
    played.hand_over(an_invoice("inv_1", terms="Net 90"))
    one = window()
    page = _at(world, one, "/mapping/terms")
    field = page.get_by_role("combobox", name="Terms in QuickBooks: Net 90")
    for name, value in (("aria-expanded", "false"), ("aria-autocomplete", "list"), ("autocomplete", "off")):
        expect(field).to_have_attribute(name, value)
    listed = page.locator(f"#{field.get_attribute('aria-controls')}")
    expect(listed).to_have_attribute("role", "listbox")
    expect(listed).to_be_hidden()

    field.press_sequentially("net")
    options = listed.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(field).not_to_have_attribute("aria-activedescendant", "")
    expect(page.locator("#announcer")).to_contain_text("choices")
    unfit = options.filter(has_text="Net 90")
    expect(unfit).to_have_attribute("aria-disabled", "true")
    expect(unfit).to_contain_text("inactive in QuickBooks")
    one.axe()

    field.press("ArrowUp")  # from the field to the last, which does not fit
    expect(options.last).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", str(options.last.get_attribute("id")))
    expect(options.last).to_contain_text("Net 90")
    field.press("Enter")
    expect(page.locator("#announcer")).to_contain_text("Net 90 cannot be chosen.")
    unfit.click(force=True)  # Playwright itself heeds aria-disabled
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(field).to_have_value("net")
    assert played.api.get("/v1/companies/acme/mapping").json()["terms"] == {}

    field.press("Escape")
    expect(listed).to_be_hidden()
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(field).to_have_value("net")
    field.press("Escape")
    expect(field).to_have_value("")
    field.press("ArrowDown")  # opens with everything
    expect(options.first).to_be_visible()
    field.press_sequentially("15")
    expect(options).to_have_count(1)
    field.press("ArrowDown")
    expect(options).to_have_attribute("aria-selected", "true")
    name = str(options.evaluate("option => option.firstChild.textContent"))
    field.press("Enter")
    expect(page.get_by_role("main").get_by_text(f"Net 90 is linked to {name}.")).to_be_visible()
    assert played.api.get("/v1/companies/acme/mapping").json()["terms"]["Net 90"]["full_name"] == name
