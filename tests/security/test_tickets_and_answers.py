"""Tickets, foreign answers and hostile answers: what somebody can do who reaches the bridge, and what not."""

from __future__ import annotations

import io
import json
import logging
import time
from pathlib import Path

import pytest
import structlog
from sqlalchemy import func, select

from ops.logs import configure_logging
from qbwc_bridge.dispatcher import Dispatcher
from qbxml.envelope import UnreadableResponse, parse_response
from store import secrets
from store.engine import Database
from store.tables import Incident
from tests.support import stores
from tests.support.world import World


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> World:
    return World(database, clock)


def test_tickets_cannot_be_guessed() -> None:
    """192 random bits each, never the same, and the database holds their hash only."""
    tickets = {secrets.new_ticket() for _ in range(1000)}
    assert len(tickets) == 1000
    assert {len(one) for one in tickets} == {32}  # base64 of 24 bytes
    assert secrets.fingerprint("ticket") != "ticket"


def test_a_ticket_of_one_company_opens_no_other(world: World, database: Database, clock: stores.Clock) -> None:
    """A signed-in company neither sees another one's documents nor answers for them."""
    stores.add_company(database, "other", owner_id="{57F3B9B6-86F1-4FCC-B1FF-966DE1813D21}")
    world.queue(stores.an_invoice("inv_secret"))
    ticket, _ = world.dispatcher.authenticate("qbwc-acme", stores.PASSWORD)
    assert world.dispatcher.authenticate("qbwc-other", stores.PASSWORD) == ["", "none"]
    sent = world.dispatcher.send_request_xml(ticket, world.hcp(), "", "US", "13", "0")
    assert "INV-SECRET" in sent
    theirs = secrets.new_ticket()
    for call in (
        world.dispatcher.send_request_xml(theirs, world.hcp(), "", "US", "13", "0"),
        world.dispatcher.get_last_error(theirs),
        world.dispatcher.close_connection(theirs),
    ):
        assert "SECRET" not in call
    assert world.dispatcher.receive_response_xml(theirs, sent, "", "") == -1
    assert world.dispatcher.connection_error(theirs, "0x80040408", "x") == "done"
    assert [one.state for one in world.message_sets()] == ["sent"]


def test_guessed_tickets_fill_no_table(world: World, database: Database) -> None:
    """Anybody may send answers without a ticket: one line an hour tells of them."""
    for number in range(30):
        assert world.dispatcher.receive_response_xml(f"guess{number}", "<QBXML/>", "", "") == -1
    with database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(Incident)) == 1
    world.clock.forward(hours=1, seconds=1)
    world.dispatcher.receive_response_xml("guess", "<QBXML/>", "", "")
    assert world.incidents() == ["unknown_ticket", "unknown_ticket"]


BOMB = "".join(f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(9))
ANSWER = "<QBXML><QBXMLMsgsRs><HostQueryRs requestID='1' statusCode='0'>{}</HostQueryRs></QBXMLMsgsRs></QBXML>"


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE x SYSTEM "http://localhost:1/x.dtd">',
        f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{BOMB}]>',
    ],
)
def test_entities_inside_quickbooks_answer_are_not_expanded(doctype: str) -> None:
    """The answer is a document inside the call; a hostile PC may write what it likes into it."""
    started = time.process_time()
    text = f'<?xml version="1.0"?>{doctype}' + ANSWER.format("<ProductName>&j;</ProductName>")
    try:
        shown = repr(parse_response(text))
    except UnreadableResponse as error:
        shown = str(error)
    assert time.process_time() - started < 1
    assert Path("/etc/hostname").read_text().strip() not in shown
    assert len(shown) < 10_000


def test_line_breaks_in_values_forge_no_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is one JSON line, whatever a value holds."""
    stream = io.StringIO()
    before = list(logging.getLogger().handlers)
    configure_logging("info")
    try:
        handler = logging.getLogger().handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        structlog.get_logger("forge").warning('x\n{"event": "all is well"}', user='a"\r\n\u2028{"level": "info"}')
    finally:
        logging.getLogger().handlers[:] = before
        structlog.reset_defaults()
    lines = stream.getvalue().splitlines()
    assert len([line for line in stream.getvalue().split("\n") if line]) == 1
    assert json.loads(stream.getvalue())["level"] == "warning"
    assert len(lines) == 1


def test_a_replayed_session_sends_and_changes_nothing_again(world: World) -> None:
    """Every call of a whole update once more, as somebody who recorded it could send them."""
    request_id = world.queue(stores.an_invoice())
    bridge: Dispatcher = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    hcp = world.hcp()
    session = world.quickbooks.open_session("TMS export")
    replies: list[str] = []
    document = bridge.send_request_xml(ticket, hcp, "", "US", "13", "0")
    while document:
        replies.append(session.process_request(document))
        if bridge.receive_response_xml(ticket, replies[-1], "", "") >= 100:
            break
        document = bridge.send_request_xml(ticket, "", "", "US", "13", "0")
    before = world.outcome(request_id)
    assert before is not None and before.transaction is not None
    signals = len(world.signals())
    for reply in replies:
        bridge.receive_response_xml(ticket, reply, "", "")
    assert bridge.send_request_xml(ticket, hcp, "", "US", "13", "0") == ""
    assert world.outcome(request_id) == before
    assert len(world.signals()) == signals
    world.must_hold()
