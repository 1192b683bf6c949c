"""A sign-in with work opens its session by what it saw a moment before: what comes in between must not be missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event, select

from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from store import companies, secrets
from store.engine import Database
from store.tables import WebConnectorSession
from tests.support import stores
from tests.support.world import World

pytestmark = pytest.mark.both_databases

HOME, AWAY = "203.0.113.7", "198.51.100.9"
BUSY = ["", "busy"]


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    """A company with one invoice that waits."""
    world = World(database, clock)
    world.queue(stores.an_invoice())
    yield world
    world.close()


@pytest.fixture
def other(world: World, clock: stores.Clock) -> Iterator[Dispatcher]:
    """Another bridge, with connections of its own."""
    with closing(Database(world.database.url.render_as_string(hide_password=False))) as database:
        yield Dispatcher(database, limits=Limits(), clock=clock, new_id=stores.counter("OTHER"))


def between(world: World, what: Callable[[], object]) -> None:
    """Have something happen after the next sign-in has looked and before it writes."""
    database = world.database
    if database.is_sqlite:
        _, unhurried, _ = database.engines
        event.listen(unhurried, "begin", lambda _connection: what(), once=True)
        return
    usual = database.passing

    def once(_point: str) -> None:
        database.passing = usual
        what()

    database.passing = once


def sign_in(bridge: Dispatcher, address: str = HOME) -> list[str]:
    return bridge.authenticate("qbwc-acme", stores.PASSWORD, address)


def sessions(world: World) -> dict[str, str]:
    with world.database.transaction() as session:
        found = session.scalars(select(WebConnectorSession))
        return {one.ticket_hash: one.state for one in found}


def test_a_session_that_opened_in_between_is_superseded(world: World, other: Dispatcher) -> None:
    """The newest wins, and one is open."""
    tickets: list[str] = []
    between(world, lambda: tickets.append(sign_in(other, AWAY)[0]))
    ticket, _ = sign_in(world.dispatcher)
    earlier = secrets.fingerprint(tickets[0])
    assert ticket
    assert sessions(world) == {earlier: "superseded", secrets.fingerprint(ticket): "open"}


def test_a_set_that_left_in_between_is_waited_for(world: World, other: Dispatcher) -> None:
    """QuickBooks may be at work on it: to look for its transactions now could miss them."""
    sent: list[str] = []

    def work() -> None:
        ticket, _ = sign_in(other, AWAY)
        sent.append(other.send_request_xml(ticket, world.hcp(), "C:\\Books\\freight.qbw", "US", "16", "0"))

    between(world, work)
    assert sign_in(world.dispatcher) == BUSY
    assert "InvoiceAddRq" in sent[0]
    assert list(sessions(world).values()) == ["open"]


def test_a_password_that_ends_in_between_opens_nothing(world: World, database: Database) -> None:
    """Not even its address is remembered as the company's own."""
    elsewhere = Database(database.url.render_as_string(hide_password=False))

    def change() -> None:
        with elsewhere.transaction() as session:
            owner = companies.lock_company(session, "acme")
            assert owner is not None
            companies.renew_password(owner, secrets.hash_password("a new one"), old_until=None)

    between(world, change)
    assert sign_in(world.dispatcher, AWAY) == BUSY
    elsewhere.close()
    assert sessions(world) == {}
    with database.transaction() as session:
        owner: Any = companies.company(session, "acme")
        assert owner.last_address is None
