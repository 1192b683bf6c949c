"""What QuickBooks holds, beside what was sent and what the TMS says today: in the API and on the pages."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from simulator.sample_company import freight_company

from .conftest import World
from .played import Played, sample_mapping
from .test_documents_pages import LIST, _row, _text, an_invoice

EXPORTS = "/v1/companies/acme/exports"


def with_default(code: str) -> dict[str, Any]:
    mapping = copy.deepcopy(sample_mapping())
    mapping["defaults"]["invoice"]["tax_code"] = {"full_name": code}
    return mapping


@pytest.fixture
def taxed(world: World) -> Played:
    """A company whose invoices have a taxable code, in a state with sales tax."""
    quickbooks = freight_company(clock=world.clock)
    quickbooks.turn_on_sales_tax("Nevada", "8.25")
    made = Played(world, quickbooks=quickbooks)
    made.map(**with_default("Tax"))
    return made


def test_a_taxable_code_is_warned_of_when_it_is_chosen(taxed: Played) -> None:
    """In the API's answer, on the page of the mapping and before a document is exported."""
    saved = taxed.put("/mapping", with_default("Tax")).json()
    assert [one["code"] for one in saved["warnings"]] == ["tax_code_taxable"]
    one = taxed.put("/mapping/defaults/invoice", with_default("Tax")["defaults"]["invoice"]).json()
    assert [one["code"] for one in one["warnings"]] == ["tax_code_taxable"]
    assert taxed.put("/mapping", with_default("Non")).json()["warnings"] == []
    taxed.map(**with_default("Tax"))
    browser = taxed.world.by_link()
    assert "QuickBooks adds sales tax on top" in _text(browser.get("/c/acme/mapping/defaults"))
    document = an_invoice("inv_1")
    taxed.hand_over(document)
    seen = taxed.api.get("/v1/companies/acme/documents/invoice/inv_1").json()
    assert ("tax_code_taxable", "warning") in {(issue["code"], issue["severity"]) for issue in seen["issues"]}
    assert "QuickBooks adds sales tax on top" in _text(browser.get(f"{LIST}/invoice/inv_1"))


def test_tax_on_top_is_seen_everywhere(taxed: Played) -> None:
    """Successful with its difference: in the panel, in the lists, by a filter, on both pages."""
    document, other = an_invoice("inv_1"), an_invoice("inv_2")
    taxed.hand_over(document, other)
    taxed.export(document)
    connector = taxed.world.web_connector(taxed.quickbooks)
    connector.run_once()
    taxed.map(**with_default("Non"))
    taxed.export(other)
    connector.run_once()
    taxed.go_on()
    panel = taxed.api.get(f"{EXPORTS}/invoice/inv_1").json()
    assert (panel["state"], panel["status"]) == ("Successful", "Successful")
    [one] = panel["differences"]
    assert (one["path"], one["sent"], one["books"], one["by"]) == ("total", "2062.50", "2232.66", "sales_tax")
    assert "added sales tax" in one["message"]
    assert taxed.api.get(f"{EXPORTS}/invoice/inv_2").json()["differences"] == []
    listed = taxed.api.get(EXPORTS, params={"differing": "true"}).json()["items"]
    assert [(item["document_id"], len(item["differences"])) for item in listed] == [("inv_1", 1)]
    browser = taxed.world.by_link()
    html = browser.get(LIST).text
    assert "Differs in QuickBooks" in _row(html, "inv_1")
    assert "Bookkeeper" in _row(html, "inv_1")
    assert "Differs in QuickBooks" not in _row(html, "inv_2")
    filtered = browser.get(LIST, params={"books": "differs"}).text
    assert 'id="row-invoice-inv_1"' in filtered
    assert 'id="row-invoice-inv_2"' not in filtered
    page = _text(browser.get(f"{LIST}/invoice/inv_1"))
    assert "2062.50 → 2232.66" in page
    assert "QuickBooks added sales tax" in page


@pytest.fixture
def played(world: World) -> Played:
    made = Played(world)
    made.map()
    return made


def remapped() -> dict[str, Any]:
    mapping = copy.deepcopy(sample_mapping())
    mapping["customers"]["cus_88"] = {"full_name": "Pinnacle Paper"}
    mapping["charges"]["FUEL"]["invoice"] = {"item": {"full_name": "Accessorial"}}
    return mapping


def test_what_was_sent_stays_as_it_was(played: Played) -> None:
    """Other amounts in the TMS and other links of the mapping are shown beside it, never as if QuickBooks held them."""
    document = an_invoice("inv_1")
    played.hand_over(document)
    played.export(document)
    assert played.api.get(f"{EXPORTS}/invoice/inv_1").json()["sent"] is None
    played.world.web_connector(played.quickbooks).run_once()
    played.go_on()
    lines = [document["lines"][0], {**document["lines"][1], "amount": "250.00"}]
    played.hand_over({**document, "lines": lines, "total": "2100.00"})
    played.map(**remapped())
    panel = played.api.get(f"{EXPORTS}/invoice/inv_1").json()
    sent = panel["sent"]
    assert (sent["total"], sent["party"]["full_name"], sent["class"]) == ("2062.50", "Cafe Rio Foods", None)
    assert [line["target"]["full_name"] for line in sent["lines"]] == ["Linehaul", "Fuel Surcharge"]
    said = {(one["where"], one["path"]): (one["sent"], one["now"]) for one in panel["changed_since"]}
    assert said == {
        ("document", "total"): ("2062.50", "2100.00"),
        ("document", "lines[1].amount"): ("212.50", "250.00"),
        ("mapping", "customer.id"): ("Cafe Rio Foods", "Pinnacle Paper"),
        ("mapping", "lines[1].charge"): ("Fuel Surcharge", "Accessorial"),
    }
    [listed] = played.api.get(EXPORTS).json()["items"]
    assert (listed["sent"]["total"], listed["changed_in_tms"]) == ("2062.50", True)
    [handed] = played.api.get("/v1/companies/acme/documents").json()["items"]
    assert (handed["total"], handed["export"]["sent"]["total"]) == ("2100.00", "2062.50")
    browser = played.world.by_link()
    row = _row(browser.get(LIST).text, "inv_1")
    assert "2,062.50" in row
    assert "the TMS now says 2,100.00" in row
    html = browser.get(f"{LIST}/invoice/inv_1").text
    assert 'action="/c/acme/documents/invoice/inv_1/link"' not in html
    text = _text(browser.get(f"{LIST}/invoice/inv_1"))
    assert "QuickBooks has 2,062.50" in text
    assert "the TMS now says 2,100.00" in text
    assert "by the mapping of today it goes to Pinnacle Paper" in text


def test_on_its_way_it_goes_as_it_was_fetched(played: Played) -> None:
    """The mapping changed after the Web Connector fetched it: it says so, and links are no longer to be edited."""
    document = an_invoice("inv_1")
    played.hand_over(document)
    played.export(document)
    connector = played.world.web_connector(played.quickbooks)
    played.quickbooks.faults.crash_after_record(None)
    connector.run_once()
    played.go_on()
    played.map(**remapped())
    panel = played.api.get(f"{EXPORTS}/invoice/inv_1").json()
    assert panel["state"] == "Sent"
    assert {one["path"] for one in panel["changed_since"]} == {"customer.id", "lines[1].charge"}
    text = _text(played.world.by_link().get(f"{LIST}/invoice/inv_1"))
    assert "As it was sent" in text
    assert "The customer Cafe Rio Foods, Inc. was sent as Cafe Rio Foods" in text


def test_with_tax_on_top_the_page_says_what_quickbooks_has(taxed: Played) -> None:
    """The total of QuickBooks' own answer, and not the one that was sent."""
    document = an_invoice("inv_1")
    taxed.hand_over(document)
    taxed.export(document)
    taxed.world.web_connector(taxed.quickbooks).run_once()
    taxed.go_on()
    lines = [document["lines"][0], {**document["lines"][1], "amount": "250.00"}]
    taxed.hand_over({**document, "lines": lines, "total": "2100.00"})
    text = _text(taxed.world.by_link().get(f"{LIST}/invoice/inv_1"))
    assert "QuickBooks has 2,232.66" in text


def test_a_waiting_document_says_nothing_of_having_been_sent(played: Played) -> None:
    """Its links are those of today's mapping, and it will go with them."""
    document = an_invoice("inv_1")
    played.hand_over(document)
    played.export(document)
    played.map(**remapped())
    html = played.world.by_link().get(f"{LIST}/invoice/inv_1").text
    assert 'action="/c/acme/documents/invoice/inv_1/link"' in html
    assert "Pinnacle Paper" in html
    played.world.web_connector(played.quickbooks).run_once()
    played.go_on()
    panel = played.api.get(f"{EXPORTS}/invoice/inv_1").json()
    assert panel["sent"]["party"]["full_name"] == "Pinnacle Paper"
    assert panel["changed_since"] == []
    assert any("it now goes to Pinnacle Paper" in entry["text"] for entry in panel["timeline"])
