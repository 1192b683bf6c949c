"""Mapping, exporting and mending in a real browser: at both widths, by keyboard, without findings of axe-core."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from workflows.contracts import Failure

from .conftest import NewWindow, Window, World
from .played import UNKNOWN, Played, sample_mapping, samples

expect.set_options(timeout=30_000)  # a machine that does much else is slow, not wrong


def sign_in(world: World, one: Window) -> Page:
    one.page.goto(world.link())
    one.page.get_by_role("button", name="Open the console").click()
    return one.page


def looks_well(one: Window, name: str, *, width: str, dark: bool) -> None:
    one.axe()
    one.fits()
    if not dark:
        one.screenshot(f"{name}-{'1440' if width == 'wide' else '360'}")


def some_samples() -> list[dict[str, Any]]:
    return [one for one in samples() if len(one["lines"]) < 20]


def test_from_mapping_to_successful(world: World, window: NewWindow) -> None:
    """Link a customer by keyboard, select, export, and see it become Successful without loading the page again."""
    played = Played(world)
    mapping = sample_mapping()
    mapping["customers"].pop("cus_88")
    played.map(**mapping)
    document = next(one for one in samples() if one["number"] == "INV-2026-004821")
    played.hand_over(document)
    one = window("narrow")
    page = sign_in(world, one)
    page.goto(f"{world.origin}/c/acme/mapping/customers")
    field = page.get_by_role("combobox", name="Customer in QuickBooks: Cafe Rio Foods, Inc.")
    field.fill("cafe")
    expect(page.get_by_role("option", name="Cafe Rio Foods")).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    expect(page.get_by_role("main").get_by_text("is linked to Cafe Rio Foods.")).to_be_visible()
    one.axe()
    one.fits()
    page.goto(f"{world.origin}/c/acme/documents")
    page.get_by_label(f"Select {document['number']}").press("Space")
    page.get_by_role("button", name="Export to QuickBooks Desktop").press("Enter")
    expect(page.get_by_role("main").get_by_text("1 export started.")).to_be_visible()
    played.go_on()
    played.world.web_connector(played.quickbooks).run_once()
    played.go_on()
    row = page.locator(f"#row-invoice-{document['id']}")
    expect(row.get_by_text("Successful", exact=True)).to_be_visible()
    page.get_by_role("link", name=document["number"]).press("Enter")
    expect(page.get_by_role("main").get_by_text(played.quickbooks.ledger[0].txn_id)).to_be_visible()
    one.axe()
    one.fits()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "dark"), [("wide", False), ("narrow", False), ("wide", True), ("narrow", True)])
def test_every_screen_in_every_state(world: World, window: NewWindow, width: str, dark: bool) -> None:
    """Mapping, list and document: missing, ready, waiting, failed, unknown and done."""
    played = Played(world)
    documents = some_samples()
    played.hand_over(*documents)
    one = window(width, dark=dark)
    page = sign_in(world, one)

    def at(address: str, name: str) -> None:
        page.goto(f"{world.origin}/c/acme{address}")
        looks_well(one, name, width=width, dark=dark)

    at("/mapping/charges", "mapping-charges")
    at("/mapping/customers", "mapping-customers")
    field = page.get_by_role("combobox", name="Customer in QuickBooks").first
    field.click()
    field.fill("a")
    expect(page.locator(".combobox__option").first).to_be_visible()
    looks_well(one, "mapping-dropdown", width=width, dark=dark)
    mapping = sample_mapping()
    mapping["defaults"]["invoice"]["tax_code"] = {"full_name": "Non"}
    played.map(**mapping)
    at("/mapping/defaults", "mapping-defaults")
    at("/mapping-changes", "mapping-changes")
    page.goto(f"{world.origin}/c/acme/mapping/customers/paste")
    page.get_by_label("Lines").fill("cus_88\tCafe Rio Foods\ncus_1\tNobody\nlonely")
    page.get_by_role("button", name="Check the lines").click()
    expect(page.get_by_role("main").get_by_text("Left out").first).to_be_visible()
    looks_well(one, "mapping-paste", width=width, dark=dark)

    good = [each for each in documents if each["kind"] == "invoice"][:7]
    failed, unknown, done = good[0], good[1], good[2]
    for each in good[2:6]:
        played.export(each)
    world.clock.forward(minutes=7)
    played.world.web_connector(played.quickbooks).run_once()
    played.go_on()
    gone = mapping["customers"][failed["customer"]["id"]]["full_name"]
    refused = Failure(
        code="3140",
        message=f'There is an invalid reference to QuickBooks Customer "{gone}" in the Invoice.',
        explanation="QuickBooks does not know the customer any more: it was deleted or renamed there.",
        owner="bookkeeper",
        next_step="Choose the customer again in the mapping; the export then starts by itself.",
    )
    for each, failure in ((failed, refused), (unknown, UNKNOWN)):
        played.export(each)
        played.fail(each["id"], failure, was_sent=True)
    for each in [each for each in documents if each["kind"] == "carrier_bill"][:3]:
        played.export(each)
    at("/documents", "documents")
    waiting = next(each for each in documents if each["kind"] == "carrier_bill")
    wrong = next(each for each in documents if each["number"] == "HD-2201")
    for name, each in [
        ("done", done),
        ("failed", failed),
        ("unknown", unknown),
        ("waiting", waiting),
        ("wrong", wrong),
    ]:
        at(f"/documents/{each['kind']}/{each['id']}", f"document-{name}")
