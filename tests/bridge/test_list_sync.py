"""QuickBooks' lists come over in the sessions of the Web Connector, over a real database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from activities.company_lists import StoreLists
from mapping.lists import ListKind
from qbwc_bridge.session import Limits
from simulator.sample_company import freight_company
from store import list_syncs
from store.companies import company
from store.engine import Database
from store.sync_tables import ListSync
from tests.support import lists, postgres, stores
from tests.support.company_files import entries_of, facts_of
from tests.support.direct import DirectWire
from tests.support.world import World

PAGE = 5


def a_world(database: Database, clock: stores.Clock, **limits: int) -> World:
    """A file whose entries were made one after the other, and a bridge that has none of them."""
    book = freight_company(clock=clock)
    for number, entry in enumerate(book.entries()):
        entry.time_modified = (clock.now - timedelta(hours=1) + timedelta(seconds=number)).isoformat()
    limits = {"list_page": PAGE, **limits}
    world = World(database, clock, limits=Limits(**limits), lists_are_here=False, quickbooks=book)
    wire: Any = DirectWire(world.dispatcher)
    world.connector.http = wire
    return world


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = a_world(database, clock)
    yield world
    world.close()


def must_be_equal(world: World) -> None:
    assert lists.in_store(world.database) == lists.in_quickbooks(world.quickbooks)


def settle(world: World) -> None:
    """Calm sessions until nothing is due."""
    for _ in range(20):
        if world.update().outcome == "none":
            return
    raise AssertionError("the lists never came to rest")


def next_sync(world: World, **delta: float) -> None:
    world.clock.forward(**(delta or {"hours": 2}))
    settle(world)


def test_first_contact_brings_all_lists_and_the_preferences(world: World) -> None:
    """Inactive entries too, over the real SOAP layer; the progress goes up to 100."""
    world.connector.http = world.http
    report = world.update()
    assert report.outcome == "ok"
    must_be_equal(world)
    assert any(not entry[2] for entry in lists.in_store(world.database).values())
    with world.database.transaction() as session:
        facts = company(session, "acme").preferences  # type: ignore[union-attr]
    assert facts is not None
    assert facts["class_tracking"] is True
    assert facts["sales_tax"] is True
    sync = lists.sync_of(world.database)
    assert (sync.state, sync.run, sync.note) == ("done", 1, "")
    assert lists.list_of(world.database, "customer").entries == len(world.quickbooks.state.customers)
    percents = [int(detail.rpartition("-> ")[2]) for method, detail in report.calls if method == "receiveResponseXML"]
    assert percents[-1] == 100
    assert all(0 < percent < 100 for percent in percents[:-1])
    assert percents == sorted(percents)
    world.clock.forward(minutes=30)
    assert world.update().outcome == "none"


def test_exports_go_before_lists(world: World) -> None:
    """Also those that come while the lists are on their way."""
    world.queue(stores.an_invoice("inv_1"))
    world.update()
    kinds = [one.kind for one in world.message_sets()]
    assert kinds[0] == "write"
    assert set(kinds[1:]) == {"list"}
    world.must_hold()
    must_be_equal(world)


def test_a_later_sync_asks_for_changes_only_and_in_one_set(world: World) -> None:
    """One message set; the bound is QuickBooks' own text."""
    settle(world)
    before = len(world.message_sets())
    world.clock.forward(hours=2)
    world.quickbooks.add_customer("New Shipper Inc")
    world.quickbooks.set_active(world.quickbooks.state.vendors[0].list_id, False)
    assert world.update().outcome == "ok"
    new = world.message_sets()[before:]
    assert [one.kind for one in new] == ["list"]
    bound = re.search(r"<CustomerQueryRq.*?<FromModifiedDate>(.*?)<", new[0].text)
    assert bound is not None
    assert bound[1] == max(entry.time_modified for entry in world.quickbooks.state.customers[:-1])
    must_be_equal(world)


def test_entries_below_a_renamed_one_move_along(world: World) -> None:
    """QuickBooks does not touch their time."""
    settle(world)
    parent = next(entry for entry in world.quickbooks.state.customers if entry.name == "Ironwood Building Supply")
    world.clock.forward(hours=2)
    world.quickbooks.rename(parent.list_id, "Ironwood")
    settle(world)
    assert "Ironwood:Load 100777" in {entry[0] for entry in lists.in_store(world.database).values()}
    must_be_equal(world)


def test_what_was_deleted_is_marked_and_kept(world: World) -> None:
    """A mapping may point to it."""
    settle(world)
    victim = world.quickbooks.state.customers[0].list_id
    world.quickbooks.remove_entry(victim)
    next_sync(world)
    assert lists.gone(world.database) == {victim}
    must_be_equal(world)


def test_a_merge_moves_what_was_below_and_what_referred(world: World) -> None:
    """The ListID is gone; jobs and items that moved without a new time come by full passes of their own."""
    settle(world)
    book = world.quickbooks
    names = {entry.full_name: entry.list_id for entry in book.entries()}
    book.merge_entries(names["Ironwood Building Supply"], names["Pinnacle Paper"])
    book.merge_entries(names["Fuel Surcharge Income"], names["Claims Expense"])
    book.merge_entries(names["Net 15"], names["Net 45"])
    next_sync(world)
    assert names["Ironwood Building Supply"] in lists.gone(world.database)
    assert "Pinnacle Paper:Load 100778" in {entry[0] for entry in lists.in_store(world.database).values()}
    must_be_equal(world)


def test_a_restored_file_is_read_anew(world: World) -> None:
    """What came after the backup is gone, what was undone is back."""
    backup = world.quickbooks.snapshot()
    settle(world)
    world.clock.forward(hours=1)
    new = world.quickbooks.add_customer("After The Backup").list_id
    world.quickbooks.rename(world.quickbooks.state.customers[0].list_id, "Renamed After The Backup")
    next_sync(world)
    world.quickbooks.restore(backup)
    stamp = world.quickbooks.state.data_ext.setdefault(stores.OWNER_ID, {})
    stamp.setdefault("FileID", stores.FILE_ID)
    next_sync(world)
    assert new in lists.gone(world.database)
    must_be_equal(world)


def test_after_three_months_of_silence_everything_is_read(world: World) -> None:
    """QuickBooks remembers deletions for 90 days only."""
    settle(world)
    victim = world.quickbooks.state.vendors[0].list_id
    world.quickbooks.remove_entry(victim)
    next_sync(world, days=95)
    assert victim in lists.gone(world.database)
    must_be_equal(world)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["sendRequestXML", "receiveResponseXML"])
def test_cut_sessions_go_on_in_the_next_ones(world: World, method: str, when: str) -> None:
    """Each session is cut a little later in its life; no iterator outlives its session."""
    for number in range(23):
        world.quickbooks.add_customer(f"Shipper {number:02d}")
    known: set[str] = set()
    for nth in (1, 2, 3, 5, 4, 3, 6, 2, 7):
        before = len(world.message_sets())
        getattr(world.cuts, when)(method, nth)
        world.update()
        text = "".join(one.text for one in world.message_sets()[before:])
        used = set(re.findall(r'iteratorID="(.*?)"', text))
        assert not used & known
        known |= used
    world.cuts.rules.clear()
    settle(world)
    must_be_equal(world)


def test_a_cut_pass_goes_on_at_the_last_name(world: World) -> None:
    """It does not read again what is here."""
    for number in range(40):
        world.quickbooks.add_customer(f"Shipper {number:02d}")
    # accounts, terms, ... come first; the customers' fifth page is the last that arrives
    original = world.connector.http.post

    def fail_late(*args: object, **kwargs: object) -> object:
        if lists_seen(world) >= 25:
            raise httpx.ReadTimeout("cut")
        return original(*args, **kwargs)  # type: ignore[arg-type]

    world.connector.http.post = fail_late  # type: ignore[method-assign,assignment]
    world.update()
    world.connector.http.post = original  # type: ignore[method-assign]
    row = lists.list_of(world.database, "customer")
    assert row.phase == "pages"
    assert row.after
    before = len(world.message_sets())
    settle(world)
    first = next(one.text for one in world.message_sets()[before:] if "CustomerQueryRq" in one.text)
    assert f"<FromName>{row.after}</FromName>" in first
    must_be_equal(world)


def lists_seen(world: World) -> int:
    with world.database.transaction() as session:
        rows = {row.kind: row.seen for row in list_syncs.list_syncs(session, "acme")}
    return rows.get("customer", 0)


def test_a_refused_list_is_noted_and_the_others_come(world: World) -> None:
    """It is asked again later, and exports never notice."""
    world.quickbooks.faults.refuse_query("ClassQueryRq", 3250, "This feature is not enabled.", times=1)
    request_id = world.queue(stores.an_invoice())
    world.update()
    sync = lists.sync_of(world.database)
    assert sync.state == "failed"
    assert sync.retry_at is not None
    row = lists.list_of(world.database, "class")
    assert (row.phase, row.failures) == ("failed", 1)
    assert row.note.endswith(".")
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert lists.list_of(world.database, "customer").phase == "done"
    world.clock.now = sync.retry_at - timedelta(minutes=20)
    assert world.update().outcome == "none"
    settle_after_failure(world)
    must_be_equal(world)
    assert lists.list_of(world.database, "class").note == ""


def settle_after_failure(world: World) -> None:
    for _ in range(20):
        world.clock.forward(hours=1)
        world.update()
        if lists.sync_of(world.database).state == "done":
            return
    raise AssertionError("it never recovered")


@pytest.mark.parametrize("hresult", ["0x80040400", "0x80010108", "0x80040402"])
def test_a_failed_document_about_lists_is_noted_and_never_hurts_exports(world: World, hresult: str) -> None:
    """The next sessions serve exports; the lists are tried again after a pause."""
    world.quickbooks.faults.fail_queries("TermsQueryRq", hresult, "QuickBooks stumbled.", times=1)
    world.queue(stores.an_invoice("inv_1"))
    world.update()
    sync = lists.sync_of(world.database)
    assert sync.state == "failed"
    assert sync.note
    with world.database.transaction() as session:
        assert company(session, "acme").problem is None  # type: ignore[union-attr]
    world.clock.now = (sync.retry_at or world.clock.now) - timedelta(minutes=20)
    request_id = world.queue(stores.an_invoice("inv_2"))
    assert world.update().status == "1 exported"
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    settle_after_failure(world)
    must_be_equal(world)


def test_quickbooks_ends_when_some_lists_came_and_others_are_still_to_come(world: World) -> None:
    """The session is over, the rest waits, and what came until then is counted."""
    settle(world)
    before = lists.list_of(world.database, "customer").entries
    with world.database.transaction() as session:
        for kind in ("item", "vendor"):
            session.get_one(ListSync, ("acme", kind)).needs_full = True
    world.quickbooks.add_customer("Shipper")
    world.quickbooks.faults.fail_queries("ItemQueryRq", "0x80010108", "QuickBooks ended.", times=1)
    world.clock.forward(hours=2)
    world.update()
    assert lists.sync_of(world.database).state == "failed"
    assert lists.list_of(world.database, "vendor").phase == "failed"
    assert lists.list_of(world.database, "customer").entries == before + 1
    settle_after_failure(world)
    must_be_equal(world)


def test_a_list_that_always_kills_quickbooks_is_asked_rarely_and_alone(world: World) -> None:
    """Bounded: one question an interval, and the others come over in between."""
    world.quickbooks.faults.fail_queries("ItemQueryRq", "0x80040400", "Cannot be parsed.", times=999)
    for _ in range(16):
        world.update()
    asked = sum("ItemQueryRq" in one.text for one in world.message_sets())
    assert asked <= 8, "growing pauses: 5, 10, 20, 40 minutes, then once an hour"
    rows = {kind for kind, _ in lists.in_store(world.database)}
    assert rows == set(lists.KINDS.values()) - {"item"}


def test_repeated_late_and_foreign_answers_change_nothing(world: World) -> None:
    """Their ids name the one set that they may answer."""
    bridge = world.dispatcher
    ticket, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    session = world.quickbooks.open_session("TMS export")
    hcp = session.process_request(
        '<?xml version="1.0"?><?qbxml version="13.0"?><QBXML><QBXMLMsgsRq onError="continueOnError">'
        f'<HostQueryRq requestID="0"/><CompanyQueryRq requestID="1"><OwnerID>{stores.OWNER_ID}</OwnerID>'
        "</CompanyQueryRq></QBXMLMsgsRq></QBXML>"
    )
    first = bridge.send_request_xml(ticket, hcp, world.quickbooks.path, "US", "16", "0")
    answer = session.process_request(first)
    assert 0 < bridge.receive_response_xml(ticket, answer, "", "") < 100
    second = bridge.send_request_xml(ticket, "", "", "US", "16", "0")
    state = lists.in_store(world.database)
    assert 0 < bridge.receive_response_xml(ticket, answer, "", "") < 100, "a repeated one gets its old reply"
    changed = answer.replace("Intuit Service Invoice", "Forged")
    assert changed != answer
    bridge.receive_response_xml(ticket, changed, "", "")
    assert lists.in_store(world.database) == state
    page = session.process_request(second)
    world.clock.forward(minutes=30)
    newer, _ = bridge.authenticate("qbwc-acme", stores.PASSWORD)
    assert newer != ticket
    assert bridge.receive_response_xml(ticket, page, "", "") == -1
    assert lists.in_store(world.database) == state
    assert bridge.send_request_xml(newer, hcp, world.quickbooks.path, "US", "16", "0")


def test_a_set_fetched_twice_loses_no_page(world: World) -> None:
    """A retrying proxy: the iterator's page that went to nobody is not skipped."""
    for number in range(23):
        world.quickbooks.add_customer(f"Shipper {number:02d}")
    original = world.connector.http.post
    count = 0

    def twice(url: str, **kwargs: object) -> object:
        nonlocal count
        if "sendRequestXML" in str(kwargs["headers"]):
            count += 1
            if count % 3 == 0 and len(pages) < 4:
                lost = original(url, **kwargs)  # type: ignore[arg-type]
                text = re.search(r"<sendRequestXMLResult>(.*)</sendRequestXMLResult>", lost.text, re.DOTALL)
                if text and "iterator" in text[1]:
                    pages.append(text[1])
        return original(url, **kwargs)  # type: ignore[arg-type]

    pages: list[str] = []
    world.connector.http.post = twice  # type: ignore[method-assign,assignment]
    world.update()
    assert pages
    world.connector.http.post = original  # type: ignore[method-assign]
    settle(world)
    must_be_equal(world)


def test_a_forced_sync_is_due_at_once_and_can_read_everything(world: World) -> None:
    """Even right after a sync."""
    settle(world)
    world.quickbooks.add_vendor("Brand New Carrier")
    with world.database.transaction() as session:
        list_syncs.request_sync(session, "acme", at=world.clock.now, full=True)
    before = len(world.message_sets())
    world.clock.forward(minutes=-14)
    assert world.update().outcome == "ok"
    new = "".join(one.text for one in world.message_sets()[before:])
    assert "Brand New Carrier" in {entry[0] for entry in lists.in_store(world.database).values()}
    assert "ListDeletedQueryRq" not in new
    must_be_equal(world)


def test_the_session_budget_holds_for_lists_too(database: Database, clock: stores.Clock) -> None:
    """The rest comes in the next sessions."""
    world = a_world(database, clock, session_budget_s=20)
    for number in range(30):
        world.quickbooks.add_customer(f"Shipper {number:02d}")
    original = world.connector.http.post

    def slow(*args: object, **kwargs: object) -> object:
        world.clock.forward(seconds=2)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    world.connector.http.post = slow  # type: ignore[method-assign,assignment]
    first = world.update()
    assert first.outcome == "ok"
    assert lists.sync_of(database).state == "running"
    assert world.update().outcome == "ok"
    settle(world)
    must_be_equal(world)
    world.close()


def test_names_that_differ_only_in_case_and_jobs_of_one_customer_all_come(world: World) -> None:
    """More entries under one name than a page holds."""
    book = world.quickbooks
    parent = book.add_class("Regions")
    for number in range(17):
        book.add_class(f"Lane {number}", parent=parent)
    shipper = book.add_customer("éclair Foods")
    for number in range(17):
        book.add_customer(f"load {number}", parent=shipper)
    book.add_customer("Zeta")
    settle(world)
    must_be_equal(world)


def test_another_file_under_the_same_connection_is_read_anew(world: World) -> None:
    """After the operator's rebind: the old file's entries are gone, none of them is lost."""
    settle(world)
    old = {list_id for _, list_id in lists.in_store(world.database)}
    world.clock.forward(days=1)
    other = freight_company("Somebody Else Inc", clock=world.clock)
    other.state.data_ext[stores.OWNER_ID] = {"FileID": stores.FILE_ID}
    with world.database.transaction() as session:
        row = company(session, "acme")
        assert row is not None
        row.bound_company_name = row.bound_company_file = None
    world.connector.company = other
    settle(world)
    assert lists.in_store(world.database) == lists.in_quickbooks(other)
    assert old <= lists.gone(world.database) | {list_id for _, list_id in lists.in_quickbooks(other)}


def test_rules_see_after_a_sync_what_is_in_the_company_file(world: World) -> None:
    """Entry by entry, with the facts that pre-flight decides by."""
    world.connector.http = world.http
    settle(world)
    with world.database.transaction() as session:
        known = StoreLists(session, "acme")
        assert all(known.is_known(kind) for kind in ListKind)
        for wanted in entries_of(world.quickbooks):
            found = known.by_list_id(wanted.kind, wanted.list_id)
            assert found is not None, wanted
            assert (found.full_name, found.is_active, found.is_gone) == (wanted.full_name, wanted.is_active, False)
            assert found.parent_list_id == wanted.parent_list_id
            assert {name: found.facts.get(name) for name in wanted.facts} == wanted.facts, wanted.full_name
        told = facts_of(world.quickbooks).model_dump(exclude_none=True)
        assert {name: getattr(known.facts, name) for name in told} == told


def test_on_postgresql_too(postgresql: str, clock: stores.Clock) -> None:
    """Everything, then what changed, was deleted and merged; cut once in the middle."""
    with postgres.database_on(postgresql) as url:
        database = Database(url)
        database.migrate()
        world = a_world(database, clock)
        for number in range(25):
            world.quickbooks.add_customer(f"Shipper {number:02d}")
        world.cuts.after("receiveResponseXML", 3)
        world.update()
        settle(world)
        must_be_equal(world)
        first, second, third = world.quickbooks.state.customers[-3:]
        world.quickbooks.rename(first.list_id, "Renamed Shipper")
        world.quickbooks.set_active(second.list_id, False)
        world.quickbooks.remove_entry(third.list_id)
        next_sync(world)
        must_be_equal(world)
        assert third.list_id in lists.gone(database)
        world.close()
        database.close()
