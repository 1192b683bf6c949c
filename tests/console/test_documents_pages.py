"""The list of invoices and carrier bills and the document with its Data Panel: facts, without a browser's scripts."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from store import lists
from workflows.contracts import Failure

from .conftest import OF_ACME, READER, World, send_form
from .played import UNKNOWN, Played, sample_mapping, samples

LIST = "/c/acme/documents"
ONE = f"{LIST}/invoice/inv_48213"


def an_invoice(document_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "invoice",
        "id": document_id,
        "number": f"INV-2026-00{document_id[4:]}",
        "customer": {"id": "cus_88", "name": "Cafe Rio Foods, Inc."},
        "date": "2026-11-20",
        "currency": "USD",
        "lines": [
            {"id": "1", "charge": "LINEHAUL", "quantity": "1", "rate": "1850.00", "amount": "1850.00"},
            {"id": "2", "charge": "FUEL", "description": "Fuel surcharge", "amount": "212.50"},
        ],
        "total": "2062.50",
        **fields,
    }


@pytest.fixture
def played(world: World) -> Played:
    made = Played(world)
    made.map()
    return made


def _text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def _row(html: str, document_id: str) -> str:
    found = re.search(rf'<tr id="row-\w+-{document_id}">(.*?)</tr>', html, re.S)
    assert found is not None, html
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[1]))


def test_the_list_says_what_waits_and_what_keeps_it_back(played: Played) -> None:
    """Handed over or exported at once: each once, with status, party, amount, age and the reason."""
    wrong = an_invoice("inv_2", customer={"id": "cus_unknown", "name": "Nobody & Sons"})
    played.hand_over(an_invoice("inv_1"), wrong)
    played.api.post("/v1/companies/acme/exports", json={"document": an_invoice("inv_3")})
    played.go_on()
    played.world.clock.forward(hours=3)
    page = played.world.by_link().get(LIST)
    assert page.text.count('name="chosen"') == 3
    assert "Ready to export" in _row(page.text, "inv_1")
    assert "2,062.50" in _row(page.text, "inv_1")
    assert "3 hours" in _row(page.text, "inv_1")
    row = _row(page.text, "inv_2")
    assert "Nobody &amp; Sons" in row
    assert "is not linked to QuickBooks" in row
    assert "Pending: waiting" in _row(page.text, "inv_3")
    assert "never called" in _row(page.text, "inv_3")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("status=NotExported", {"inv_1", "bill_9"}),
        ("status=Failed", {"inv_3"}),
        ("status=Pending", {"inv_4"}),
        ("owner=bookkeeper", {"inv_3"}),
        ("kind=carrier_bill", {"bill_9"}),
        ("q=carrier", {"bill_9"}),
        ("q=inv-2026-001", {"inv_1"}),
        ("older=day", {"inv_1", "bill_9"}),
        ("status=NotExported&older=week", set()),
        ("q=%25", set()),
    ],
)
def test_filters_and_search(played: Played, query: str, shown: set[str]) -> None:
    bill = an_invoice("bill_9", kind="carrier_bill", carrier={"id": "car_7", "name": "Acme Carrier LLC"})
    bill["lines"] = [{"charge": "LINEHAUL", "amount": "900.00"}]
    del bill["customer"]
    played.hand_over(an_invoice("inv_1"), bill | {"total": "900.00"})
    played.world.clock.forward(days=2)
    for one in ("inv_3", "inv_4"):
        played.api.post("/v1/companies/acme/exports", json={"document": an_invoice(one)})
    played.go_on()
    played.fail("inv_3", UNKNOWN)
    page = played.world.by_link().get(f"{LIST}?{query}")
    assert page.status_code == 200
    assert set(re.findall(r'name="chosen" value="\w+/(\w+)"', page.text)) == shown


def test_selecting_many_exports_each_and_says_what_was_refused(played: Played) -> None:
    played.hand_over(*[an_invoice(f"inv_{n}") for n in range(1, 4)])
    played.hand_over(an_invoice("inv_9", number="909", customer={"id": "cus_unknown", "name": "Nobody"}))
    client = played.world.by_link()
    chosen = [f"invoice/inv_{n}" for n in (1, 2, 3, 9)]
    answer = send_form(client, f"{LIST}/export", {"chosen": chosen}, page=LIST)
    shown = _text(client.get(answer.headers["location"]))
    assert "3 exports started." in shown
    assert "909: The customer Nobody" in shown
    played.go_on()
    played.world.clock.forward(minutes=1)
    for _ in range(3):
        played.world.web_connector(played.quickbooks).run_once()
        played.go_on()
    page = client.get(LIST)
    assert "Successful" in _row(page.text, "inv_1")
    assert len(played.quickbooks.ledger) == 3


def test_cancel_retry_and_mark_as_done(played: Played) -> None:
    """Each from the list, with the same refusals as over the API."""
    played.hand_over(an_invoice("inv_1"), an_invoice("inv_2"))
    client = played.world.by_link()
    send_form(client, f"{LIST}/export", {"chosen": ["invoice/inv_1", "invoice/inv_2"]}, page=LIST)
    send_form(client, f"{LIST}/cancel", {"chosen": ["invoice/inv_1"]}, page=LIST)
    assert "Cancelled" in _row(client.get(LIST).text, "inv_1")
    refused = send_form(client, f"{LIST}/done", {"chosen": ["invoice/inv_2"]}, page=LIST)
    assert "only a Failed or Cancelled one can be confirmed" in _text(client.get(refused.headers["location"]))
    send_form(client, f"{LIST}/retry", {"chosen": ["invoice/inv_1"]}, page=LIST)
    assert "Pending" in _row(client.get(LIST).text, "inv_1")
    played.go_on()
    played.fail("inv_1", UNKNOWN)
    again = send_form(client, f"{LIST}/retry", {"chosen": ["invoice/inv_1"]}, page=LIST)
    assert "may already be in QuickBooks" in _text(client.get(again.headers["location"]))
    there = played.type_by_hand("inv_1")
    send_form(client, f"{LIST}/done", {"chosen": ["invoice/inv_1"]}, page=LIST)
    played.go_on()
    assert "Pending" in _row(client.get(LIST).text, "inv_1")
    played.run_web_connector()
    answer = played.api.get("/v1/companies/acme/exports/invoice/inv_1").json()
    assert answer["quickbooks"]["txn_id"] == there
    assert answer["quickbooks"]["confirmed_by"] == "a bookkeeper in the console"


def test_a_document_shows_where_each_line_goes_and_issues_beside_their_fields(played: Played) -> None:
    document = next(one for one in samples() if one["id"] == "inv_48218")
    played.hand_over(document)
    client = played.world.by_link()
    page = client.get(f"{LIST}/invoice/{document['id']}")
    assert 'value="Linehaul"' in page.text
    line = re.search(r'<tr id="line-2">(.*?)</tr>', page.text, re.S)
    assert line is not None
    assert "field__error" in line[1]
    assert "1 thing keeps it back" in _text(page)
    assert "disabled" in re.search(r'<button class="button button--primary"[^>]*>', page.text)[0]  # type: ignore[index]


def test_linking_in_place_mends_the_document(played: Played) -> None:
    """The customer is linked where it stands; then it can be exported, and ends as Successful with its number."""
    mapping = sample_mapping()
    mapping["customers"] = {}
    played.map(**mapping)
    played.hand_over(an_invoice("inv_48213"))
    client = played.world.by_link()
    assert "is not linked to QuickBooks" in _text(client.get(ONE))
    form = {"place": "customers", "key": "cus_88", "name": "Cafe Rio Foods"}
    send_form(client, f"{ONE}/link", form, page=ONE)
    assert "is not linked to QuickBooks" not in _text(client.get(ONE))
    send_form(client, f"{ONE}/export", {}, page=ONE)
    played.go_on()
    waiting = _text(client.get(ONE))
    assert "Invoice Export Status Pending: waiting" in waiting
    for check in ("QuickBooks is open", "The Web Connector is set up", "No firewall", "The versions fit"):
        assert check in waiting
    for _ in range(2):
        played.world.web_connector(played.quickbooks).run_once()
        played.go_on()
    [txn] = played.quickbooks.ledger
    done = _text(client.get(ONE))
    assert f"QuickBooks ID number {txn.txn_id}" in done
    assert "The Web Connector fetched it" in done
    assert "For staff" not in done


def test_staff_see_request_and_answer_without_what_is_private(played: Played) -> None:
    played.hand_over(an_invoice("inv_48213"))
    staff = played.world.signed_in()
    send_form(staff, f"{ONE}/export", {}, page=ONE)
    for _ in range(2):
        played.go_on()
        played.world.web_connector(played.quickbooks).run_once()
    played.go_on()
    page = staff.get(ONE).text
    shown = "".join(re.findall(r'<pre class="exchange".*?</pre>', page, re.S))
    assert "InvoiceAddRq" in shown
    assert "InvoiceAddRs" in shown
    assert played.quickbooks.ledger[0].txn_id in shown
    assert not [secret for secret in ("Cafe Rio", "1850", "2062.50", "Linehaul") if secret in shown]
    assert "http://ui/export/acme/invoice/inv_48213/" in page


def test_what_may_be_in_quickbooks_asks_for_a_look(played: Played) -> None:
    played.hand_over(an_invoice("inv_48213"))
    client = played.world.by_link()
    send_form(client, f"{ONE}/export", {}, page=ONE)
    played.go_on()
    played.fail("inv_48213", UNKNOWN)
    text = _text(client.get(ONE))
    assert "It may already be in QuickBooks" in text
    wrong = send_form(client, f"{ONE}/confirm", {"txn_id": "what"}, page=ONE)
    assert "This is no QuickBooks ID number" in _text(client.get(wrong.headers["location"]))
    there = played.type_by_hand("inv_48213")
    send_form(client, f"{ONE}/confirm", {"txn_id": "FFFF-1767225600"}, page=ONE)
    played.go_on()
    assert "the next update looks it up there" in _text(client.get(ONE))
    played.run_web_connector()
    assert "QuickBooks has no invoice with the TxnID FFFF-1767225600." in _text(client.get(ONE))
    send_form(client, f"{ONE}/confirm", {"txn_id": there}, page=ONE)
    played.go_on()
    played.run_web_connector()
    assert there in _text(client.get(ONE))
    assert "Confirmed by a bookkeeper in the console" in _text(client.get(ONE))
    assert len(played.quickbooks.ledger) == 1


def test_what_somebody_typed_is_shown_with_both_choices(played: Played) -> None:
    """It is this one, or export all the same: each from the document's page."""
    changed = played.api.patch("/v1/companies/acme", json={"look_before_adding": True})
    assert changed.json()["look_before_adding"] is True
    played.hand_over(an_invoice("inv_48213"), an_invoice("inv_2"))
    client = played.world.by_link()
    for document in ("inv_48213", "inv_2"):
        send_form(client, f"{LIST}/export", {"chosen": [f"invoice/{document}"]}, page=LIST)
    played.go_on()
    first, second = played.type_by_hand("inv_48213"), played.type_by_hand("inv_2")
    played.run_web_connector()
    page = client.get(ONE)
    assert "It was not sent: QuickBooks already has what looks like it" in _text(page)
    assert f"QuickBooks ID number {first}" in _text(page)
    send_form(client, f"{ONE}/confirm", {"txn_id": first}, page=ONE)
    other = ONE.replace("inv_48213", "inv_2")
    send_form(client, f"{other}/export-anyway", {}, page=other)
    played.go_on()
    played.run_web_connector()
    assert "Successful" in _text(client.get(ONE))
    shown = played.api.get("/v1/companies/acme/exports/invoice/inv_2").json()
    assert shown["status"] == "Successful"
    assert {txn.txn_id for txn in played.quickbooks.ledger} == {first, second, shown["quickbooks"]["txn_id"]}


def test_a_failure_says_whose_turn_it_is(played: Played) -> None:
    played.hand_over(an_invoice("inv_48213"))
    client = played.world.by_link()
    send_form(client, f"{ONE}/export", {}, page=ONE)
    played.go_on()
    failure = Failure(
        code="3140",
        message="There is an invalid reference.",
        explanation="QuickBooks does not know the customer.",
        owner="bookkeeper",
        next_step="Choose the customer again.",
    )
    played.fail("inv_48213", failure)
    text = _text(client.get(ONE))
    assert "Bookkeeper: Choose the customer again." in text
    assert "There is an invalid reference." in text
    row = _row(client.get(LIST).text, "inv_48213")
    assert "QuickBooks does not know the customer." in row
    assert "Bookkeeper" in row
    send_form(client, f"{ONE}/retry", {}, page=ONE)
    assert "Pending" in _row(client.get(LIST).text, "inv_48213")


def test_nobody_acts_for_a_foreign_company_or_without_the_right(played: Played) -> None:
    played.hand_over(an_invoice("inv_48213"))
    own = played.world.signed_in(OF_ACME)
    for address in (LIST, ONE):
        assert own.get(address.replace("acme", "rival")).status_code == 404
    assert send_form(own, "/c/rival/documents/export", {"chosen": ["invoice/inv_1"]}, page=LIST).status_code == 404
    reader = played.world.signed_in(READER)
    assert "Export to QuickBooks Desktop" not in reader.get(LIST).text
    for address in (f"{LIST}/export", f"{ONE}/export", f"{ONE}/retry", f"{ONE}/confirm", f"{ONE}/link"):
        form = {"place": "customers", "key": "cus_88", "chosen": ["invoice/inv_48213"]}
        assert send_form(reader, address, form, page=LIST).status_code == 403, address
    assert played.api.get("/v1/companies/acme/exports").json()["items"] == []


def test_a_page_of_the_list_asks_the_database_a_bounded_number_of_times(played: Played) -> None:
    """As many questions for a full page as the page has new documents, and a constant."""
    played.hand_over(*[an_invoice(f"inv_{n}", number=f"{n}") for n in range(60)])
    client = played.world.by_link()
    asked: list[str] = []
    event.listen(played.world.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    page = client.get(LIST)
    assert page.text.count('name="chosen"') == 50
    few = len(asked)
    assert few <= 50 + 60, few
    after = re.search(r'href="([^"]*after=[^"]*)"', page.text)
    assert after is not None
    second = client.get(after[1].replace("&amp;", "&"))
    assert second.text.count('name="chosen"') == 10


@pytest.mark.parametrize("address", [{"name": "Factor"}, {"city": "Dallas"}, {}])
def test_a_document_with_half_an_address_has_its_page(played: Played, address: dict[str, str]) -> None:
    """Whatever is missing of it: also in documents that can be exported no more."""
    played.hand_over(an_invoice("inv_7", bill_to=address, customer={}))
    page = played.world.by_link().get(f"{LIST}/invoice/inv_7")
    assert page.status_code == 200
    assert all(text in page.text for text in address.values())


def test_a_bad_default_leads_to_where_it_is_chosen(played: Played) -> None:
    """What is not a field of the document has its next step as a link, to the row of the default."""
    mapping = sample_mapping()
    mapping["defaults"]["invoice"]["ar_account"] = {"full_name": "Accounts Receivable"}
    played.map(**mapping)
    played.hand_over(an_invoice("inv_48213"))
    client = played.world.by_link()
    link = 'href="/c/acme/mapping/defaults#row-defaults-invoice-ar_account"'
    assert link not in client.get(ONE).text
    entry = next(one for one in played.quickbooks.entries() if one.full_name == "Accounts Receivable")
    with played.world.database.transaction() as session:
        row = lists.entry(session, "acme", "account", entry.list_id)
        assert row is not None
        row.is_active = False
    page = client.get(ONE)
    assert link in page.text
    assert "Bookkeeper: Make Accounts Receivable active in QuickBooks" in _text(page)
    assert 'id="row-defaults-invoice-ar_account"' in client.get("/c/acme/mapping/defaults").text


def test_issues_name_their_owner_and_pending_says_when_the_web_connector_was_seen(played: Played) -> None:
    played.hand_over(an_invoice("inv_48213", customer={"id": "cus_unknown", "name": "Nobody"}), an_invoice("inv_2"))
    client = played.world.by_link()
    assert re.search(r"Nobody \S+ is not linked to QuickBooks\. TMS user: ", _text(client.get(ONE)))
    send_form(client, f"{LIST}/invoice/inv_2/export", {}, page=LIST)
    assert "Web Connector last seen never" in _text(client.get(f"{LIST}/invoice/inv_2"))
    played.world.web_connector(played.quickbooks).run_once()
    played.world.clock.forward(minutes=25)
    assert "Web Connector last seen 25 minutes ago" in _text(client.get(f"{LIST}/invoice/inv_2"))
