"""The page that waits for the first contact: what it says in each state, and when it goes on by itself."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from tests.support import stores

from .conftest import World, send_form
from .troubles import TROUBLES, cut_short, problem_of

STATE = "/c/acme/connect/wait/state"
PAGE = "/c/acme/connect/wait"
CONNECTION = "/c/acme/connection"
BACKSLASH = "\\"


def words(answer: httpx.Response) -> str:
    """What a person reads."""
    assert answer.status_code == 200, answer.text
    inline = re.sub(r"</?time[^>]*>", "", answer.text)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", inline).split()))


def watches(client: httpx.Client) -> bool:
    """Whether the page asks again by itself."""
    return "data-live=" in client.get(PAGE).text.partition('id="first-contact"')[2].partition(">")[0]


def test_each_state_without_a_problem_has_its_reason_and_next_step(world: World) -> None:
    """Never seen, lists coming, quiet hours, stale, paused, done: only the last one goes on to mapping."""
    client, connector = world.by_link(), world.web_connector()

    def state() -> str:
        answer = client.get(STATE)
        assert "x-go" not in answer.headers
        assert "Connected" not in words(answer)
        return words(answer)

    said = state()
    assert "Nothing has called yet" in said
    assert "has never called. Add the .qwc file" in said

    cut_short(connector)
    said = state()
    assert "Reading QuickBooks' lists" in said
    assert "The Web Connector last called at Nov 23, 2026, 10:00 UTC. The lists come over by themselves." in said

    form = {"begins": "09:00", "until": "11:00", "time_zone": "UTC"}
    send_form(client, f"{CONNECTION}/quiet-hours", form, page=CONNECTION)
    said = state()
    assert "These are quiet hours" in said
    assert "nothing is sent until 11:00 (UTC)" in said
    send_form(client, f"{CONNECTION}/quiet-hours/end", {}, page=CONNECTION)

    world.clock.forward(minutes=46)
    said = state()
    assert "The Web Connector has stopped calling" in said
    assert "Not seen lately" in said
    assert "though it is set to call every 15 minutes. What to do: Check that the QuickBooks PC is on" in said

    send_form(client, f"{CONNECTION}/pause", {"paused": "true"}, page=CONNECTION)
    said = state()
    assert "The connection is paused" in said
    assert "gets no work. What to do: Resume it when exports may go on." in said
    send_form(client, f"{CONNECTION}/pause", {"paused": "false"}, page=CONNECTION)

    assert watches(client)
    world.bring_lists(connector)
    answer = client.get(STATE)
    said = words(answer)
    assert answer.headers["x-go"] == "/c/acme/mapping"
    assert "QuickBooks is connected" in said
    assert f"Web Connector {connector.product_version} asked at Nov 23, 2026, 10:" in said
    assert f"file {connector.company.path.rpartition(BACKSLASH)[2]}." in said
    assert not watches(client), "somebody who comes back to a page that is done may stay on it"


MET_AT_SIGN_IN = (
    "wrong password",
    "too many wrong passwords",
    "wrong company file",
    "company file of another connection",
)
MET_AT_OPENING = [name for name, one in TROUBLES.items() if one.is_refusal and name not in MET_AT_SIGN_IN]


def must_say(client: httpx.Client, name: str) -> None:
    """Cause, next step and owner, as the bridge left them."""
    answer = client.get(STATE)
    said, trouble = words(answer), TROUBLES[name]
    assert "Something is in the way" in said
    assert trouble.says in said
    assert trouble.next_step in said
    assert f"Whose turn it is: {trouble.owner}" in said
    assert "x-go" not in answer.headers


@pytest.mark.parametrize("name", MET_AT_SIGN_IN)
def test_each_problem_is_said_with_its_mend_before_the_lists_are_here(world: World, name: str) -> None:
    """Passwords and company files."""
    client = world.by_link()
    TROUBLES[name].make(world, world.web_connector())
    must_say(client, name)


def test_each_reason_why_quickbooks_does_not_open_is_said(world: World) -> None:
    """One after the other: the page shows the newest."""
    client, connector = world.by_link(), world.web_connector()
    for name in MET_AT_OPENING:
        TROUBLES[name].make(world, connector)
        must_say(client, name)


def test_a_problem_after_the_lists_are_here_keeps_the_page_until_it_is_mended(world: World) -> None:
    """It is tested before `done`: nothing says connected, nothing leads away, and the page goes on when it is over."""
    client, connector = world.by_link(), world.web_connector()
    world.bring_lists(connector)
    connector.password = "wrong"
    connector.run_once()
    answer = client.get(STATE)
    said = words(answer)
    assert "x-go" not in answer.headers
    assert "Something is in the way" in said
    assert "What to do:" in said
    assert "connected" not in said.lower()
    assert "Go on to mapping" not in said
    assert watches(client)
    connector.password = stores.PASSWORD
    connector.run_once()
    assert problem_of(world) is None
    assert client.get(STATE).headers["x-go"] == "/c/acme/mapping"


def test_a_list_that_could_not_be_read_is_said(world: World) -> None:
    """QuickBooks works, but one list does not come: the note says why."""
    client, connector = world.by_link(), world.web_connector()
    connector.company.faults.refuse_query("CustomerQueryRq", 3260, "Insufficient permission level.", times=99)
    for _ in range(6):
        connector.run_once()
        world.clock.forward(minutes=1)
    with_note = world.client(headers={"Authorization": "Bearer qbd_staff"}).get("/v1/companies/acme").json()["lists"]
    assert (with_note["state"], bool(with_note["note"])) == ("failed", True)
    answer = client.get(STATE)
    assert "x-go" not in answer.headers
    assert "QuickBooks' lists could not be read" in words(answer)
    assert with_note["note"] in words(answer)
