"""Every form of the console: what a button does is reached by that button only, and never twice by a broken network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from .conftest import NewWindow, World, send_form
from .played import Played
from .test_documents_pages import an_invoice

TEMPLATES = sorted((Path(__file__).parents[2] / "console" / "templates").glob("*.html"))
FORM = re.compile(r"<form\b(?P<attributes>[^>]*)>(?P<inside>.*?)</form>", re.S)
BUTTON = re.compile(r"<button\b(?P<attributes>[^>]*)>")
LIST = "/c/acme/documents"
ACTIONS = {
    "Export to QuickBooks Desktop": "export",
    "Retry": "retry",
    "Cancel": "cancel",
    "They are in QuickBooks": "done",
}
LOOKED_AGAIN_MS = 30_000


def forms() -> list[tuple[str, str, list[str]]]:
    """Template, attributes and the attributes of each submit button, for every form."""
    found = []
    for path in TEMPLATES:
        text = re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.S)
        # A `>` inside of an expression is not the end of a tag.
        text = re.sub(r"\{\{.*?\}\}", "{}", text, flags=re.S)
        for form in FORM.finditer(text):
            buttons = [one["attributes"] for one in BUTTON.finditer(form["inside"]) if 'type="button"' not in one[0]]
            found.append((path.name, form["attributes"], buttons))
    return found


def value_of(name: str, attributes: str) -> str | None:
    found = re.search(rf'(?<![\w-]){name}="([^"]*)"', attributes)
    return found[1] if found else None


def test_each_button_of_a_form_is_told_from_the_others() -> None:
    """By an address or a value of its own; a form with several does nothing without one of them."""
    assert len(forms()) > 20
    several = [(name, attributes, buttons) for name, attributes, buttons in forms() if len(buttons) > 1]
    assert {name for name, _, _ in several} == {"documents_part.html", "mapping_paste.html"}
    for name, attributes, buttons in several:
        first, *others = buttons
        told = [value_of("formaction", one) or (value_of("name", one), value_of("value", one)) for one in others]
        assert len(set(told)) == len(told), name
        assert (None, None) not in told, name
        if value_of("formaction", others[0]) is not None:
            assert "data-no-action" in first, "Enter presses the first button"
            assert value_of("action", attributes) not in told, name


def test_a_form_without_its_button_does_nothing(world: World) -> None:
    """As a browser without scripts may send it; each button does its own."""
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1"))
    client = world.by_link()
    answer = send_form(client, LIST, {"chosen": "invoice/inv_1"}, page=LIST)
    assert answer.status_code == 303
    assert "Nothing was done." in client.get(answer.headers["location"]).text
    assert played.api.get("/v1/companies/acme/exports").json()["items"] == []


def _cut_at_the_request(route: Route) -> None:
    route.abort("connectionreset")


def _cut_at_the_answer(route: Route) -> None:
    route.fetch()
    route.abort("connectionreset")


def _foreign(route: Route) -> None:
    """A proxy answers with a page of its own."""
    route.fulfill(status=200, content_type="text/html", body="<h1>Welcome to the hotel</h1>")


NETWORKS: dict[str, Callable[[Route], None]] = {
    "request": _cut_at_the_request,
    "answer": _cut_at_the_answer,
    "foreign": _foreign,
}


def _list_page(world: World, window: NewWindow) -> tuple[Page, Any, list[str]]:
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1", number="901"), an_invoice("inv_2", number="902"))
    one = window()
    page = one.page
    page.goto(world.link())
    page.get_by_role("button", name="Open the console").click()
    page.goto(world.origin + LIST)
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.url.removeprefix(world.origin))

    page.on("request", note)
    return page, one, sent


SHORT = {("Export to QuickBooks Desktop", "answer"), ("They are in QuickBooks", "request"), ("Cancel", "foreign")}


@pytest.mark.parametrize(
    ("button", "network"),
    [
        pytest.param(button, network, marks=() if (button, network) in SHORT else pytest.mark.long)
        for button in ACTIONS
        for network in NETWORKS
    ],
)
def test_a_button_whose_answer_is_lost_is_pressed_once(
    world: World, window: NewWindow, button: str, network: str
) -> None:
    """Its own address is called once and no other; the selection stays, and a sentence says what is known."""
    page, one, sent = _list_page(world, window)
    page.get_by_label("Select 901").check()
    if button == "They are in QuickBooks":
        page.get_by_text("Mark as done", exact=True).click()
    page.route("**/documents/*", NETWORKS[network])
    page.get_by_role("button", name=button).click()
    told = page.locator("#told")
    expect(told).to_contain_text("may or may not have been done")
    assert sent == [f"{LIST}/{ACTIONS[button]}"]
    expect(page.get_by_label("Select 901")).to_be_checked()
    expect(page.get_by_role("button", name=button)).to_be_enabled()
    assert page.url.startswith(world.origin + LIST)
    assert "hotel" not in page.content()
    if network == "answer" and ACTIONS[button] == "export":
        expect(page.locator("#row-invoice-inv_1")).to_contain_text("Pending", timeout=LOOKED_AGAIN_MS)
        expect(told).to_contain_text("may or may not have been done")
        assert len(sent) == 1
    one.errors.clear()  # the browser itself reports what was cut


def test_a_slow_answer_is_waited_for(world: World, window: NewWindow) -> None:
    """A second click and an Enter meanwhile send nothing; what is going on is said."""
    page, _, sent = _list_page(world, window)
    held: list[Route] = []
    page.route("**/documents/export", lambda route: held.append(route))  # noqa: PLW0108 no builtin is taken
    page.get_by_label("Select 901").check()
    button = page.get_by_role("button", name="Export to QuickBooks Desktop")
    button.click()
    expect(button).to_be_disabled()
    page.evaluate("document.getElementById('acts').requestSubmit()")
    expect(page.locator("#told")).to_contain_text("takes longer than usual", timeout=LOOKED_AGAIN_MS)
    page.evaluate("for (const one of document.querySelectorAll('#acts button')) one.disabled = false")
    button.click()
    assert sent == [f"{LIST}/export"]
    held[0].continue_()
    expect(page.locator("#told")).to_contain_text("1 export started.")
    expect(page.get_by_text("takes longer than usual")).to_have_count(0)
    assert sent == [f"{LIST}/export"]


def test_enter_on_a_checkbox_exports_nothing(world: World, window: NewWindow) -> None:
    """Where browsers press a form's first button."""
    page, _, sent = _list_page(world, window)
    box = page.get_by_label("Select 901")
    box.check()
    box.press("Enter")
    page.get_by_label("Select everything on this page").press("Enter")
    page.get_by_label("Select 902").check()
    expect(page.get_by_text("2 selected")).to_be_visible()
    assert sent == []


def test_a_session_that_ended_changes_nothing(world: World, window: NewWindow) -> None:
    """The list says so; the selection stays."""
    page, one, sent = _list_page(world, window)
    page.get_by_label("Select 901").check()
    page.context.clear_cookies()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Sign in again to go on; nothing was changed.").first).to_be_visible()
    expect(page.get_by_label("Select 901")).to_be_checked()
    assert sent == [f"{LIST}/cancel"]
    one.errors.clear()  # the browser itself reports the 401
