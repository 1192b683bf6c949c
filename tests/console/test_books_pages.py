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
