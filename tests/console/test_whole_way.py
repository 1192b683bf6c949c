"""One bookkeeper, one browser, the real processes: from the link in the TMS to a transaction in QuickBooks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from ops.ports import NO_TLS
from ops.settings import Settings
from simulator.company import CompanyFile
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector

from . import whole_stack
from .conftest import NewWindow, Window
from .played import sample_mapping, samples

CUSTOMER, CHARGE = "cus_88", "LINEHAUL"
COMPANIES = {"wide": ("ridgeline", "Ridgeline Freight LLC"), "narrow": ("summit", "Summit Freight LLC")}

expect.set_options(timeout=60_000)  # a machine that does much else is slow, not wrong


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with whole_stack.running(tmp_path_factory.mktemp("whole")) as settings:
        yield settings


def looks_well(one: Window) -> None:
    one.axe()
    one.fits()


def sign_in(one: Window, tms: httpx.Client, company: str) -> None:
    made = tms.post(f"/v1/companies/{company}/console-link")
    assert made.status_code == 201, made.text
    one.page.goto(made.json()["url"])
    looks_well(one)
    one.page.get_by_role("button", name="Open the console").click()


def connect(one: Window, folder: Path) -> tuple[str, str]:
    """Go through the four steps; give the connection file and the password."""
    page = one.page
    page.get_by_role("radio", name="Enterprise 24.0").check()
    looks_well(one)
    page.get_by_role("button", name="Go on").click()
    for box in page.get_by_role("checkbox").all():
        box.check()
    looks_well(one)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("radio", name="Every 15 minutes").check()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("^Download .*qwc")).click()
    download.value.save_as(folder / "it.qwc")
    page.get_by_role("button", name="Make and show the password").click()
    password = page.locator("#the-password").inner_text()
    looks_well(one)
    page.get_by_role("link", name="Go on").click()
    looks_well(one)
    page.get_by_role("link", name="I did this").click()
    expect(page.get_by_text("Nothing has called yet")).to_be_visible()
    looks_well(one)
    return (folder / "it.qwc").read_text("utf-8"), password


def link(page: Page, section: str, field: str, typed: str, chosen: str) -> None:
    """Choose an External Item in the mapping."""
    page.get_by_role("navigation", name="Sections of the mapping").get_by_role("link", name=section).click()
    box = page.get_by_role("combobox", name=field, exact=True)
    box.fill(typed)
    page.get_by_role("option", name=chosen).first.click()
    expect(page.get_by_role("main").get_by_text(f"is linked to {chosen}.")).to_be_visible()


def export(one: Window, number: str, quickbooks: CompanyFile) -> None:
    """Open the document, export it, and watch it become Successful on the page as it is."""
    page = one.page
    page.get_by_role("link", name=number).click()
    page.evaluate("window.neverLoadedAgain = true")
    looks_well(one)
    page.get_by_role("button", name="Export to QuickBooks Desktop").click()
    panel = page.locator("section[aria-labelledby=h-panel]")
    expect(panel.get_by_text("Successful", exact=True)).to_be_visible()
    assert page.evaluate("window.neverLoadedAgain") is True
    [transaction] = quickbooks.ledger
    expect(panel.locator("#txn-id")).to_have_text(transaction.txn_id)
    assert transaction.ref_number
    expect(panel.locator("dt", has_text="RefNumber").locator("+ dd")).to_have_text(transaction.ref_number)
    looks_well(one)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_from_connect_to_successful(stack: Settings, window: NewWindow, tmp_path: Path, width: str) -> None:
    """Link, version, file, password, first contact, lists, mapping, export: nothing is done outside the browser but
    what TMS.ai and the QuickBooks PC do."""
    company, name = COMPANIES[width]
    quickbooks = freight_company(name)
    document = next(one for one in samples() if one["number"] == "INV-2026-004821")
    mapping = sample_mapping()
    customer, charge = mapping["customers"].pop(CUSTOMER), mapping["charges"].pop(CHARGE)
    with whole_stack.the_tms(stack) as tms:
        body = {"id": company, "name": name, "quickbooks_release": "Enterprise 24.0"}
        assert tms.post("/v1/companies", json=body).status_code == 201
        put = tms.put(f"/v1/companies/{company}/documents/{document['kind']}/{document['id']}", json=document)
        assert put.is_success, put.text
        one = window(width)
        page = one.page
        sign_in(one, tms, company)
        qwc, password = connect(one, tmp_path)
        with httpx.Client(trust_env=False, verify=NO_TLS, timeout=30) as http:
            pause = whole_stack.CALLS_EVERY_S / 10
            connector = WebConnector(read_qwc(qwc), password, quickbooks, http=http, sleep=lambda _: time.sleep(pause))
            connector.probe()
            with whole_stack.calling(connector):
                page.get_by_role("button", name="Yes, this is our company file").click(timeout=90_000)
                page.goto(f"{stack.console_origin}/c/{company}/connect/wait")
                # It leads on by itself when the lists come while it is open, and by a link when they are here already.
                arrived = page.get_by_role("link", name="Go on to mapping")
                arrived.or_(page.locator("#mapping, [id^=row-]").first).first.wait_for(timeout=90_000)
                page.goto(f"{stack.console_origin}/c/{company}/mapping/charges")
                put = tms.put(f"/v1/companies/{company}/mapping", json=mapping)  # what is not this document's
                assert put.is_success, put.text
                page.reload()
                looks_well(one)
                item = charge["invoice"]["item"]["full_name"]
                link(page, "Charges", f"On invoices: {CHARGE}", item, item)
                looks_well(one)
                link(page, "Customers", "Customer in QuickBooks: Cafe Rio Foods, Inc.", "cafe", customer["full_name"])
                looks_well(one)
                page.get_by_role("link", name=re.compile("^Invoices")).first.click()
                looks_well(one)
                export(one, document["number"], quickbooks)
                page.goto(f"{stack.console_origin}/c/{company}/connection")
                expect(page.get_by_role("region", name="State").get_by_text("Everything works.")).to_be_visible()
                looks_well(one)
    assert len(quickbooks.ledger) == 1
