"""Every form of the console: what a button does is reached by that button only, and never twice by a broken network."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect
from sqlalchemy import select

from store.tables import Company, Export, Incident

from .conftest import NewWindow, World, form_token, send_form
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
SLOW_MS = 9_000
"""After that a slow answer is spoken of."""
CONNECTION = "/c/acme/connection"


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
    assert {name for name, _, _ in several} == {"documents_part.html", "mapping_paste_part.html", "connection.html"}
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


def _select_and_press(page: Page, button: str) -> None:
    page.unroute_all()
    if not page.get_by_label("Select 901").is_checked():
        page.get_by_label("Select 901").check()
    page.get_by_role("button", name=button).click()


def _list_page(world: World, window: NewWindow, *, has_clock: bool = False) -> tuple[Page, Any, list[str]]:
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1", number="901"), an_invoice("inv_2", number="902"))
    one = window()
    page = one.page
    if has_clock:
        page.clock.install()
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
    page, one, sent = _list_page(world, window, has_clock=True)
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
        page.clock.fast_forward(LOOKED_AGAIN_MS)
        expect(page.locator("#row-invoice-inv_1")).to_contain_text("Pending")
        expect(told).to_contain_text("may or may not have been done")
        assert len(sent) == 1
        _select_and_press(page, button)
        expect(page.get_by_text("You sent this already")).to_be_visible()
        expect(page.get_by_text("1 export started.")).to_be_visible()
        assert sent == [f"{LIST}/export"] * 2
        with world.database.transaction() as session:
            assert len(session.scalars(select(Export)).all()) == 1
    one.errors.clear()  # the browser itself reports what was cut


def test_a_slow_answer_is_waited_for(world: World, window: NewWindow) -> None:
    """A second click and an Enter meanwhile send nothing; what is going on is said."""
    page, _, sent = _list_page(world, window, has_clock=True)
    held: list[Route] = []
    page.route("**/documents/export", lambda route: held.append(route))  # noqa: PLW0108 no builtin is taken
    page.get_by_label("Select 901").check()
    button = page.get_by_role("button", name="Export to QuickBooks Desktop")
    button.click()
    expect(button).to_be_disabled()
    page.evaluate("document.getElementById('acts').requestSubmit()")
    page.clock.fast_forward(SLOW_MS)
    expect(page.locator("#told")).to_contain_text("takes longer than usual")
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
    """The list says so; the selection stays, also over the sign-in that follows."""
    page, one, sent = _list_page(world, window)
    page.goto(f"{world.origin}{LIST}?kind=invoice")
    page.get_by_label("Select 901").check()
    page.context.clear_cookies()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Sign in again to go on; nothing was changed.").first).to_be_visible()
    expect(page.get_by_label("Select 901")).to_be_checked()
    assert sent == [f"{LIST}/cancel"]
    # Signed in again, in the same browser: the page is there with its filters and what was ticked, and nothing is done.
    page.goto(world.link())
    page.get_by_role("button", name="Open the console").click()
    page.wait_for_url(f"**{LIST}?kind=invoice")
    expect(page.get_by_text("Your selection from before you signed in is back.")).to_be_visible()
    expect(page.get_by_label("Select 901")).to_be_checked()
    expect(page.get_by_label("Select 902")).not_to_be_checked()
    expect(page.get_by_text("1 selected")).to_be_visible()
    assert sent == [f"{LIST}/cancel", "/link"]
    one.errors.clear()  # the browser itself reports the 401


def test_each_form_that_is_sent_has_the_token_that_makes_it_act_once() -> None:
    """By the macro that all of them share."""
    parts = next(path for path in TEMPLATES if path.name == "parts.html").read_text("utf-8")
    assert 'name="once" value="{{ page.once }}"' in parts
    for path in TEMPLATES:
        text = path.read_text("utf-8")
        for form in FORM.finditer(text):
            if 'method="post"' in form["attributes"]:
                assert "token(page)" in form["inside"], path.name


def _filled_in(client: httpx.Client, page: str, **fields: str) -> dict[str, str]:
    """A form as it stands on a page, to be sent more than once."""
    html = client.get(page).text
    once = re.search(r'name="once" value="([^"]+)"', html)
    assert once is not None
    return {"form_token": form_token(html), "once": once[1], **fields}


def _incidents(world: World) -> int:
    with world.database.transaction() as session:
        return len(session.scalars(select(Incident).where(Incident.code == "ids_rotated")).all())


def _password_hash(world: World) -> str:
    with world.database.transaction() as session:
        return session.scalars(select(Company.password_hash).where(Company.id == "acme")).one()


@pytest.mark.parametrize(
    ("page", "address", "fields"),
    [
        (CONNECTION, f"{CONNECTION}/pause", {"paused": "true"}),
        (CONNECTION, f"{CONNECTION}/look", {}),
        (CONNECTION, f"{CONNECTION}/schedule", {"minutes": "25"}),
        (CONNECTION, f"{CONNECTION}/quiet-hours", {"begins": "09:00", "until": "11:00", "time_zone": "UTC"}),
        (CONNECTION, f"{CONNECTION}/quiet-hours/end", {}),
        (CONNECTION, f"{CONNECTION}/password", {}),
        (CONNECTION, f"{CONNECTION}/ids", {}),
        (CONNECTION, f"{CONNECTION}/rebind", {}),
        (CONNECTION, f"{CONNECTION}/stay", {}),
        (CONNECTION, f"{CONNECTION}/sync", {}),
        ("/c/acme/connect/file", "/c/acme/connect/password", {}),
        ("/c/acme/mapping/terms", "/c/acme/mapping/terms/link", {"place": "terms", "key": "net_30", "name": "Net 30"}),
        (LIST, f"{LIST}/export", {"chosen": "invoice/inv_1"}),
        (f"{LIST}/invoice/inv_1", f"{LIST}/invoice/inv_1/export", {}),
    ],
)
def test_a_form_that_is_sent_twice_acts_once(world: World, page: str, address: str, fields: dict[str, str]) -> None:
    """The second sending is told when it was done and what was said then; it leads where the first one led."""
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1", number="901"))
    client = world.by_link()
    filled = _filled_in(client, page, **fields)
    headers = {"Origin": world.origin}
    first = client.post(address, data=filled, headers=headers)
    assert first.status_code == 303, first.text
    said = client.get(first.headers["location"]).text
    assert "You sent this already" not in said
    before = (_incidents(world), _password_hash(world), _written(world))
    world.clock.forward(minutes=1)
    second = client.post(address, data=filled, headers=headers)
    assert (second.status_code, second.headers["location"]) == (303, first.headers["location"])
    assert (_incidents(world), _password_hash(world), _written(world)) == before
    assert "You sent this already at <time" in client.get(second.headers["location"]).text
    live = client.post(address, data=filled, headers={**headers, "X-Live": "1"})
    assert (live.status_code, live.headers["x-go"]) == (204, first.headers["location"])


def _written(world: World) -> list[Any]:
    with world.database.transaction() as session:
        return [(row.document_id, row.state, row.updated_at) for row in session.scalars(select(Export))]


def test_another_wish_of_the_same_page_is_done(world: World) -> None:
    """Other fields or another button are no second sending; nor is what was refused the first time."""
    client = world.by_link()
    filled = _filled_in(client, CONNECTION)
    headers = {"Origin": world.origin}
    for minutes in ("25", "35"):
        client.post(f"{CONNECTION}/schedule", data={**filled, "minutes": minutes}, headers=headers)
    with world.database.transaction() as session:
        assert session.scalars(select(Company.run_every_minutes).where(Company.id == "acme")).one() == 35
    nothing = {**filled, "begins": "09:00", "until": "09:00", "time_zone": "UTC"}
    for _ in range(2):
        answer = client.post(f"{CONNECTION}/quiet-hours", data=nothing, headers=headers)
        assert "Quiet hours were not saved" in client.get(answer.headers["location"]).text


def test_two_clicks_at_the_same_moment_act_once(world: World) -> None:
    """Whoever comes second waits for the first and says what it did."""
    client = world.by_link()
    filled = _filled_in(client, CONNECTION)
    answers: list[int] = []

    def send() -> None:
        other = world.client(cookies=client.cookies)
        answers.append(other.post(f"{CONNECTION}/ids", data=filled, headers={"Origin": world.origin}).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [303] * 4
    assert _incidents(world) == 1


def test_the_back_button_sends_nothing_and_pressed_again_acts_once(world: World, window: NewWindow) -> None:
    """After each kind of form: one that answers with a page of its own, one that comes back, a list with buttons."""
    page, _, sent = _list_page(world, window)
    page.goto(world.origin + CONNECTION)
    page.get_by_text("New password", exact=True).click()
    page.get_by_role("button", name="Make a new password").click()
    page.wait_for_url(f"**{CONNECTION}/password")
    made = page.locator("#the-password").inner_text()
    before = _password_hash(world)
    page.reload()
    expect(page.locator("#the-password")).to_have_text(made)
    page.go_back()
    page.wait_for_url(f"**{CONNECTION}")
    assert sent == [f"{CONNECTION}/password"]
    page.get_by_text("New password", exact=True).click()
    page.get_by_role("button", name="Make a new password").click()
    expect(page.get_by_text("You sent this already")).to_be_visible()
    expect(page.locator("#the-password")).to_have_text(made)
    assert _password_hash(world) == before
    page.go_back()
    page.go_forward()
    assert len(sent) == 2
    page.goto(world.origin + LIST)
    page.get_by_label("Select 901").check()
    page.get_by_role("button", name="Export to QuickBooks Desktop").click()
    expect(page.locator("#told")).to_contain_text("1 export started.")
    page.get_by_role("link", name="Mapping").click()
    page.go_back()
    page.wait_for_url(f"**{LIST}")
    expect(page.locator("#row-invoice-inv_1")).to_contain_text("Pending")
    assert len(sent) == 3


def test_a_page_without_answers_says_since_when(world: World, window: NewWindow) -> None:
    """Nothing that was true a while ago is shown as if it were now."""
    page, one, _ = _list_page(world, window, has_clock=True)
    page.route("**/documents?*", _cut_at_the_request)
    page.clock.fast_forward(6_000)
    expect(page.get_by_text("There has been no answer since")).to_be_visible()
    page.unroute_all()
    page.clock.fast_forward(LOOKED_AGAIN_MS)
    expect(page.get_by_text("There has been no answer since")).to_have_count(0)
    one.errors.clear()  # the browser itself reports what was cut
