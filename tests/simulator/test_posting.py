from datetime import date
from decimal import Decimal

import pytest


def test_an_invoice_is_posted_with_quickbooks_defaults(desk, invoice):
    ret = desk.one(invoice())[0]
    posted = desk.company.invoices[0]
    assert ret.findtext("TxnID") == posted.txn_id
    assert posted.txn_id.split("-")[1] == posted.edit_sequence == ret.findtext("EditSequence")
    assert ret.findtext("TimeCreated") == "2026-07-01T09:30:00-08:00"
    assert ret.findtext("ARAccountRef/FullName") == "Accounts Receivable"
    assert ret.findtext("TermsRef/FullName") == "Net 30"
    assert ret.findtext("DueDate") == "2026-07-30"
    assert ret.findtext("Subtotal") == "1850.00"
    assert ret.findtext("BalanceRemaining") == "1850.00"
    assert ret.findtext("IsToBePrinted") == "true"
    assert ret.findtext("InvoiceLineRet/SalesTaxCodeRef/FullName") == "Non"
    assert ret.findtext("BillAddressBlock/Addr3") == "Salt Lake City, UT 89501"
    assert posted.total == Decimal("1850.00")
    assert posted.lines[0].line_id != posted.txn_id


def test_every_field_sent_is_kept(desk, invoice):
    guid = "{6F9619FF-8B86-D011-B42D-00C04FC964FF}"
    desk.one(
        invoice(
            before="<ClassRef><FullName>brokerage</FullName></ClassRef>",
            between="<PONumber>PO-1</PONumber><TermsRef><FullName>Net 15</FullName></TermsRef>"
            "<DueDate>2026-08-08</DueDate><FOB>Reno</FOB><ShipDate>2026-06-29</ShipDate><Memo>Load 1</Memo>"
            f"<IsToBePrinted>false</IsToBePrinted><Other>BOL 1</Other><ExternalGUID>{guid}</ExternalGUID>",
        )
    )
    posted = desk.company.invoices[0]
    assert (posted.po_number, posted.fob, posted.memo, posted.other) == ("PO-1", "Reno", "Load 1", "BOL 1")
    assert (posted.due_date, posted.ship_date) == (date(2026, 8, 8), date(2026, 6, 29))
    assert posted.external_guid == guid
    assert not posted.is_to_be_printed
    assert desk.company.full_name(posted.class_id) == "Brokerage"
    assert posted.lines[0].class_id == posted.class_id


@pytest.mark.parametrize(
    ("sent", "quantity", "rate", "amount"),
    [
        ("<Amount>212.50</Amount>", None, "212.50", "212.50"),
        ("<Rate>9.00</Rate><Amount>212.50</Amount>", None, "212.50", "212.50"),
        ("<Quantity>3</Quantity><Rate>0.335</Rate>", "3", "0.335", "1.01"),
        ("<Quantity>4</Quantity><Amount>10.00</Amount>", "4", "2.50", "10.00"),
        ("<Rate>100</Rate>", None, "100.00", "100.00"),
        ("<Quantity>2.50</Quantity>", "2.5", "12.50", "31.25"),
        ("", "1", "12.50", "12.50"),
    ],
)
def test_line_arithmetic(desk, invoice, invoice_line, sent, quantity, rate, amount):
    line = desk.one(invoice(lines=invoice_line("Pallets", sent))).find("InvoiceRet/InvoiceLineRet")
    assert (line.findtext("Quantity"), line.findtext("Rate"), line.findtext("Amount")) == (quantity, rate, amount)


def test_text_lines_have_no_amount_and_amounts_need_an_item(desk, invoice, invoice_line):
    lines = invoice_line("Linehaul", "<Amount>100.00</Amount>")
    answer = desk.one(invoice(lines=lines + "<InvoiceLineAdd><Desc>Thank you</Desc></InvoiceLineAdd>"))
    assert answer.findall("InvoiceRet/InvoiceLineRet")[1].find("Amount") is None
    answer = desk.one(invoice(lines="<InvoiceLineAdd><Amount>1.00</Amount></InvoiceLineAdd>"))
    assert answer.get("statusCode") == "3150"


def test_a_discount_item_lowers_the_total(desk, invoice, invoice_line):
    lines = invoice_line("Linehaul", "<Amount>100.00</Amount>")
    desk.one(invoice(lines=lines + invoice_line("Discount", "<Amount>-10.00</Amount>")))
    desk.one(invoice(lines=lines + invoice_line("Discount", "<RatePercent>-5</RatePercent>")))
    assert [entry.total for entry in desk.company.invoices] == [Decimal("90.00"), Decimal("95.00")]


def test_numbers_may_repeat_and_missing_ones_continue(desk, invoice):
    desk.send(invoice("2001") + invoice("2001") + invoice(None) + invoice(""))
    assert [entry.ref_number for entry in desk.company.invoices] == ["2001", "2001", "2002", None]
    assert [entry.txn_number for entry in desk.company.invoices] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "into", "message"),
    [
        ("Cafe Rio Foods", "Nobody", 'QuickBooks Customer "Nobody" in the Invoice.  QuickBooks error message'),
        ("Cafe Rio Foods", "Closed Door Furniture", 'Customer "Closed Door Furniture" in the Invoice.'),
        ("Cafe Rio Foods", "Acme Carrier LLC", 'Customer "Acme Carrier LLC" in the Invoice.'),
        ("Linehaul", "Reefer Fuel", 'QuickBooks Item "Reefer Fuel" in the Invoice line.'),
    ],
)
def test_a_reference_that_means_nothing_is_named(desk, invoice, change, into, message):
    answer = desk.one(invoice().replace(change, into))
    assert answer.get("statusCode") == "3140"
    assert message in answer.get("statusMessage")
    assert not desk.company.ledger


def test_references_by_id_and_by_name_without_case(desk, invoice):
    job = next(entry for entry in desk.company.state.customers if entry.name == "Load 100777")
    by_id = invoice().replace("<FullName>Cafe Rio Foods</FullName>", f"<ListID>{job.list_id}</ListID>")
    ret = desk.one(by_id)[0]
    assert ret.findtext("CustomerRef/FullName") == "Ironwood Building Supply:Load 100777"
    assert ret.findtext("TermsRef/FullName") == "Net 30"
    assert desk.one(invoice(customer="ironwood building supply:LOAD 100777")).get("statusCode") == "0"


def test_an_empty_reference_is_a_missing_element(desk, invoice):
    answer = desk.one(invoice().replace("<FullName>Cafe Rio Foods</FullName>", ""))
    assert answer.get("statusMessage") == 'There is a missing element: "ListID"'


def test_accounts_must_be_of_the_right_type(desk, invoice, bill):
    wrong = "<ARAccountRef><FullName>Checking</FullName></ARAccountRef>"
    assert desk.one(invoice(before=wrong)).get("statusCode") == "3140"
    expense = bill().replace("Purchased Transportation", "Accounts Receivable")
    assert desk.one(expense).get("statusCode") == "3140"


def test_inactive_references_pass_when_switched_on(desk, invoice):
    desk.company.switches.refuse_inactive_references = False
    assert desk.one(invoice(customer="Closed Door Furniture")).get("statusCode") == "0"


def test_a_bill_with_both_kinds_of_lines(desk, bill):
    item = (
        "<ItemLineAdd><ItemRef><FullName>Carrier Lumper</FullName></ItemRef><Quantity>2</Quantity><Cost>75</Cost>"
        "<CustomerRef><FullName>Cafe Rio Foods</FullName></CustomerRef>"
        "<ClassRef><FullName>Drayage</FullName></ClassRef><BillableStatus>NotBillable</BillableStatus></ItemLineAdd>"
    )
    expense = (
        "<ExpenseLineAdd><AccountRef><FullName>Purchased Transportation</FullName></AccountRef>"
        "<Amount>1500.00</Amount><Memo>Linehaul</Memo></ExpenseLineAdd>"
    )
    ret = desk.one(bill(lines=expense + item))[0]
    posted = desk.company.bills[0]
    assert ret.findtext("AmountDue") == ret.findtext("OpenAmount") == "1650.00"
    assert ret.findtext("DueDate") == "2026-07-30"
    assert ret.findtext("ItemLineRet/Cost") == "75.00"
    assert ret.findtext("ItemLineRet/BillableStatus") == "NotBillable"
    assert desk.company.full_name(posted.lines[1].account) == "Lumper Expense"
    assert posted.total == Decimal("1650.00")


def test_vendor_terms_and_the_preference_decide_when_a_bill_is_due(desk, bill):
    desk.send(bill(vendor="Northline Express") + bill(vendor="Copper State Logistics"))
    assert [entry.due_date for entry in desk.company.bills] == [date(2026, 7, 15), date(2026, 7, 10)]


def test_a_bill_below_zero_is_refused(desk, bill):
    answer = desk.one(bill().replace("1500.00", "-1.00"))
    assert answer.get("statusCode") == "3210"
    assert '"AmountDue" field has an invalid value "-1.00"' in answer.get("statusMessage")


def test_a_bill_without_lines_is_refused(desk, bill):
    assert desk.one(bill(lines="")).get("statusCode") == "3310"


def test_classes_while_class_tracking_is_off(desk, invoice):
    desk.company.preferences.class_tracking = False
    with_class = invoice(before="<ClassRef><FullName>Brokerage</FullName></ClassRef>")
    assert desk.one(with_class).find("InvoiceRet/ClassRef") is None
    desk.company.switches.refuse_class_when_tracking_is_off = True
    assert desk.one(with_class).get("statusCode") == "3250"


def test_a_closed_period_refuses_additions(desk, invoice):
    desk.company.preferences.closing_date = date(2026, 6, 30)
    assert desk.one(invoice()).get("statusCode") == "3171"
    desk.company.switches.refuse_adds_in_closed_period = False
    assert desk.one(invoice()).get("statusCode") == "0"


def test_repeated_external_guids_pass_unless_switched_off(desk, invoice):
    once = invoice(between="<ExternalGUID>{6F9619FF-8B86-D011-B42D-00C04FC964FF}</ExternalGUID>")
    assert [answer.get("statusCode") for answer in desk.send(once + once)] == ["0", "0"]
    desk.company.switches.refuse_repeated_external_guid = True
    assert desk.one(once).get("statusCode") == "3100"


def test_tax_is_added_to_taxable_lines(desk, invoice, invoice_line):
    rate = next(item for item in desk.company.state.items if item.kind == "SalesTax")
    rate.percent = Decimal(8)
    taxed = "<Amount>100.00</Amount><SalesTaxCodeRef><FullName>Tax</FullName></SalesTaxCodeRef>"
    ret = desk.one(invoice(lines=invoice_line("Linehaul", taxed) + invoice_line("TONU", "<Amount>50.00</Amount>")))[0]
    assert (ret.findtext("SalesTaxTotal"), ret.findtext("BalanceRemaining")) == ("8.00", "158.00")


def test_edit_sequences_differ_even_within_a_second(desk, invoice):
    desk.send(invoice() + invoice())
    first, second = desk.company.invoices
    assert first.edit_sequence < second.edit_sequence


def test_on_error_decides_about_the_requests_behind_a_failure(desk, invoice):
    three = invoice("1", request_id="a") + invoice("2", customer="Nobody", request_id="b") + invoice("3")
    stopped = desk.send(three)
    assert [answer.get("statusCode") for answer in stopped] == ["0", "3140", "3231"]
    assert stopped[2].get("statusMessage") == "The request has not been processed."
    went_on = desk.send(three, on_error="continueOnError")
    assert [answer.get("statusCode") for answer in went_on] == ["0", "3140", "0"]
    assert [entry.ref_number for entry in desk.company.invoices] == ["1", "1", "3"]


def test_include_none_leaves_only_the_status(desk, invoice):
    answer = desk.one(invoice(), attributes=' responseData="includeNone"')
    assert (answer.get("statusCode"), len(answer)) == ("0", 0)


def test_include_ret_element_limits_the_answer(desk, invoice):
    text = invoice().replace("</InvoiceAddRq>", "<IncludeRetElement>TxnID</IncludeRetElement></InvoiceAddRq>")
    assert [child.tag for child in desk.one(text)[0]] == ["TxnID"]
