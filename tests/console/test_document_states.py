"""What a bookkeeper does when an export waits, fails or is in doubt, in a real browser at both widths.

Every state is looked at by axe-core, and every page changes by itself: loading it anew would fail the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from simulator.sample_company import freight_company

from .conftest import NewWindow, Window, World
from .played import Played, sample_mapping
from .test_documents_pages import an_invoice

expect.set_options(timeout=30_000)  # a page looks every five seconds, and a busy machine is slow, not wrong
pytestmark = [pytest.mark.long, pytest.mark.timeout(300), pytest.mark.parametrize("width", ["wide", "narrow"])]
REFUSAL = 'There is an invalid reference to QuickBooks Customer "Cafe Rio Foods" in the Invoice.'


def a_bill(document_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "carrier_bill",
        "id": document_id,
        "number": "901",
        "carrier": {"id": "car_7", "name": "Acme Carrier LLC"},
        "date": "2026-11-20",
        "currency": "USD",
        "lines": [
            {"id": "1", "charge": "LINEHAUL", "description": "Dallas TX - Reno NV", "amount": "1450.00"},
            {"id": "2", "charge": "FUEL", "description": "Fuel surcharge", "amount": "180.00"},
        ],
        "total": "1630.00",
        **fields,
    }


@dataclass(frozen=True, kw_only=True)
class Sort:
    """What differs between the pages of an invoice and of a carrier bill."""

    document: dict[str, Any]
    center: str
    party: str
    total: str
    field: str
    other: str
    refusal: str

    @property
    def address(self) -> str:
        return f"/documents/{self.document['kind']}/{self.document['id']}"


SORTS = {
    "invoice": Sort(
        document=an_invoice("inv_1", number="901"),
        center="Customer Center",
        party="Cafe Rio Foods, Inc.",
        total="2,062.50",
        field="Customer in QuickBooks",
        other="Pinnacle Paper",
        refusal=REFUSAL,
    ),
    "bill": Sort(
        document=a_bill("bil_1"),
        center="Vendor Center",
        party="Acme Carrier LLC",
        total="1,630.00",
        field="Vendor in QuickBooks",
        other="Sagebrush Trucking",
        refusal='There is an invalid reference to QuickBooks Vendor "Acme Carrier LLC" in the Bill.',
    ),
}
of_both_sorts = pytest.mark.parametrize("sort", SORTS.values(), ids=SORTS)


def _look(one: Window) -> None:
    one.axe()
    one.fits()


def _sign_in(world: World, one: Window, address: str) -> Page:
    page = one.page
    page.goto(world.link())
    page.get_by_role("button", name="Open the console").click()
    page.goto(f"{world.origin}/c/acme{address}")
    return page


@contextmanager
def _never_reloaded(page: Page) -> Iterator[None]:
    page.evaluate("window.notReloaded = true")
    yield
    assert page.evaluate("window.notReloaded"), "the page was loaded anew"


def _session(played: Played) -> None:
    """One call of the Web Connector, with what Temporal does before and after it."""
    played.go_on()
    played.world.clock.forward(minutes=1)
    played.world.web_connector(played.quickbooks).run_once()
    played.go_on()


def _said(page: Page, text: str) -> Locator:
    found = page.get_by_role("main").get_by_text(text)
    expect(found.first).to_be_visible()
    return found


def _row(page: Page, document_id: str) -> Locator:
    return page.locator(f"#row-invoice-{document_id}")


def _has_status(page: Page, status: str, *document_ids: str) -> None:
    for document_id in document_ids:
        expect(_row(page, document_id).get_by_text(status).first).to_be_visible()


def _panel(page: Page) -> Locator:
    return page.get_by_role("region", name="QuickBooks", exact=True)


def _select(page: Page, *document_ids: str) -> None:
    for document_id in document_ids:
        _row(page, document_id).get_by_role("checkbox").check()


def _error(played: Played, document_id: str, *, kind: str = "invoice") -> dict[str, Any]:
    found: dict[str, Any] = played.api.get(f"/v1/companies/acme/exports/{kind}/{document_id}").json()["error"]
    return found


def test_many_at_once(world: World, window: NewWindow, width: str) -> None:
    """Select all, export, cancel one, retry what failed, mark as done what somebody entered; all of it live."""
    played = Played(world)
    played.map()
    played.hand_over(*[an_invoice(f"inv_{n}", number=f"90{n}") for n in range(1, 5)])
    one = window(width)
    page = _sign_in(world, one, "/documents")
    with _never_reloaded(page):
        page.get_by_label("Select everything on this page").check()
        expect(page.get_by_text("4 selected")).to_be_visible()
        page.get_by_role("button", name="Export to QuickBooks Desktop").click()
        _said(page, "4 exports started.")
        _has_status(page, "Pending", "inv_1", "inv_2", "inv_3", "inv_4")
        expect(page.get_by_text("4 selected")).to_be_hidden()
        expect(page.locator("#moving")).to_contain_text("4 pending.")
        _look(one)

        _select(page, "inv_4")
        page.get_by_role("button", name="Cancel").click()
        _said(page, "Asked to cancel 1 export.")
        _has_status(page, "Cancelled", "inv_4")
        for number in ("902", "903"):
            played.quickbooks.faults.reject(number, 3140, REFUSAL)
        _session(played)
        _has_status(page, "Successful", "inv_1")
        _has_status(page, "Failed", "inv_2", "inv_3")
        expect(_row(page, "inv_2")).to_contain_text(_error(played, "inv_2")["explanation"])
        expect(_row(page, "inv_2")).to_contain_text("Bookkeeper")
        _look(one)

        _select(page, "inv_2")
        page.get_by_role("button", name="Retry").click()
        _said(page, "1 export started again.")
        _has_status(page, "Pending", "inv_2")
        progress = page.get_by_role("progressbar", name="Exports of the last hour that have ended")
        expect(progress).to_have_js_property("value", 2)
        expect(progress).to_have_js_property("max", 3)
        _select(page, "inv_1", "inv_3")
        page.get_by_text("Mark as done", exact=True).click()
        _look(one)
        played.type_by_hand("inv_3")
        page.get_by_role("button", name="They are in QuickBooks").click()
        _said(page, "Noted for 1 export.")
        refusal = _said(page, "only a Failed or Cancelled one can be confirmed")
        _session(played)
        _has_status(page, "Successful", "inv_1", "inv_2", "inv_3")
        expect(page.locator("#moving")).to_have_count(0)
        expect(refusal).to_be_visible()  # what was refused is told until the next action
        expect(page.locator("#status-Successful .badge")).to_have_text("3")
        _look(one)
    assert {txn.ref_number for txn in played.quickbooks.ledger} == {"901", "902", "903"}


@of_both_sorts
@pytest.mark.parametrize("knows_number", [True, False])
def test_it_is_there(world: World, window: NewWindow, width: str, knows_number: bool, sort: Sort) -> None:
    """In doubt: the page says where to look; a person's word, with or without the number, ends it."""
    played, page, one = _in_doubt(world, window, width, sort, is_there=True)
    txn_id = "5A2B-1767225600"
    with _never_reloaded(page):
        field = page.get_by_label("QuickBooks ID number, if you know it")
        field.fill("what")
        page.get_by_role("button", name="It is there").click()
        _said(page, "This is no QuickBooks ID number")
        field.fill(txn_id if knows_number else "")
        page.get_by_role("button", name="It is there").click()
        _said(page, "Noted: it will not be sent again.")
        played.go_on()
        expect(_panel(page).get_by_text("Successful", exact=True)).to_be_visible()
        told = txn_id if knows_number else "Not given: a person found it in QuickBooks."
        expect(_panel(page)).to_contain_text(told)
        _look(one)
    _session(played)
    assert not played.quickbooks.ledger, "it is not sent again"


@of_both_sorts
def test_export_again(world: World, window: NewWindow, width: str, sort: Sort) -> None:
    """In doubt, and a person saw that it is not there: then, and only then, it is sent again."""
    played, page, one = _in_doubt(world, window, width, sort, is_there=False)
    _session(played)
    assert played.quickbooks.ledger == []
    with _never_reloaded(page):
        page.get_by_role("button", name="It is not there: export again").click()
        _said(page, "It was started again;")
        expect(_panel(page).get_by_text("Pending: ").first).to_be_visible()
        for _ in range(2):
            _session(played)
        expect(_panel(page).get_by_text("Successful", exact=True)).to_be_visible()
        [txn] = played.quickbooks.ledger
        expect(page.locator("#txn-id")).to_have_text(txn.txn_id)
        _look(one)


def _in_doubt(
    world: World, window: NewWindow, width: str, sort: Sort, *, is_there: bool
) -> tuple[Played, Page, Window]:
    """QuickBooks dies around the commit, and before anybody can ask it the books move to another file."""
    played = Played(world)
    played.map()
    played.hand_over(sort.document)
    played.api.post(f"/v1/companies/acme{sort.address}/export")
    played.go_on()
    one = window(width)
    page = _sign_in(world, one, sort.address)
    faults = played.quickbooks.faults
    if is_there:
        faults.crash_after_commit_before_record()
    else:
        faults.crash_before_commit()
    _session(played)
    expect(_panel(page).get_by_text("Pending: sent").first).to_be_visible()
    assert played.api.post("/v1/companies/acme/rebind").is_success
    left, played.quickbooks = played.quickbooks, freight_company("Acme Moved LLC", clock=world.clock)
    _session(played)
    assert len(left.ledger) == is_there
    played.map()  # the other file's entries have ids of their own
    expect(_panel(page).get_by_text("It may already be in QuickBooks", exact=True)).to_be_visible()
    expect(_panel(page)).to_contain_text(sort.center)
    expect(_panel(page)).to_contain_text(sort.party.removesuffix(", Inc."))
    expect(_panel(page)).to_contain_text(sort.total)
    expect(page.get_by_role("button", name="Retry", exact=True)).to_have_count(0)
    _look(one)
    return played, page, one


def _choose(page: Page, field: str, words: str, name: str) -> None:
    box = page.get_by_role("combobox", name=field)
    box.fill(words)
    option = page.get_by_role("option", name=name).first
    expect(option).to_be_visible()
    option.click()


def _without(section: str, key: str) -> dict[str, Any]:
    mapping = sample_mapping()
    del mapping[section][key]
    return mapping


@pytest.mark.parametrize(
    ("sort", "gap", "sentence", "field", "name"),
    [
        (
            SORTS["invoice"],
            ("charges", "FUEL"),
            "The charge FUEL is not linked",
            "External Item of line 2, FUEL",
            "Fuel Surcharge",
        ),
        (
            SORTS["invoice"],
            ("customers", "cus_88"),
            "is not linked to QuickBooks",
            "Customer in QuickBooks",
            "Cafe Rio Foods",
        ),
        (
            SORTS["bill"],
            ("carriers", "car_7"),
            "is not linked to QuickBooks",
            "Vendor in QuickBooks",
            "Acme Carrier LLC",
        ),
    ],
    ids=["charge", "customer", "carrier"],
)
def test_what_is_not_linked_is_linked_in_place(
    world: World, window: NewWindow, width: str, sort: Sort, gap: tuple[str, str], sentence: str, field: str, name: str
) -> None:
    """Sentence and owner beside the field; the link is made there, and the export goes through."""
    played = Played(world)
    played.map(**_without(*gap))
    played.hand_over(sort.document)
    one = window(width)
    page = _sign_in(world, one, sort.address)
    with _never_reloaded(page):
        export = page.get_by_role("button", name="Export to QuickBooks Desktop")
        expect(export).to_be_disabled()
        cell = page.locator(".cell").filter(has=page.get_by_role("combobox", name=field))
        expect(cell).to_contain_text(sentence)
        expect(cell).to_contain_text("TMS user:")
        _look(one)
        _choose(page, field, name[:6].lower(), name)
        _said(page, f"Linked to {name}.")
        expect(cell).not_to_contain_text(sentence)
        _look(one)
        # It was chosen once, and can be chosen anew.
        expect(page.get_by_role("combobox", name=field)).to_have_value(name)
        export.click()
        _said(page, "The export was started;")
        _session(played)
        expect(_panel(page).get_by_text("Successful", exact=True)).to_be_visible()
    assert len(played.quickbooks.ledger) == 1


def test_a_pre_flight_problem_stands_beside_its_field(world: World, window: NewWindow, width: str) -> None:
    """What the TMS has to mend is said where it stands; handed over again, the open page takes it."""
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1", due_date="2026-11-01"))
    one = window(width)
    page = _sign_in(world, one, "/documents/invoice/inv_1")
    with _never_reloaded(page):
        beside = page.locator("dt:text-is('Due date') + dd")
        expect(beside).to_contain_text("The due date Nov 1, 2026 is before the date Nov 20, 2026")
        expect(beside).to_contain_text("TMS user:")
        expect(page.get_by_role("button", name="Export to QuickBooks Desktop")).to_be_disabled()
        _look(one)
        played.hand_over(an_invoice("inv_1", due_date="2026-12-20"))
        export = page.get_by_role("button", name="Export to QuickBooks Desktop")
        expect(export).to_be_enabled()
        export.click()
        _said(page, "The export was started;")
        _session(played)
        expect(_panel(page).get_by_text("Successful", exact=True)).to_be_visible()


@of_both_sorts
def test_quickbooks_refuses(world: World, window: NewWindow, width: str, sort: Sort) -> None:
    """Its words, ours, whose turn it is and the button: linked anew in place, the retry goes through."""
    played = Played(world)
    played.map()
    played.hand_over(sort.document)
    played.quickbooks.faults.reject("901", 3140, sort.refusal, times=2)
    one = window(width)
    page = _sign_in(world, one, sort.address)
    with _never_reloaded(page):
        page.get_by_role("button", name="Export to QuickBooks Desktop").click()
        _said(page, "The export was started;")
        _session(played)
        failed = _error(played, sort.document["id"], kind=sort.document["kind"])
        assert (failed["code"], failed["owner"]) == ("3140", "bookkeeper")
        expect(_panel(page).get_by_text(failed["explanation"])).to_be_visible()
        expect(_panel(page)).to_contain_text(f"Bookkeeper: {failed['next_step']}")
        expect(_panel(page)).to_contain_text(f"QuickBooks' words: {sort.refusal}")
        expect(page.get_by_role("region", name="What happened")).to_contain_text("Failed")
        _look(one)
        _panel(page).get_by_role("button", name="Retry").click()
        _said(page, "It was started again;")
        expect(_panel(page).get_by_text("Pending: ").first).to_be_visible()
        _session(played)
        expect(_panel(page).get_by_text(failed["explanation"])).to_be_visible()
        _choose(page, sort.field, sort.other[:6].lower(), sort.other)
        _said(page, f"Linked to {sort.other}. 1 failed export that waited for it starts again.")
        expect(_panel(page).get_by_text("Pending: ").first).to_be_visible()
        _session(played)
        expect(_panel(page).get_by_text("Successful", exact=True)).to_be_visible()
    [txn] = played.quickbooks.ledger
    assert played.quickbooks.full_name(txn.entity) == sort.other


def test_why_it_waits(world: World, window: NewWindow, width: str) -> None:
    """Pending: the reason, when the Web Connector was last seen, and four things to check."""
    played = Played(world)
    played.map()
    played.hand_over(an_invoice("inv_1"))
    one = window(width)
    page = _sign_in(world, one, "/documents/invoice/inv_1")
    with _never_reloaded(page):
        page.get_by_role("button", name="Export to QuickBooks Desktop").click()
        panel = _panel(page)
        expect(panel.locator("dt:text-is('Web Connector last seen') + dd")).to_have_text("never")
        for check in ("QuickBooks is open", "The Web Connector is set up", "No firewall stands between"):
            expect(panel.get_by_text(check)).to_be_visible()
        expect(panel.get_by_text("The versions fit")).to_be_visible()
        _look(one)
        world.web_connector(played.quickbooks, password="wrong").run_once()
        played.quickbooks.faults.modal_dialog()
        played.go_on()
        world.web_connector(played.quickbooks).run_once()
        world.clock.forward(hours=2)
        seen = panel.locator("dt:text-is('Web Connector last seen') + dd")
        expect(seen).to_have_text("2 hours ago")
        _look(one)
