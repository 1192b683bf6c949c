import pytest
from lxml import etree

from simulator.errors import QuickBooksError


def names(answer):
    return [ret.findtext("FullName") or ret.findtext("Name") for ret in answer]


def test_lists_show_active_entries_unless_asked_for_all(desk):
    active = desk.one("<VendorQueryRq/>")
    everyone = desk.one("<VendorQueryRq><ActiveStatus>All</ActiveStatus></VendorQueryRq>")
    gone = desk.one("<VendorQueryRq><ActiveStatus>InactiveOnly</ActiveStatus></VendorQueryRq>")
    assert names(gone) == ["Gone Trucking Inc"]
    assert len(everyone) == len(active) + 1


def test_a_filter_without_a_match_is_information(desk):
    answer = desk.one(
        "<CustomerQueryRq><NameRangeFilter><FromName>zz</FromName><ToName>zz</ToName></NameRangeFilter></CustomerQueryRq>"
    )
    assert (answer.get("statusCode"), answer.get("statusSeverity")) == ("1", "Info")


def test_a_look_up_that_misses_is_a_warning_with_the_rows_found(desk):
    answer = desk.one(
        "<CustomerQueryRq><FullName>pinnacle paper</FullName><FullName>Nobody</FullName></CustomerQueryRq>"
    )
    assert (answer.get("statusCode"), answer.get("statusSeverity")) == ("500", "Warn")
    assert '("Nobody")' in answer.get("statusMessage")
    assert names(answer) == ["Pinnacle Paper"]


def test_name_filters(desk):
    starts = "<NameFilter><MatchCriterion>StartsWith</MatchCriterion><Name>iron</Name></NameFilter>"
    assert len(desk.one(f"<CustomerQueryRq>{starts}</CustomerQueryRq>")) == 3
    exact = "<NameRangeFilter><FromName>Blue Harbor Seafood</FromName><ToName>Blue Harbor Seafood</ToName>"
    assert names(desk.one(f"<CustomerQueryRq>{exact}</NameRangeFilter></CustomerQueryRq>")) == ["Blue Harbor Seafood"]


def test_the_modified_range_is_inclusive_and_local(desk, clock):
    clock.advance(hours=1)
    customer = desk.company.state.customers[0]
    desk.company.rename(customer.list_id, "Cafe Rio Brands")

    def since(moment):
        return names(desk.one(f"<CustomerQueryRq><FromModifiedDate>{moment}</FromModifiedDate></CustomerQueryRq>"))

    assert since("2026-07-01T10:30:00") == since("2026-07-01T10:30:00-08:00") == ["Cafe Rio Brands"]
    assert since("2026-07-01T10:30:01") == []
    assert len(since("2026-07-01")) > 1


def test_item_query_mixes_kinds(desk):
    kinds = {ret.tag for ret in desk.one("<ItemQueryRq/>")}
    assert kinds == {
        *("ItemServiceRet", "ItemNonInventoryRet", "ItemOtherChargeRet", "ItemDiscountRet", "ItemSalesTaxRet"),
    }
    two_sided = desk.one("<ItemQueryRq><FullName>Carrier Linehaul</FullName></ItemQueryRq>")
    assert (
        two_sided.findtext("ItemServiceRet/SalesAndPurchase/ExpenseAccountRef/FullName") == "Purchased Transportation"
    )


def test_accounts_by_type(desk):
    answer = desk.one("<AccountQueryRq><AccountType>CostOfGoodsSold</AccountType></AccountQueryRq>")
    assert names(answer) == ["Purchased Transportation", "Fuel Surcharge Expense", "Lumper Expense"]


def test_an_iterator_hands_out_pages_and_ends_with_its_session(desk):
    start = desk.one('<CustomerQueryRq iterator="Start"><MaxReturned>3</MaxReturned></CustomerQueryRq>')
    total = 3 + int(start.get("iteratorRemainingCount"))
    again = (
        f'<CustomerQueryRq iterator="Continue" iteratorID="{start.get("iteratorID")}">'
        "<MaxReturned>3</MaxReturned></CustomerQueryRq>"
    )
    second = desk.one(again)
    assert set(names(start)).isdisjoint(names(second))
    assert int(second.get("iteratorRemainingCount")) == total - 6
    desk.reopen()
    assert desk.one(again).get("statusSeverity") == "Error"


def test_an_iterator_can_be_stopped(desk):
    start = desk.one('<VendorQueryRq iterator="Start"><MaxReturned>1</MaxReturned></VendorQueryRq>')
    identity = start.get("iteratorID")
    stop = desk.one(f'<VendorQueryRq iterator="Stop" iteratorID="{identity}"/>')
    assert stop.get("statusCode") == "0"
    again = f'<VendorQueryRq iterator="Continue" iteratorID="{identity}"><MaxReturned>1</MaxReturned></VendorQueryRq>'
    assert desk.one(again).get("statusSeverity") == "Error"


def test_lists_without_an_iterator_do_not_know_the_attribute(desk):
    with pytest.raises(QuickBooksError):
        desk.send('<TermsQueryRq iterator="Start"><MaxReturned>1</MaxReturned></TermsQueryRq>')


def test_meta_data(desk):
    answer = desk.one('<TermsQueryRq metaData="MetaDataOnly"/>')
    assert (answer.get("retCount"), len(answer)) == ("5", 0)


@pytest.fixture
def three(desk, invoice, clock):
    desk.send(invoice("L1") + invoice("L2", customer="Pinnacle Paper"))
    clock.advance(days=1)
    desk.send(invoice("L10", customer="Ironwood Building Supply:Load 100777").replace("2026-06-30", "2026-07-02"))
    return desk


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("<RefNumber>l2</RefNumber>", ["L2"]),
        ("<RefNumberCaseSensitive>L2</RefNumberCaseSensitive>", ["L2"]),
        ("<MaxReturned>2</MaxReturned>", ["L1", "L2"]),
        (
            "<ModifiedDateRangeFilter><FromModifiedDate>2026-07-02T00:00:00</FromModifiedDate>"
            "</ModifiedDateRangeFilter>",
            ["L10"],
        ),
        (
            "<TxnDateRangeFilter><FromTxnDate>2026-07-02</FromTxnDate><ToTxnDate>2026-07-02</ToTxnDate>"
            "</TxnDateRangeFilter>",
            ["L10"],
        ),
        ("<EntityFilter><FullName>Pinnacle Paper</FullName></EntityFilter>", ["L2"]),
        ("<EntityFilter><FullNameWithChildren>Ironwood Building Supply</FullNameWithChildren></EntityFilter>", ["L10"]),
        (
            "<RefNumberFilter><MatchCriterion>StartsWith</MatchCriterion><RefNumber>L1</RefNumber></RefNumberFilter>",
            ["L1", "L10"],
        ),
        ("<RefNumberRangeFilter><FromRefNumber>L2</FromRefNumber></RefNumberRangeFilter>", ["L2"]),
        ("<PaidStatus>PaidOnly</PaidStatus>", []),
    ],
)
def test_transaction_filters(three, filters, found):
    answer = three.one(f"<InvoiceQueryRq>{filters}</InvoiceQueryRq>")
    assert [ret.findtext("RefNumber") for ret in answer] == found
    assert answer.get("statusCode") == ("0" if found else "1")


def test_a_number_nobody_has_is_a_warning(three):
    assert three.one("<InvoiceQueryRq><RefNumber>L3</RefNumber></InvoiceQueryRq>").get("statusCode") == "500"
    exact = "<InvoiceQueryRq><RefNumberCaseSensitive>l2</RefNumberCaseSensitive></InvoiceQueryRq>"
    assert three.one(exact).get("statusCode") == "500"


def test_lines_come_only_when_asked_for(three):
    plain = three.one("<InvoiceQueryRq><RefNumber>L1</RefNumber></InvoiceQueryRq>")
    with_lines = three.one(
        "<InvoiceQueryRq><RefNumber>L1</RefNumber><IncludeLineItems>true</IncludeLineItems></InvoiceQueryRq>"
    )
    assert plain.find("InvoiceRet/InvoiceLineRet") is None
    assert with_lines.find("InvoiceRet/InvoiceLineRet") is not None


def test_bills_by_vendor_and_number(desk, bill):
    desk.send(bill("77") + bill("77", vendor="Sagebrush Trucking"))
    answer = desk.one(
        "<BillQueryRq><EntityFilter><FullName>Sagebrush Trucking</FullName></EntityFilter>"
        "<RefNumberRangeFilter><FromRefNumber>77</FromRefNumber><ToRefNumber>77</ToRefNumber></RefNumberRangeFilter>"
        "</BillQueryRq>"
    )
    assert [ret.findtext("VendorRef/FullName") for ret in answer] == ["Sagebrush Trucking"]


def test_private_company_data_needs_its_owner(desk):
    owner = "{0A1B2C3D-0000-4000-8000-000000000001}"
    desk.company.state.data_ext[owner] = {"FileID": "{x}"}
    assert desk.one("<CompanyQueryRq/>").find("CompanyRet/DataExtRet") is None
    asked = desk.one(f"<CompanyQueryRq><OwnerID>{owner.lower()}</OwnerID></CompanyQueryRq>")
    assert asked.findtext("CompanyRet/DataExtRet/DataExtValue") == "{x}"


def test_balances_follow_the_ledger(three):
    parent = three.one("<CustomerQueryRq><FullName>Ironwood Building Supply</FullName></CustomerQueryRq>")
    assert parent.findtext("CustomerRet/Balance") == "0.00"
    assert parent.findtext("CustomerRet/TotalBalance") == "1850.00"


def test_answers_are_plain_text_without_encoding(desk):
    desk.one("<CustomerQueryRq/>")
    assert desk.answers[-1].startswith('<?xml version="1.0" ?>')
    assert "Müller" in desk.answers[-1]
    assert etree.fromstring(desk.answers[-1]).tag == "QBXML"
