"""QuickBooks' own rules met in whole sessions: what it would refuse, and what the export makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from activities.company_lists import StoreLists
from mapping.lists import ListKind
from mapping.sales_tax import is_taxable
from qbwc_bridge.references import kind_of
from simulator.company import CompanyFile
from simulator.records import Invoice
from simulator.sample_company import british_company, canadian_company
from store.engine import Database
from store.tables import Company
from tests.support import lists, stores
from tests.support.company_files import store_lists
from tests.support.direct import DirectWire
from tests.support.world import World


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    world.connector.http = DirectWire(world.dispatcher)  # type: ignore[assignment]
    store_lists(database, world.quickbooks)
    yield world
    world.close()


@pytest.mark.parametrize("refuses", [True, False])
def test_class_tracking_is_switched_off_while_a_document_waits(world: World, refuses: bool) -> None:
    """It was mapped with its class; the session that sees the preference sends it without."""
    with world.changed_mapping() as mapping:
        mapping["classes"]["K"] = {"full_name": "Brokerage"}
    request_id = world.queue({**stores.an_invoice(), "class": "K"})
    assert "<ClassRef>" in world.request(request_id).body
    world.quickbooks.preferences.class_tracking = False
    world.quickbooks.switches.refuse_class_when_tracking_is_off = refuses
    world.update()
    assert "<ClassRef>" not in world.request(request_id).body
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    posted = world.quickbooks.ledger[-1]
    assert isinstance(posted, Invoice)
    assert posted.class_id is None
    world.must_hold()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("AR Account", ListKind.ACCOUNT),
        ("AP Account", ListKind.ACCOUNT),
        ("Account", ListKind.ACCOUNT),
        ("Customer", ListKind.CUSTOMER),
        ("Customer:Job", ListKind.CUSTOMER),
        ("Vendor", ListKind.VENDOR),
        ("Item", ListKind.ITEM),
        ("Item Sales Tax", ListKind.ITEM),
        ("InvoiceLine SalesTaxCode", ListKind.SALES_TAX_CODE),
        ("Sales Tax Code", ListKind.SALES_TAX_CODE),
        ("Terms", ListKind.TERMS),
        ("Class", ListKind.CLASS),
        ("Template", ListKind.TEMPLATE),
        ("SalesRep", None),
        ("", None),
    ],
)
def test_which_list_quickbooks_means(words: str, kind: ListKind | None) -> None:
    assert kind_of(words) is kind


@pytest.mark.parametrize("happens", ["deleted", "inactive"])
def test_a_customer_is_no_more_since_the_last_session(world: World, happens: str) -> None:
    """People read the name, not the ListID; the next session reads the list whole, and pre-flight knows."""
    book = world.quickbooks
    customer = next(one for one in book.state.customers if one.full_name == "Cafe Rio Foods")
    with world.changed_mapping() as mapping:
        mapping["customers"]["cus_88"] = {"list_id": customer.list_id, "full_name": customer.full_name}
    request_id = world.queue(stores.an_invoice())
    if happens == "deleted":
        book.remove_entry(customer.list_id)
    else:
        book.set_active(customer.list_id, False)
    generation = lists.list_of(world.database, "customer").generation
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.code == "3140"
    assert 'the Customer "Cafe Rio Foods" in the Invoice' in outcome.failure.explanation
    assert '"Cafe Rio Foods"' in outcome.failure.message
    assert customer.list_id not in outcome.failure.explanation + outcome.failure.message
    world.clock.forward(hours=2)
    world.update()
    assert lists.list_of(world.database, "customer").generation > generation
    assert (customer.list_id in lists.gone(world.database)) == (happens == "deleted")
    if happens == "inactive":
        assert lists.in_store(world.database)["customer", customer.list_id][2] is False


def test_currencies_and_tax_codes_come_with_the_lists(database: Database, clock: stores.Clock) -> None:
    """A customer in another currency goes to the account of its currency, and one who owes tax is known."""
    world = World(database, clock, lists_are_here=False)
    book = world.quickbooks
    book.preferences.multi_currency = True
    book.add_account("Accounts Receivable - CAD", "AccountsReceivable", currency="Canadian Dollar")
    customer = book.add_customer("Maple Foods", currency="Canadian Dollar")
    customer.tax_code = next(code.list_id for code in book.state.tax_codes if code.is_taxable)
    world.update()
    with world.changed_mapping() as mapping:
        mapping["customers"]["cus_88"] = {"full_name": "Maple Foods"}
        mapping["defaults"] = {"invoice": {"ar_account": {"full_name": "Accounts Receivable"}}}
    request_id = world.queue({**stores.an_invoice(), "currency": "CAD"})
    with database.transaction() as session:
        known = StoreLists(session, "acme")
        entry = known.by_list_id(ListKind.CUSTOMER, customer.list_id)
        assert entry is not None
        assert is_taxable(entry, known) is True
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None, outcome
    assert book.full_name(book.ledger[-1].account) == "Accounts Receivable - CAD"
    world.must_hold()
    world.close()


@pytest.mark.parametrize("maker", [canadian_company, british_company])
def test_a_file_of_another_edition(database: Database, clock: stores.Clock, maker: Callable[..., CompanyFile]) -> None:
    """What is not supported is said when it is met; invoices and bills bear the tax codes that were chosen."""
    world = World(database, clock, lists_are_here=False, quickbooks=maker(clock=clock))
    world.update()
    assert "edition_limits" in world.incidents()
    with world.changed_mapping() as mapping:
        mapping["defaults"] = {kind: {"tax_code": {"full_name": "E"}} for kind in ("invoice", "carrier_bill")}
    currency = {"CA": "CAD", "UK": "GBP"}[world.quickbooks.state.country]
    requests = [
        world.queue({**stores.an_invoice(), "currency": currency}),
        world.queue({**stores.a_bill(), "currency": currency}),
    ]
    world.update()
    for request_id in requests:
        outcome = world.outcome(request_id)
        assert outcome is not None
        assert outcome.transaction is not None, outcome
        assert outcome.transaction.differences == []
    world.must_hold()
    world.close()


def test_a_file_of_an_edition_that_is_not_supported(world: World) -> None:
    """Nothing is sent, and the reason is the connection's problem, not the first export's."""
    request_id = world.queue(stores.an_invoice())
    world.quickbooks.state.country = "AU"
    world.update()
    assert world.outcome(request_id) is None
    assert not world.quickbooks.ledger
    with world.database.transaction() as session:
        problem = session.get_one(Company, "acme").problem
    assert problem is not None
    assert problem["code"] == "edition_unsupported"
    assert "country AU" in problem["cause"]


@pytest.mark.parametrize("code", [3000, 3120, 3240])
def test_an_id_that_is_refused_otherwise_is_told_by_name_too(world: World, code: int) -> None:
    """QuickBooks does not say which list it is from; the lists are read again all the same."""
    customer = next(one for one in world.quickbooks.state.customers if one.full_name == "Cafe Rio Foods")
    request_id = world.queue(stores.an_invoice())
    text = f'The given object ID "{customer.list_id}" in the field "list id" is invalid.'
    world.quickbooks.faults.reject(str(world.request(request_id).facts["ref_number"]), code, text)
    world.update()
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.message == 'The given object ID "Cafe Rio Foods" in the field "list id" is invalid.'
    assert lists.sync_of(world.database).state == "requested"
