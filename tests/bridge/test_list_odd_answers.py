"""QuickBooks answers list questions oddly: the rows that are here stay until a complete good answer says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from qbwc_bridge.list_sync import Skipped, Worth, proven_gone, worth
from qbwc_bridge.session import Limits
from simulator.sample_company import freight_company
from store import list_syncs
from store.companies import incidents
from store.engine import Database
from store.list_tables import ListEntry
from tests.support import lists, stores
from tests.support.direct import DirectWire
from tests.support.world import World

QUERIES = {
    "customer": "CustomerQueryRq",
    "vendor": "VendorQueryRq",
    "item": "ItemQueryRq",
    "account": "AccountQueryRq",
    "terms": "TermsQueryRq",
    "class": "ClassQueryRq",
    "sales_tax_code": "SalesTaxCodeQueryRq",
    "template": "TemplateQueryRq",
}
LONG = pytest.mark.long
OTHERS = ("vendor", "item", "account", "terms", "class", "sales_tax_code")
QUERIES_BY_ID = ("customer", "vendor", "item")


@pytest.mark.parametrize(
    ("status_code", "severity", "whole", "by_list_id"),
    [
        (0, "Info", Worth.COMPLETE, Worth.COMPLETE),
        (0, "", Worth.COMPLETE, Worth.COMPLETE),
        (1, "Info", Worth.COMPLETE, Worth.COMPLETE),
        (0, "Warn", Worth.ROWS_ONLY, Worth.ROWS_ONLY),
        (0, "Error", Worth.NOTHING, Worth.NOTHING),
        (1, "Error", Worth.NOTHING, Worth.NOTHING),
        (499, "Info", Worth.COMPLETE, Worth.COMPLETE),
        (500, "Warn", Worth.ROWS_ONLY, Worth.COMPLETE),
        (500, "Info", Worth.ROWS_ONLY, Worth.COMPLETE),
        (500, "Error", Worth.NOTHING, Worth.NOTHING),
        (501, "Info", Worth.ROWS_ONLY, Worth.ROWS_ONLY),
        (540, "Warn", Worth.ROWS_ONLY, Worth.ROWS_ONLY),
        (999, "Info", Worth.ROWS_ONLY, Worth.ROWS_ONLY),
        (1000, "Info", Worth.NOTHING, Worth.NOTHING),
        (3250, "Info", Worth.NOTHING, Worth.NOTHING),
        (3250, "Warn", Worth.NOTHING, Worth.NOTHING),
        (3250, "Error", Worth.NOTHING, Worth.NOTHING),
        (-1, "Info", Worth.NOTHING, Worth.NOTHING),
    ],
)
def test_what_an_answer_is_worth(status_code: int, severity: str, whole: Worth, by_list_id: Worth) -> None:
    """The code decides; the severity can only take from it."""
    assert worth(status_code=status_code, severity=severity, by_list_id=False) is whole
    assert worth(status_code=status_code, severity=severity, by_list_id=True) is by_list_id


@pytest.mark.parametrize(
    ("found", "status_code", "is_readable", "gone"),
    [
        ({"a"}, 500, True, ["b"]),
        (set(), 500, True, ["a", "b"]),
        (set(), 1, True, ["a", "b"]),
        (set(), 0, True, []),
        ({"a"}, 0, True, []),
        ({"a"}, 500, False, []),
        ({"a", "b"}, 500, True, []),
    ],
)
def test_what_proves_that_entries_are_gone(
    found: set[str], status_code: int, is_readable: bool, gone: list[str]
) -> None:
    """Only QuickBooks' word that an entry is not there, in an answer whose rows all have a name."""
    assert proven_gone(("a", "b"), found, status_code=status_code, is_readable=is_readable) == gone


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    """A company whose lists are here, and whose next sync reads all of them anew."""
    book = freight_company(clock=clock)
    for number, entry in enumerate(book.entries()):
        entry.time_modified = (clock.now - timedelta(hours=1) + timedelta(seconds=number)).isoformat()
    world = World(database, clock, limits=Limits(list_page=8), lists_are_here=False, quickbooks=book)
    wire: Any = DirectWire(world.dispatcher)
    world.connector.http = wire
    settle(world)
    read_all_anew(world)
    yield world
    world.close()


def settle(world: World) -> None:
    """Calm sessions until the lists are done."""
    for _ in range(20):
        world.update()
        if lists.sync_of(world.database).state == "done":
            return
        world.clock.forward(hours=1)
    raise AssertionError("the lists never came to rest")


def read_all_anew(world: World) -> None:
    world.clock.forward(hours=2)
    with world.database.transaction() as session:
        list_syncs.request_sync(session, "acme", at=world.clock.now, full=True)


def must_be_equal(world: World) -> None:
    assert lists.in_store(world.database) == lists.in_quickbooks(world.quickbooks)
    assert lists.gone(world.database) == set()


@pytest.mark.parametrize("kind", ["customer", "template", *(pytest.param(kind, marks=LONG) for kind in OTHERS)])
def test_an_error_told_as_info_takes_no_entry_away(world: World, kind: str) -> None:
    """On the real wire; the list says why it was not read, the others come, and it comes later."""
    world.connector.http = world.http
    world.quickbooks.faults.refuse_query(QUERIES[kind], 3250, "This feature is off.", severity="Info")
    world.update()
    must_be_equal(world)
    row = lists.list_of(world.database, kind)
    assert (row.phase, row.failures) == ("failed", 1)
    assert "switched off" in row.note
    assert lists.sync_of(world.database).state == "failed"
    others = {lists.list_of(world.database, other).phase for other in QUERIES if other != kind}
    assert others == {"done"}
    settle(world)
    assert lists.list_of(world.database, kind).note == ""
    must_be_equal(world)


@pytest.mark.parametrize(("code", "severity"), [(500, "Info"), pytest.param(540, "Warn", marks=LONG)])
def test_a_warning_brings_its_rows_and_takes_none_away(world: World, code: int, severity: str) -> None:
    """What is in it counts; the list is asked for again."""
    first = min(world.quickbooks.state.vendors, key=lambda one: one.full_name.casefold())
    world.quickbooks.set_active(first.list_id, not first.is_active)
    world.quickbooks.faults.lists.warn("VendorQueryRq", code, severity, keep=1)
    world.update()
    must_be_equal(world)
    row = lists.list_of(world.database, "vendor")
    assert row.phase == "failed"
    settle(world)
    must_be_equal(world)


@pytest.mark.parametrize(
    ("kind", "times"),
    [("customer", 1), ("account", 99), *(pytest.param(kind, 99, marks=LONG) for kind in QUERIES_BY_ID)],
)
def test_an_answer_that_is_merely_empty_takes_no_entry_away(world: World, kind: str, times: int) -> None:
    """Once: the list is read again. Always: what is here stays, and the operator is told."""
    world.quickbooks.faults.lists.answer_empty(QUERIES[kind], times)
    world.update()
    must_be_equal(world)
    with world.database.transaction() as session:
        told = [one.text for one in incidents(session, "acme") if one.code == "list_entries_unconfirmed"]
    assert bool(told) == (times == 99)
    assert all("stay as they were" in text for text in told)


def test_a_list_that_was_cut_short_is_read_again(world: World) -> None:
    """An iterator that says it is at its end after three rows of twenty."""
    world.quickbooks.faults.lists.answer_part("CustomerQueryRq", 3)
    gone = world.quickbooks.state.customers[-1].list_id
    world.quickbooks.remove_entry(gone)
    world.update()
    assert lists.in_store(world.database) == lists.in_quickbooks(world.quickbooks)
    assert lists.gone(world.database) == {gone}


def test_no_templates_at_all_is_not_believed(world: World) -> None:
    """They cannot be asked for one by one, and no company file is without any."""
    world.quickbooks.faults.lists.answer_empty("TemplateQueryRq")
    world.update()
    must_be_equal(world)
    assert "no form templates" in lists.list_of(world.database, "template").note
    settle(world)
    must_be_equal(world)


@pytest.mark.parametrize("remaining", ["7", pytest.param("", marks=LONG), pytest.param("0", marks=LONG)])
def test_a_wrong_count_of_what_an_iterator_still_has(world: World, remaining: str) -> None:
    """Left out, nothing although more is there, the same for ever: no entry is lost, and the session ends."""
    world.quickbooks.faults.lists.tell_remaining("CustomerQueryRq", remaining, times=6)
    before = len(world.message_sets())
    world.update()
    must_be_equal(world)
    assert len(world.message_sets()) - before < 40
    settle(world)
    must_be_equal(world)


def test_a_page_that_comes_twice_hides_no_entry(world: World) -> None:
    """The page that it stood for is missed by the count, or by those who are not seen."""
    world.quickbooks.faults.lists.repeat_page("CustomerQueryRq")
    world.update()
    must_be_equal(world)


def test_an_iterator_that_is_lost_in_the_middle(world: World) -> None:
    """QuickBooks does not know it any more, and says so as Info."""
    pages = 0
    post = world.connector.http.post

    def lose(*args: Any, **kwargs: Any) -> Any:
        nonlocal pages
        if pages == 2:
            world.quickbooks.faults.refuse_query(
                "CustomerQueryRq", 3000, "The given object ID is invalid.", severity="Info"
            )
        pages += lists.list_of(world.database, "customer").phase == "pages"
        return post(*args, **kwargs)

    world.connector.http.post = lose  # type: ignore[method-assign,assignment]
    world.update()
    world.connector.http.post = post  # type: ignore[method-assign]
    must_be_equal(world)
    settle(world)
    must_be_equal(world)


@pytest.mark.parametrize("code", [3391, 3390, 3000, 3120])
@pytest.mark.parametrize("name", ["CustomerQueryRq", "ItemQueryRq"])
def test_a_forgotten_iterator_is_begun_again_in_the_same_session(world: World, name: str, code: int) -> None:
    """Whatever number QuickBooks says it with: no entry has to wait for the next session."""
    world.quickbooks.switches.iterator_code = code
    world.quickbooks.faults.forget_iterator(name)
    assert world.update().outcome == "ok"
    assert lists.sync_of(world.database).state == "done"
    must_be_equal(world)


def test_an_iterator_that_is_never_known_comes_to_an_end(world: World) -> None:
    """Customers come all the same, each time from the last name on; of items one session gives up."""
    world.quickbooks.faults.forget_iterator("CustomerQueryRq", times=1000)
    world.quickbooks.faults.forget_iterator("ItemQueryRq", times=1000)
    before = len(world.message_sets())
    world.update()
    assert lists.list_of(world.database, "customer").phase == "done"
    assert lists.list_of(world.database, "item").phase == "failed"
    assert "page by page" in lists.list_of(world.database, "item").note
    assert len(world.message_sets()) - before < 40


@pytest.mark.parametrize(
    ("query", "kind", "is_off"),
    [
        ("ClassQueryRq", "class", True),
        ("SalesTaxCodeQueryRq", "sales_tax_code", True),
        ("ClassQueryRq", "class", False),
    ],
)
def test_a_list_of_a_feature_that_is_off_is_no_failure(world: World, query: str, kind: str, is_off: bool) -> None:
    """What came when it was on stays; while the preference is on, the same answer is a failure."""
    preferences = world.quickbooks.preferences
    preferences.class_tracking, preferences.sales_tax_item = not is_off, None
    world.quickbooks.faults.refuse_query(query, 3250, "This feature is not enabled.", times=1)
    world.update()
    assert lists.list_of(world.database, kind).phase == ("done" if is_off else "failed")
    must_be_equal(world)


@pytest.mark.parametrize("name", ["ListDeletedQueryRq", "CompanyActivityQueryRq"])
def test_an_error_told_as_info_says_nothing_about_deletions_and_restores(world: World, name: str) -> None:
    """No word on restores does not mean that there was none, and no list is begun anew for it."""
    settle(world)
    world.clock.forward(hours=2)
    generation = lists.list_of(world.database, "customer").generation
    world.quickbooks.faults.refuse_query(name, 1000, "There has been an internal error.", severity="Info")
    world.update()
    assert lists.sync_of(world.database).state == "failed"
    settle(world)
    assert lists.list_of(world.database, "customer").generation == generation
    must_be_equal(world)


DAMAGE = [
    ("customer", "IsActive", "perhaps"),
    ("customer", "ListID", None),
    *(
        pytest.param(*row, marks=LONG)
        for row in (
            ("customer", "ListID", ""),
            ("customer", "FullName", None),
            ("item", "IsActive", "2026"),
            ("sales_tax_code", "IsTaxable", "?"),
        )
    ),
]


@pytest.mark.parametrize(("kind", "element", "text"), DAMAGE)
def test_one_unreadable_row_harms_no_other(world: World, kind: str, element: str, text: str | None) -> None:
    """It is left as it was, counted and told; a new entry beside it comes; once readable nothing is told any more."""
    book = world.quickbooks
    victim = next(one for one in book.entries() if lists.KINDS_OF[type(one)] == kind)
    if element == "FullName":
        book.faults.lists.damage(victim.list_id, "Name", None)
    book.faults.lists.damage(victim.list_id, element, text)
    book.add_customer("Brand New Shipper")
    world.update()
    must_be_equal(world)
    sync = lists.sync_of(world.database)
    assert sync.state == "done"
    row = lists.list_of(world.database, kind)
    assert len(row.skipped) == 1
    assert Skipped(**row.skipped[0]).reason
    assert "could not be read" in row.note
    assert row.note == sync.note
    with world.database.transaction() as session:
        assert [one.text for one in incidents(session, "acme") if one.code == "list_rows_unreadable"] == [row.note]
    world.clock.forward(hours=2)
    settle(world)
    assert len(lists.list_of(world.database, kind).skipped) == 1, "what nobody has read since is still told"
    book.faults.lists.heal()
    read_all_anew(world)
    settle(world)
    assert (lists.list_of(world.database, kind).note, lists.sync_of(world.database).note) == ("", "")
    must_be_equal(world)


def test_an_entry_whose_rows_never_could_be_read_is_not_here(database: Database, clock: stores.Clock) -> None:
    """A first sync brings all others; what is unknown is told and not invented."""
    book = freight_company(clock=clock)
    victim = book.state.vendors[1]
    book.faults.lists.damage(victim.list_id, "IsActive", "perhaps")
    world = World(database, clock, limits=Limits(list_page=5), lists_are_here=False, quickbooks=book)
    wire: Any = DirectWire(world.dispatcher)
    world.connector.http = wire
    settle(world)
    missing = set(lists.in_quickbooks(book)) - set(lists.in_store(database))
    assert missing == {("vendor", victim.list_id)}
    assert victim.full_name in lists.list_of(database, "vendor").note
    world.close()


def test_unreadable_times_and_a_listid_that_comes_twice_harm_nothing(world: World) -> None:
    """The entry comes; a time that is none moves no bound."""
    book = world.quickbooks
    bound = lists.list_of(world.database, "vendor").bound
    for vendor in book.state.vendors:
        book.faults.lists.damage(vendor.list_id, "TimeModified", "last Tuesday")
    twin = book.state.customers[0]
    book.state.customers.append(twin)
    world.update()
    book.state.customers.pop()
    settle(world)
    must_be_equal(world)
    assert lists.list_of(world.database, "vendor").bound in ("", bound)
    with world.database.transaction() as session:
        rows = session.scalars(select(ListEntry.list_id).where(ListEntry.list_id == twin.list_id)).all()
    assert len(rows) == 1
