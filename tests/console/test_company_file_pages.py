"""What people see of the company file and of what is missing in the books, and what their buttons do."""

from __future__ import annotations

from store import companies, exports
from store.exports import NewExport
from store.tables import Company, Export
from tests.support import stores

from .conftest import World, send_form

CONNECTION, WAIT = "/c/acme/connection", "/c/acme/connect/wait"
DOCUMENT = "/c/acme/documents/invoice/inv_1"


def acme(world: World) -> Company:
    with world.database.transaction() as session:
        found = companies.company(session, "acme")
        assert found is not None
        return found


def lose(world: World, document_id: str) -> None:
    """An export that was Successful, and is not in the books any more."""
    document = stores.an_invoice(document_id)
    new = NewExport(
        company_id="acme",
        kind="invoice",
        document_id=document_id,
        number=document["number"],
        content_hash="0" * 64,
        document=document,
    )
    with world.database.transaction() as session:
        row = exports.add_export(session, new, state="Successful", at=world.clock.now)
        row.quickbooks = {"txn_id": "5A2B-1767225600"}
        row.missing_since = world.clock.now


def export(world: World, document_id: str) -> Export:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", document_id)
        assert row is not None
        return row


def test_first_contact_asks_and_nothing_is_said_to_work_before_the_answer(world: World) -> None:
    with world.database.transaction() as session:
        row = companies.company(session, "acme")
        assert row is not None
        row.confirm_first_file = True
    client, connector = world.by_link(), world.web_connector()
    world.bring_lists(connector)
    for address in (CONNECTION, WAIT):
        page = client.get(address).text
        assert "Is this your company file?" in page
        assert "Ridgeline Freight LLC" in page
        assert "does not resemble Acme Brokerage" in page
        assert "Everything works" not in page
        assert "QuickBooks is connected" not in page
    path = connector.company.path
    form = {"answer": "no", "path": path}
    page = send_form(client, f"{CONNECTION}/company-file", form, page=CONNECTION).text
    assert "this is the wrong file" in client.get(CONNECTION).text
    assert acme(world).bound_company_name is None
    send_form(client, f"{CONNECTION}/company-file", {"answer": "yes", "path": "D:\\else.qbw"}, page=CONNECTION)
    assert "Another company file was opened meanwhile" in client.get(CONNECTION).text
    send_form(client, f"{CONNECTION}/company-file", {"answer": "yes", "path": path}, page=CONNECTION)
    assert acme(world).bound_company_file == path
    page = client.get(CONNECTION).text
    assert "Is this your company file?" not in page
    assert "A bookkeeper in the console said that" in page, "who said so is kept"


def test_what_is_missing_is_listed_with_both_choices(world: World) -> None:
    world.bring_lists(world.web_connector())
    for document_id in ("inv_1", "inv_2", "inv_3"):
        lose(world, document_id)
    client = world.by_link()
    page = client.get(CONNECTION).text
    assert "3 documents that were exported are not in QuickBooks any more" in page
    assert "INV-1" in page
    assert "Everything works" not in page
    page = client.get(DOCUMENT).text
    assert "Not in QuickBooks any more" in page
    send_form(client, f"{DOCUMENT}/resolve", {"choice": "leave"}, page=DOCUMENT)
    assert "said at" in client.get(DOCUMENT).text
    send_form(client, f"{CONNECTION}/missing", {"choice": "export_again"}, page=CONNECTION)
    assert "2 documents are exported again." in client.get(CONNECTION).text
    assert [export(world, f"inv_{number}").generation for number in (1, 2, 3)] == [1, 2, 2]
