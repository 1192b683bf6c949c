from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from qbxml.bills import BillRet
from qbxml.company import CompanyActivityRet
from qbxml.deleted_lists import ListDeletedRet
from qbxml.envelope import (
    UnreadableResponse,
    build_message_set,
    build_request_element,
    parse_response,
)
from qbxml.hcp import choose_version, parse_hcp
from qbxml.invoices import InvoiceQuery, InvoiceRet
from qbxml.lists import AccountQuery, CustomerQuery, CustomerRet, ItemRet, TermsRet, VendorRet
from qbxml.queries import EntityFilter, RefNumberFilter, RefNumberRange, TxnDateRange
from qbxml.written import Written

OK = 'statusCode="0" statusSeverity="Info" statusMessage="Status OK"'
OWNER = "{11112222-3333-4444-5555-666677778888}"


def answer(body: str, attributes: str = "") -> str:
    return f'<?xml version="1.0" ?>\n<QBXML>\n<QBXMLMsgsRs{attributes}>\n{body}\n</QBXMLMsgsRs>\n</QBXML>\n'


INVOICE = f"""<InvoiceAddRs requestID="r1" {OK}><InvoiceRet>
<TxnID>1F3-1793610000</TxnID><TimeCreated>2026-11-02T09:00:00-06:00</TimeCreated>
<TimeModified>2026-11-02T09:00:00-06:00</TimeModified><EditSequence>1793610000</EditSequence><TxnNumber>77</TxnNumber>
<CustomerRef><ListID>80000005-1700000000</ListID><FullName>Nord &amp; Co</FullName></CustomerRef>
<ARAccountRef><ListID>80000001-1</ListID><FullName>Accounts Receivable</FullName></ARAccountRef>
<TxnDate>2026-11-02</TxnDate><RefNumber>N-2001</RefNumber><IsPending>false</IsPending>
<DueDate>2026-12-02</DueDate><Subtotal>410.00</Subtotal><SalesTaxPercentage>8.25</SalesTaxPercentage>
<SalesTaxTotal>33.83</SalesTaxTotal><AppliedAmount>-10.00</AppliedAmount><BalanceRemaining>433.83</BalanceRemaining>
<Memo>Load 2001</Memo><IsPaid>false</IsPaid><SomethingNew><Inner>1</Inner></SomethingNew>
<ExternalGUID>{OWNER}</ExternalGUID>
<LinkedTxn><TxnID>1F9-1793610009</TxnID><TxnType>ReceivePayment</TxnType><TxnDate>2026-11-03</TxnDate>
<LinkType>AMTTYPE</LinkType><Amount>-10.00</Amount></LinkedTxn>
<InvoiceLineRet><TxnLineID>1F5-1793610000</TxnLineID><ItemRef><FullName>Linehaul</FullName></ItemRef>
<Quantity>2</Quantity><Rate>200.00</Rate><Amount>400.00</Amount></InvoiceLineRet>
<InvoiceLineGroupRet><TxnLineID>1F6-1793610000</TxnLineID><ItemGroupRef><FullName>Extras</FullName></ItemGroupRef>
<TotalAmount>10.00</TotalAmount><InvoiceLineRet><TxnLineID>1F7-1</TxnLineID><Amount>10.00</Amount></InvoiceLineRet>
</InvoiceLineGroupRet><InvoiceLineRet><TxnLineID>1F8-1</TxnLineID><Desc>Text</Desc></InvoiceLineRet>
</InvoiceRet></InvoiceAddRs>"""

BILL = f"""<BillQueryRs requestID="r2" retCount="1" iteratorRemainingCount="3"
iteratorID="{{aaaabbbb-cccc-dddd-eeee-ffff00001111}}" {OK}>
<BillRet><TxnID>2A0-1793610100</TxnID><EditSequence>1793610100</EditSequence>
<VendorRef><ListID>80000009-1700000000</ListID><FullName>Fast Carrier</FullName></VendorRef>
<TxnDate>2026-11-02</TxnDate><DueDate>2026-11-17</DueDate><AmountDue>900.00</AmountDue><RefNumber>FC-9</RefNumber>
<IsPaid>true</IsPaid><ExpenseLineRet><TxnLineID>2A1-1</TxnLineID><AccountRef><FullName>COGS</FullName></AccountRef>
<Amount>800.00</Amount><BillableStatus>NotBillable</BillableStatus></ExpenseLineRet>
<ItemLineRet><TxnLineID>2A2-1</TxnLineID><ItemRef><FullName>Lumper</FullName></ItemRef><Quantity>1</Quantity>
<Cost>100.00</Cost><Amount>100.00</Amount></ItemLineRet><OpenAmount>0.00</OpenAmount></BillRet></BillQueryRs>"""


def test_invoice_answer() -> None:
    (response,) = parse_response(answer(INVOICE)).responses
    assert (response.kind, response.request_id, response.status_code) == ("InvoiceAdd", "r1", 0)
    assert (response.severity, response.message, response.is_error) == ("Info", "Status OK", False)
    assert response.txn_id == "1F3-1793610000"
    (invoice,) = response.rets_of(InvoiceRet)
    assert invoice.customer_ref is not None
    assert invoice.customer_ref.full_name == "Nord & Co"
    assert (invoice.txn_id, invoice.edit_sequence, invoice.txn_number) == ("1F3-1793610000", "1793610000", 77)
    assert invoice.time_modified == "2026-11-02T09:00:00-06:00"
    assert invoice.due_date == datetime.date(2026, 12, 2)
    assert invoice.total == Decimal("443.83")
    assert invoice.balance_remaining == Decimal("433.83")
    assert invoice.external_guid == OWNER
    assert [line.amount for line in invoice.lines] == [Decimal("400.00"), None]
    assert [line.amount for group in invoice.line_groups for line in group.lines] == [Decimal("10.00")]
    assert invoice.linked_txns[0].txn_type == "ReceivePayment"


def test_bill_answer_with_iterator() -> None:
    (response,) = parse_response(answer(BILL)).responses
    assert response.iterator_id == "{aaaabbbb-cccc-dddd-eeee-ffff00001111}"
    assert (response.iterator_remaining, response.ret_count) == (3, 1)
    (bill,) = response.rets_of(BillRet)
    assert bill.vendor_ref is not None
    assert bill.vendor_ref.full_name == "Fast Carrier"
    assert (bill.total, bill.open_amount, bill.is_paid) == (Decimal("900.00"), Decimal("0.00"), True)
    assert bill.expense_lines[0].billable_status == "NotBillable"
    assert bill.item_lines[0].cost == Decimal("100.00")


def test_message_set_with_failures() -> None:
    body = (
        '<InvoiceAddRs requestID="a" statusCode="3140" statusSeverity="Error" statusMessage="There is an invalid '
        'reference to QuickBooks Item &quot;X&quot; in the Invoice line."/>'
        '<BillAddRs statusCode="510" statusSeverity="Warn" statusMessage="saved">'
        "<ErrorRecovery><TxnID>99-1793610000</TxnID><TxnNumber>5</TxnNumber></ErrorRecovery></BillAddRs>"
    )
    parsed = parse_response(answer(body, ' newMessageSetID="SET1" messageSetStatusCode="0"'))
    assert (parsed.new_message_set_id, parsed.status_code) == ("SET1", 0)
    failed, warned = parsed.responses
    assert failed.is_error
    assert failed.rets() == []
    assert failed.txn_id is None
    assert (warned.request_id, warned.recovered_txn_id, warned.txn_id) == (None, "99-1793610000", "99-1793610000")
    assert failed.written() is None
    assert warned.written() == Written(txn_id="99-1793610000", txn_number="5")
    assert parsed.by_request_id("a") is failed
    assert parsed.by_request_id("z") is None


def test_what_was_written_is_read_beside_a_field_that_cannot_be() -> None:
    """A TxnID proves that the transaction is there, whatever stands next to it."""
    ret = (
        "<InvoiceRet><TxnID> 1A-17 </TxnID><EditSequence>1764</EditSequence><TxnNumber>9</TxnNumber>"
        "<TxnDate>never</TxnDate><RefNumber>INV-7</RefNumber></InvoiceRet>"
    )
    [response] = parse_response(answer(f'<InvoiceAddRs requestID="a" statusCode="0">{ret}</InvoiceAddRs>')).responses
    read = Written(txn_id="1A-17", edit_sequence="1764", ref_number="INV-7", txn_number="9", txn_date="never")
    assert response.written() == read
    with pytest.raises(UnreadableResponse):
        response.rets()


def test_empty_set_answers() -> None:
    parsed = parse_response(answer("", ' newMessageSetID="X" messageSetStatusCode="9002"'))
    assert (parsed.status_code, parsed.responses) == (9002, [])
    assert parse_response("<QBXML><QBXMLMsgsRs/></QBXML>").status_code is None


def test_lists_of_mixed_kinds() -> None:
    body = f"""<ItemQueryRs {OK}>
    <ItemServiceRet><ListID>1-1</ListID><Name>Linehaul</Name><FullName>Freight:Linehaul</FullName><IsActive>true</IsActive>
    <SalesAndPurchase><SalesPrice>0.00</SalesPrice><IncomeAccountRef><FullName>Income</FullName></IncomeAccountRef>
    <ExpenseAccountRef><FullName>COGS</FullName></ExpenseAccountRef></SalesAndPurchase></ItemServiceRet>
    <ItemOtherChargeRet><ListID>2-1</ListID><Name>Fuel</Name><FullName>Fuel</FullName><IsActive>false</IsActive>
    <SalesOrPurchase><AccountRef><FullName>Fuel Income</FullName></AccountRef></SalesOrPurchase></ItemOtherChargeRet>
    <ItemInventoryRet><ListID>3-1</ListID><Name>Pallet</Name><IncomeAccountRef><FullName>Sales</FullName></IncomeAccountRef>
    <COGSAccountRef><FullName>COGS</FullName></COGSAccountRef></ItemInventoryRet>
    <ItemSalesTaxGroupRet><ListID>4-1</ListID><Name>County</Name></ItemSalesTaxGroupRet></ItemQueryRs>
    <TermsQueryRs {OK}><StandardTermsRet><ListID>5-1</ListID><Name>Net 30</Name><StdDueDays>30</StdDueDays>
    </StandardTermsRet><DateDrivenTermsRet><ListID>6-1</ListID><Name>10th</Name><DayOfMonthDue>10</DayOfMonthDue>
    </DateDrivenTermsRet></TermsQueryRs>
    <CustomerQueryRs {OK}><CustomerRet><ListID>7-1</ListID><Name>Load 1</Name><FullName>Nord:Load 1</FullName>
    <ParentRef><FullName>Nord</FullName></ParentRef><Balance>12.00</Balance><Notes>skip</Notes></CustomerRet></CustomerQueryRs>
    <VendorQueryRs {OK}><VendorRet><ListID>8-1</ListID><Name>Fast</Name><VendorAddress><City>Reno</City></VendorAddress>
    </VendorRet></VendorQueryRs>
    <CompanyActivityQueryRs {OK}><CompanyActivityRet><LastRestoreTime>2026-10-01T01:02:03-06:00</LastRestoreTime>
    </CompanyActivityRet></CompanyActivityQueryRs>"""
    items, terms, customers, vendors, activity = parse_response(answer(body)).responses
    found = items.rets_of(ItemRet)
    assert [item.type for item in found] == ["Service", "OtherCharge", "Inventory", "SalesTaxGroup"]
    assert [item.full_name for item in found] == ["Freight:Linehaul", "Fuel", "Pallet", "County"]
    assert [item.is_two_sided for item in found] == [True, False, True, False]
    assert [item.is_active for item in found] == [True, False, True, True]
    accounts = [(item.income_account_ref, item.expense_account_ref) for item in found]
    assert [(i and i.full_name, e and e.full_name) for i, e in accounts] == [
        ("Income", "COGS"),
        ("Fuel Income", "Fuel Income"),
        ("Sales", "COGS"),
        (None, None),
    ]
    assert [(t.type, t.std_due_days, t.day_of_month_due) for t in terms.rets_of(TermsRet)] == [
        ("Standard", 30, None),
        ("DateDriven", None, 10),
    ]
    assert customers.rets_of(CustomerRet)[0].balance == Decimal("12.00")
    assert vendors.rets_of(VendorRet)[0].full_name == "Fast"
    assert activity.rets_of(CompanyActivityRet)[0].last_restore_time == "2026-10-01T01:02:03-06:00"


HCP = f"""<HostQueryRs requestID="0" {OK}><HostRet><ProductName>QuickBooks Premier 2024</ProductName>
<MajorVersion>34</MajorVersion><MinorVersion>0</MinorVersion><Country>US</Country>
<SupportedQBXMLVersion>1.0</SupportedQBXMLVersion><SupportedQBXMLVersion>9.0</SupportedQBXMLVersion>
<SupportedQBXMLVersion>13.0</SupportedQBXMLVersion><SupportedQBXMLVersion>16.0</SupportedQBXMLVersion>
<IsAutomaticLogin>false</IsAutomaticLogin><QBFileMode>MultiUser</QBFileMode></HostRet></HostQueryRs>
<CompanyQueryRs requestID="1" {OK}><CompanyRet><IsSampleCompany>false</IsSampleCompany>
<CompanyName>Nord Freight</CompanyName><EIN>00-0000000</EIN>
<DataExtRet><OwnerID>{OWNER}</OwnerID><DataExtName>AppLock</DataExtName><DataExtType>STR255TYPE</DataExtType>
<DataExtValue>LOCKED:PC:1</DataExtValue></DataExtRet>
<DataExtRet><OwnerID>{OWNER}</OwnerID><DataExtName>FileID</DataExtName><DataExtType>STR255TYPE</DataExtType>
<DataExtValue>{{99990000-1111-2222-3333-444455556666}}</DataExtValue></DataExtRet></CompanyRet></CompanyQueryRs>
<PreferencesQueryRs requestID="2" {OK}><PreferencesRet><AccountingPreferences>
<IsUsingAccountNumbers>false</IsUsingAccountNumbers><IsRequiringAccounts>true</IsRequiringAccounts>
<IsUsingClassTracking>true</IsUsingClassTracking><ClosingDate>2025-12-31</ClosingDate></AccountingPreferences>
<MultiCurrencyPreferences><IsMultiCurrencyOn>false</IsMultiCurrencyOn></MultiCurrencyPreferences>
</PreferencesRet></PreferencesQueryRs>"""


def test_start_of_session() -> None:
    hcp = parse_hcp(answer(HCP))
    assert hcp is not None
    assert hcp.company_name == "Nord Freight"
    assert hcp.supported_versions == ("1.0", "9.0", "13.0", "16.0")
    assert choose_version(hcp.supported_versions) == "13.0"
    assert hcp.file_id(OWNER.lower()) == "{99990000-1111-2222-3333-444455556666}"
    assert hcp.file_id() == hcp.file_id(OWNER)
    assert hcp.file_id("{00000000-0000-0000-0000-000000000000}") is None
    assert hcp.product == "QuickBooks Premier 2024"
    assert hcp.locked_by(OWNER) == "PC"
    preferences = hcp.preferences
    assert preferences is not None
    assert preferences.is_using_class_tracking is True
    assert preferences.is_requiring_accounts is True
    assert preferences.is_multi_currency_on is False
    assert preferences.is_using_sales_tax is False
    assert preferences.closing_date == datetime.date(2025, 12, 31)


@pytest.mark.parametrize(
    "text", ["", "HOSTQUERY is currently not supported in QBPOS.", "<html/>", answer(""), "<QBXML><QBXMLMsgsRs>"]
)
def test_start_of_session_without_answers(text: str) -> None:
    assert parse_hcp(text) is None


@pytest.mark.parametrize(
    ("supported", "ceiling", "chosen"),
    [
        (["9.0", "12.0", "13.0", "16.0"], "13.0", "13.0"),
        (["1.0", "9.0", "10.0"], "13.0", "10.0"),
        (["CA3.0", " 8.0 ", "UK2.0"], "13.0", "8.0"),
        ([], "13.0", "13.0"),
        (["16.0"], "16.0", "16.0"),
    ],
)
def test_versions_are_numbers(supported: list[str], ceiling: str, chosen: str) -> None:
    assert choose_version(supported, ceiling) == chosen


def test_unclean_answers_are_read() -> None:
    dirty = "\ufeff" + answer(INVOICE).replace('version="1.0" ?', 'version="1.0" encoding="windows-1252"?')
    dirty = dirty.replace("Load 2001", "Löad\x02 &#3;&#x1F;&#233; 2001")
    (invoice,) = parse_response(dirty).responses[0].rets_of(InvoiceRet)
    assert invoice.memo == "Löad é 2001"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("not xml", "not readable XML"),
        (answer("<InvoiceAddRs"), "not readable XML"),
        ("<html><body>502</body></html>", "QBXMLMsgsRs is missing"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><QBXML><QBXMLMsgsRs>&b;</QBXMLMsgsRs></QBXML>', "document type"),
        (answer("<InvoiceRet/>"), "should stand"),
        (answer("<InvoiceAddRs/>"), "no number as statusCode"),
        (answer("", ' messageSetStatusCode="x"'), "no number as messageSetStatusCode"),
    ],
)
def test_unreadable_answers_say_why(text: str, sentence: str) -> None:
    with pytest.raises(UnreadableResponse, match=sentence):
        parse_response(text)


def test_unreadable_object_still_tells_its_id() -> None:
    broken = answer(INVOICE).replace("<Subtotal>410.00", "<Subtotal>4l0.00")
    (response,) = parse_response(broken).responses
    assert response.txn_id == "1F3-1793610000"
    with pytest.raises(UnreadableResponse, match="InvoiceRet that cannot be read"):
        response.rets()


def test_message_set_shape() -> None:
    document = build_message_set(
        [build_request_element(AccountQuery(full_names=("Früchte",)), "q-1")], new_message_set_id="N1"
    )
    assert document == (
        '<?xml version="1.0" encoding="utf-8"?><?qbxml version="13.0"?>'
        '<QBXML><QBXMLMsgsRq onError="continueOnError" newMessageSetID="N1">'
        '<AccountQueryRq requestID="q-1"><FullName>Fr&#252;chte</FullName></AccountQueryRq></QBXMLMsgsRq></QBXML>'
    )


def test_ids_and_versions_are_checked() -> None:
    for request_id in ("", "x" * 51, "a b", 'a"'):
        with pytest.raises(ValueError, match="request id"):
            build_request_element(AccountQuery(), request_id)
    for set_id in ("", "x" * 23, "a-b"):
        with pytest.raises(ValueError, match="newMessageSetID"):
            build_message_set([], new_message_set_id=set_id)
    with pytest.raises(ValueError, match="not a qbXML version"):
        build_message_set([], version='13.0"')
    with pytest.raises(ValueError, match="above 127"):
        build_message_set(["<a>é</a>"])
    with pytest.raises(ValueError, match="not a qbXML version"):
        choose_version([], "new")


def test_queries_that_quickbooks_refuses() -> None:
    day = TxnDateRange(from_txn_date=datetime.date(2026, 1, 1))
    for model, fields in (
        (InvoiceQuery, {"txn_ids": ("1",), "ref_numbers": ("1",)}),
        (InvoiceQuery, {"ref_numbers": ("1",), "txn_date_range": day}),
        (InvoiceQuery, {"iterator": "Start"}),
        (InvoiceQuery, {"iterator": "Continue", "max_returned": 5}),
        (InvoiceQuery, {"iterator_id": "x"}),
        (
            InvoiceQuery,
            {
                "ref_number_filter": RefNumberFilter(match_criterion="Contains", ref_number="1"),
                "ref_number_range": RefNumberRange(from_ref_number="1"),
            },
        ),
        (AccountQuery, {"iterator": "Start", "max_returned": 5}),
        (AccountQuery, {"list_ids": ("1",), "account_types": ("Income",)}),
        (CustomerQuery, {"list_ids": ("1",), "active_status": "All"}),
        (EntityFilter, {}),
    ):
        with pytest.raises(ValueError, match=r"exclude|iterator|either"):
            model(**fields)


def test_deleted_entries_are_read_with_their_times_as_text() -> None:
    """Only Account, Class and the others of ListDelType; unknown elements are skipped."""
    text = answer(
        f"""<ListDeletedQueryRs requestID="d" {OK}><ListDeletedRet><ListDelType>ItemService</ListDelType>
<ListID>80000005-1700000000</ListID><TimeCreated>2026-11-02T09:00:00-06:00</TimeCreated>
<TimeDeleted>2026-11-03T09:00:00-06:00</TimeDeleted><FullName>Old &amp; gone</FullName><New/></ListDeletedRet>
</ListDeletedQueryRs>"""
    )
    (ret,) = parse_response(text).responses[0].rets_of(ListDeletedRet)
    assert (ret.type, ret.list_id) == ("ItemService", "80000005-1700000000")
    assert ret.time_deleted == "2026-11-03T09:00:00-06:00"
    assert ret.full_name == "Old & gone"
