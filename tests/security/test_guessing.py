"""Guessing passwords and keys: counted in the database, bounded, and no way to shut out the rightful one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, func, select

from qbwc_bridge.client_address import client_address
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from store import companies, secrets, sign_ins
from store.companies import incidents
from store.engine import Database
from store.sign_in_tables import SignInFailures
from store.tables import Company
from tests.support import stores

HOME, AWAY, THIRD = "203.0.113.7", "198.51.100.9", "192.0.2.33"
RIGHT, WRONG, HELD = ["", "none"], ["", "nvu"], ["", "busy"]


@pytest.fixture
def bridge(database: Database, clock: stores.Clock) -> Dispatcher:
    stores.add_company(database)
    return a_bridge(database, clock)


def a_bridge(database: Database, clock: stores.Clock) -> Dispatcher:
    return Dispatcher(database, limits=Limits(), clock=clock, new_id=stores.counter("SET"))


def company_of(database: Database, company_id: str = "acme") -> Company:
    with database.transaction() as session:
        found = companies.company(session, company_id)
        assert found is not None
        return found


def codes(database: Database) -> set[str]:
    with database.transaction() as session:
        return {one.code for one in incidents(session, "acme")}


def test_guesses_are_held_across_bridges_and_let_go_after_a_quarter_of_an_hour(
    bridge: Dispatcher, database: Database, clock: stores.Clock
) -> None:
    """Two bridges count together; while it is held a right password looks like a wrong one."""
    bridges = [bridge, a_bridge(database, clock)]
    tried = [bridges[n % 2].authenticate("qbwc-acme", f"guess{n}", AWAY) for n in range(sign_ins.BOTH_MAX)]
    assert tried == [WRONG] * sign_ins.BOTH_MAX
    for one in bridges:
        assert one.authenticate("qbwc-acme", "another", AWAY) == HELD
        assert one.authenticate("qbwc-acme", stores.PASSWORD, AWAY) == HELD
    problem = company_of(database).problem
    assert problem is not None
    assert (problem["code"], problem["owner"]) == ("too_many_wrong_passwords", "bookkeeper")
    assert "15 minutes" in problem["next_step"]
    clock.forward(minutes=15, seconds=1)
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, AWAY) == RIGHT
    assert company_of(database).problem is None


def test_a_stranger_cannot_shut_out_the_companys_own_address(
    bridge: Dispatcher, database: Database, clock: stores.Clock
) -> None:
    """Whatever comes from elsewhere: the address of the last good sign-in goes on, its connection without a problem."""
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, HOME) == RIGHT
    for n in range(sign_ins.COMPANY_MAX):
        bridge.authenticate("qbwc-acme", "guess", f"198.51.100.{n % 9}")
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, THIRD) == HELD  # a new address has to wait
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, HOME) == RIGHT
    assert company_of(database).problem is None
    assert "wrong_passwords_elsewhere" in codes(database)


@pytest.mark.both_databases
def test_a_password_that_ends_while_it_signs_in_leaves_no_trace(bridge: Dispatcher, database: Database) -> None:
    """It was stolen, and is changed between the look and the session: its address must not become the company's own."""
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, HOME) == RIGHT
    assert bridge.authenticate("qbwc-acme", "mistyped", HOME) == WRONG  # there is a problem to end: more than a note
    elsewhere = Database(database.url.render_as_string(hide_password=False))

    def change(_connection: Any) -> None:
        with elsewhere.transaction() as session:
            owner = companies.lock_company(session, "acme")
            assert owner is not None
            companies.renew_password(owner, secrets.hash_password("a new one"), old_until=None)

    _, unhurried, _ = database.engines
    event.listen(unhurried, "begin", change, once=True)
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, AWAY) == HELD
    elsewhere.close()
    owner = company_of(database)
    assert owner.last_address == HOME
    assert owner.problem is not None
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, AWAY) == WRONG


def test_a_saved_wrong_password_never_runs_into_the_limit(
    bridge: Dispatcher, clock: stores.Clock, database: Database
) -> None:
    """The Web Connector polls every 15 minutes, or every minute at worst; a person tries a few more times."""
    for _ in range(120):
        assert bridge.authenticate("qbwc-acme", "old password", HOME) == WRONG
        clock.forward(minutes=1)
    for _ in range(4):
        assert bridge.authenticate("qbwc-acme", "mistyped", HOME) == WRONG
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, HOME) == RIGHT
    assert company_of(database).problem is None


def test_one_address_that_tries_many_names_is_held_and_its_rightful_ones_go_on(
    bridge: Dispatcher, database: Database, clock: stores.Clock
) -> None:
    """Unknown names count by address; a company that signed in from there before is not touched."""
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, AWAY) == RIGHT
    stores.add_company(database, "other")
    for n in range(sign_ins.ADDRESS_MAX):
        assert bridge.authenticate(f"qbwc-guess{n}", "x", AWAY) == WRONG
    assert bridge.authenticate("qbwc-nobody", "x", AWAY) == HELD
    assert bridge.authenticate("qbwc-other", stores.PASSWORD, AWAY) == HELD
    assert bridge.authenticate("qbwc-other", stores.PASSWORD, HOME) == RIGHT
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, AWAY) == RIGHT
    with database.transaction() as session:
        count = select(func.count()).select_from(SignInFailures)
        assert session.scalar(count) == 1  # names that do not exist leave no rows
        sign_ins.forget_old(session, now=clock() + sign_ins.KEPT * 2)
        assert session.scalar(count) == 0


def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    for engine in database.engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in database.engines:
        event.remove(engine, "before_cursor_execute", note)


def test_an_idle_poll_costs_no_statement_more(bridge: Dispatcher, database: Database, clock: stores.Clock) -> None:
    """One look, limits included, and one write. Only a wrong password writes counts."""
    bridge.authenticate("qbwc-acme", stores.PASSWORD, HOME)
    clock.forward(minutes=15)
    counting = statements(database)
    seen = next(counting)
    assert bridge.authenticate("qbwc-acme", stores.PASSWORD, HOME) == RIGHT
    assert [statement.split()[0] for statement in seen] == ["SELECT", "UPDATE"]
    assert "sign_in_failures" in seen[0]
    seen.clear()
    bridge.authenticate("qbwc-acme", "wrong", HOME)
    assert sum(one.startswith("INSERT INTO sign_in_failures") for one in seen) == 3
    counting.close()


TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.9", "203.0.113.7", "198.51.100.9"),  # nobody said that this one may speak for others
        ("10.1.2.3", "203.0.113.7", "203.0.113.7"),
        ("10.1.2.3", "1.1.1.1, 203.0.113.7", "203.0.113.7"),  # the client invented the first
        ("10.1.2.3", "1.1.1.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "<script>, 10.4.4.4", "10.4.4.4"),
        ("10.1.2.3", "203.0.113.7:61000", "203.0.113.7"),
        ("10.1.2.3", "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::"),  # one customer, one network
        ("::ffff:10.1.2.3", "203.0.113.7", "203.0.113.7"),
        ("", "203.0.113.7", ""),
    ],
)
def test_a_client_cannot_choose_its_address(peer: str, forwarded: str, address: str) -> None:
    assert client_address({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}, TRUSTED) == address


def test_the_address_reaches_the_limits_over_soap(database: Database, clock: stores.Clock) -> None:
    import httpx

    from tests.soap.server_process import envelope

    stores.add_company(database)
    app = build_wsgi(a_bridge(database, clock), public_url="", support_page=lambda _c: None, trusted_proxies=TRUSTED)
    transport = httpx.WSGITransport(app=app, remote_addr="10.1.2.3")
    call = envelope("<authenticate><strUserName>qbwc-acme</strUserName><strPassword>no</strPassword></authenticate>")
    with httpx.Client(transport=transport, base_url="http://bridge") as http:
        headers = {"Content-Type": "text/xml", "X-Forwarded-For": f"1.2.3.4, {AWAY}"}
        assert "nvu" in http.post("/qbwc", content=call, headers=headers).text
    with database.transaction() as session:
        subjects = set(session.scalars(select(SignInFailures.subject)))
    assert subjects == {f"address {AWAY}", "company acme", f"both acme {AWAY}"}
