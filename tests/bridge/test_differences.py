"""After every Add and every find, QuickBooks' own figures are compared with what was meant (design.md 9.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qbwc_bridge.differences import differences
from qbwc_bridge.facts import Facts, facts_of
from qbwc_bridge.rulings import Arrived, SentRequest, judge_answers
from qbxml.envelope import parse_response
from qbxml.written import Written
from store.engine import Database
from tests.support import stores
from tests.support.world import World
from workflows.contracts import Difference, there_text

FACTS: dict[str, Any] = {
    "ref_number": "INV-7",
    "entity_list_id": "80000012-1767225612",
    "entity_full_name": "Cafe Rio Foods",
    "total": "2062.50",
    "txn_date": "2026-11-20",
    "external_guid": "{00000000-0000-0000-0000-000000000007}",
}
AS_MEANT: dict[str, Any] = {
    "ref_number": "INV-7",
    "txn_date": "2026-11-20",
    "entity_list_id": "80000012-1767225612",
    "entity_full_name": "Cafe Rio Foods",
}
INVOICE = AS_MEANT | {"subtotal": "2062.50", "sales_tax_total": "0.00"}
BILL = AS_MEANT | {"amount_due": "2062.50"}


def found(operation: str, written: dict[str, Any], **facts: Any) -> list[tuple[str, str, str | None, str]]:
    compared = differences(operation, Facts(**(FACTS | facts)), Written(txn_id="1-1", **written))
    return [(one.path, one.sent, one.books, one.by) for one in compared]


ADD = {"invoice": "InvoiceAdd", "bill": "BillAdd"}
HELD = {"invoice": INVOICE, "bill": BILL}
ENTITY = {"invoice": "customer", "bill": "carrier"}


@pytest.mark.parametrize("kind", ["invoice", "bill"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"entity_full_name": "Cafe Rio Foods (renamed meanwhile)"},
        {"entity_list_id": "80000012-1767225612".lower()},
        {"entity_list_id": None, "entity_full_name": "CAFE RIO FOODS"},
        {"entity_list_id": None, "entity_full_name": None},
        {"txn_date": None, "ref_number": None},
        {"subtotal": None, "sales_tax_total": None, "amount_due": None},
    ],
)
def test_what_is_the_same_or_not_said_is_no_difference(kind: str, change: dict[str, Any]) -> None:
    """Another name of the same entry, another spelling, and what the answer leaves out."""
    assert found(ADD[kind], HELD[kind] | change) == []


@pytest.mark.parametrize(
    ("meant", "subtotal", "tax"),
    [
        ("2062.50", "2062.5", None),
        ("2062.50", "2062.50000", "0"),
        ("2062.50", "+2062.50", "0.00"),
        ("0.00", "0", "-0.00"),
        ("-15.00", "-15", None),
        ("2232.66", "2062.50", "170.16"),
        ("9999999999.99", "9999999999.99", "0.00"),
    ],
)
def test_figures_are_compared_as_numbers(meant: str, subtotal: str, tax: str | None) -> None:
    """To the cent, whatever their spelling; tax counts where the total was meant with it."""
    assert found("InvoiceAdd", INVOICE | {"subtotal": subtotal, "sales_tax_total": tax}, total=meant) == []
    if tax is None:
        assert found("BillAdd", BILL | {"amount_due": subtotal}, total=meant) == []


@pytest.mark.parametrize(
    ("kind", "change", "difference"),
    [
        ("invoice", {"sales_tax_total": "170.16"}, ("total", "2062.50", "2232.66", "sales_tax")),
        ("invoice", {"sales_tax_total": "0.01"}, ("total", "2062.50", "2062.51", "sales_tax")),
        ("invoice", {"subtotal": "2062.49"}, ("total", "2062.50", "2062.49", "quickbooks")),
        ("invoice", {"subtotal": "2000.00", "sales_tax_total": "5.00"}, ("total", "2062.50", "2005.00", "quickbooks")),
        ("invoice", {"subtotal": "2,062.50"}, ("total", "2062.50", "2,062.50 + 0.00", "quickbooks")),
        ("invoice", {"subtotal": "NaN"}, ("total", "2062.50", "NaN + 0.00", "quickbooks")),
        ("invoice", {"sales_tax_total": "some"}, ("total", "2062.50", "2062.50 + some", "quickbooks")),
        ("bill", {"amount_due": "2062.51"}, ("total", "2062.50", "2062.51", "quickbooks")),
        ("bill", {"amount_due": "1E+9"}, ("total", "2062.50", "1E+9", "quickbooks")),
        ("invoice", {"txn_date": "2026-11-21"}, ("date", "2026-11-20", "2026-11-21", "quickbooks")),
        ("invoice", {"txn_date": "never"}, ("date", "2026-11-20", "never", "quickbooks")),
        ("bill", {"txn_date": "2025-11-20"}, ("date", "2026-11-20", "2025-11-20", "quickbooks")),
        ("invoice", {"ref_number": "INV-8"}, ("ref_number", "INV-7", "INV-8", "quickbooks")),
        ("bill", {"ref_number": None}, ("ref_number", "INV-7", None, "quickbooks")),
        (
            "invoice",
            {"entity_list_id": "80000013-1", "entity_full_name": "Cafe Rio Foods"},
            ("customer", "Cafe Rio Foods", "Cafe Rio Foods", "quickbooks"),
        ),
        (
            "bill",
            {"entity_list_id": None, "entity_full_name": "Somebody else"},
            ("carrier", "Cafe Rio Foods", "Somebody else", "quickbooks"),
        ),
    ],
)
def test_each_difference(kind: str, change: dict[str, Any], difference: tuple[str, ...]) -> None:
    """One row for each field and kind; a figure that cannot be read is shown as it came."""
    assert found(ADD[kind], HELD[kind] | change) == [difference]


def test_names_decide_where_the_mapping_has_no_list_id() -> None:
    """Before the first sync a mapping names entries only."""
    by_name = {"entity_list_id": None}
    assert found("InvoiceAdd", INVOICE, **by_name) == []
    assert found("InvoiceAdd", INVOICE | {"entity_full_name": "Other"}, **by_name) == [
        ("customer", "Cafe Rio Foods", "Other", "quickbooks")
    ]


@pytest.mark.parametrize(
    ("meant", "books", "differs"),
    [
        ("USD", "US Dollar", False),
        ("CAD", "Canadian Dollar", False),
        ("USD", "USD", False),
        ("USD", None, False),
        ("USD", "Some coin", False),
        (None, "Euro", False),
        ("USD", "Canadian Dollar", True),
        ("EUR", "US Dollar", True),
    ],
)
@pytest.mark.parametrize("kind", ["invoice", "bill"])
def test_the_currency(kind: str, meant: str | None, books: str | None, differs: bool) -> None:
    """Equal figures in another currency are another amount; QuickBooks names currencies where it keeps several."""
    compared = differences(
        ADD[kind], Facts(**FACTS), Written(txn_id="1-1", **HELD[kind], currency=books), currency=meant
    )
    assert [one.path for one in compared] == (["currency"] if differs else [])


def test_several_differences_come_in_a_fixed_order() -> None:
    """Money first."""
    written = {"subtotal": "1.00", "txn_date": "2026-01-01", "ref_number": "X", "entity_list_id": "9-9"}
    assert [one[0] for one in found("InvoiceAdd", INVOICE | written)] == ["total", "customer", "date", "ref_number"]


def test_facts_of_a_newer_process_are_read() -> None:
    """While an upgrade rolls, a queue may hold more than this process knows."""
    assert facts_of(FACTS | {"colour": "blue"}) == Facts(**FACTS)


@pytest.mark.parametrize("body", ["<Subtotal>lots</Subtotal><TxnDate>soon</TxnDate>", "<CustomerRef/>", ""])
def test_nothing_that_is_odd_in_an_answer_undoes_its_proof(body: str) -> None:
    """The TxnID says that it is there."""
    ret = f"<InvoiceRet><TxnID>1A-17</TxnID>{body}</InvoiceRet>"
    answer = parse_response(
        f'<QBXML><QBXMLMsgsRs><InvoiceAddRs requestID="R.1" statusCode="0" statusSeverity="Info">{ret}'
        "</InvoiceAddRs></QBXMLMsgsRs></QBXML>"
    )
    request = SentRequest(id="R", operation="InvoiceAdd", attempt=1, facts=Facts(**FACTS))
    [ruling] = judge_answers([request], answer)
    assert isinstance(ruling, Arrived)
    assert ruling.txn_id == "1A-17"


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


def differences_of(world: World, request_id: str) -> list[Difference]:
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    return outcome.transaction.differences


def test_tax_on_top_is_told(world: World) -> None:
    """A taxable default code: QuickBooks answers another total, the export is there, and says so."""
    world.quickbooks.turn_on_sales_tax("Nevada", "8.25")
    with world.changed_mapping() as mapping:
        mapping["defaults"]["invoice"]["tax_code"] = {"full_name": "Tax"}
    request_id = world.queue(stores.an_invoice())
    world.update()
    assert world.quickbooks.ledger[0].tax_total > 0
    [one] = differences_of(world, request_id)
    assert (one.path, one.sent, one.books, one.by) == ("total", "2062.50", "2232.66", "sales_tax")
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    assert "QuickBooks added sales tax: the total there is 2232.66" in there_text(outcome.transaction)
    world.must_hold()


@pytest.mark.parametrize("document", [stores.an_invoice(), stores.a_bill()], ids=["invoice", "bill"])
def test_what_agrees_has_no_differences(world: World, document: dict[str, Any]) -> None:
    """Most of all exports."""
    request_id = world.queue(document)
    world.update()
    assert differences_of(world, request_id) == []


@pytest.mark.parametrize(
    ("document", "change", "expected"),
    [
        (stores.an_invoice(), {"txn_date": "2026-11-24"}, ("date", "2026-11-20", "2026-11-24")),
        (stores.an_invoice(), {"ref_number": "30001"}, ("ref_number", "INV-1", "30001")),
        (stores.an_invoice(), {"entity": "Pinnacle Paper"}, ("customer", "Cafe Rio Foods", "Pinnacle Paper")),
        (stores.a_bill(), {"entity": "Northline Express"}, ("carrier", "Acme Carrier LLC", "Northline Express")),
        (stores.a_bill(), {"txn_date": "2026-11-24"}, ("date", "2026-11-20", "2026-11-24")),
        (stores.a_bill(), {"ref_number": "7"}, ("ref_number", "AC-bill_1", "7")),
    ],
)
def test_what_quickbooks_writes_otherwise_is_told(
    world: World, document: dict[str, Any], change: dict[str, str], expected: tuple[str, str, str]
) -> None:
    """The switch of the simulator: QuickBooks writes another date, number or party than was sent."""
    world.quickbooks.faults.write_otherwise(**change)
    request_id = world.queue(document)
    world.update()
    [one] = differences_of(world, request_id)
    assert (one.path, one.sent, one.books) == expected
    world.must_hold()


def test_a_find_by_look_up_is_compared_too(world: World) -> None:
    """The answer was lost, and meanwhile somebody changed the date: found by our GUID, with the difference."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.faults.crash_after_commit_before_record(None)
    world.update()
    posted = world.quickbooks.ledger[0]
    world.quickbooks.edit_transaction(posted.txn_id, txn_date=posted.txn_date.replace(day=28))
    world.update()
    [one] = differences_of(world, request_id)
    assert (one.path, one.books) == ("date", "2026-11-28")
    world.must_hold()
