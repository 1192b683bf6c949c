"""A session through a SOAP client that was generated from Intuit's own WSDL, over HTTP, against the real bridge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import zeep

from qbwc_bridge.wsgi import build_wsgi
from store.engine import Database
from tests.support import stores
from tests.support.world import World

WSDL = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "QBWebConnectorSvc.wsdl"


class Quiet(WSGIRequestHandler):
    """No line per request."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    yield world
    world.close()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    wsgi = build_wsgi(world.dispatcher, public_url="", support_page=lambda _company: None)
    server = make_server("127.0.0.1", 0, wsgi, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/qbwc"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not WSDL.exists(), reason="Intuit's WSDL is not part of the project")
def test_a_whole_session_through_intuits_contract(world: World, address: str) -> None:
    """An invoice and a bill arrive; each reply is what the contract says."""
    invoice, bill = world.queue(stores.an_invoice()), world.queue(stores.a_bill())
    client = zeep.Client(str(WSDL))
    binding = next(name for name in client.wsdl.bindings if name.endswith("Soap"))
    service = client.create_service(binding, address)
    quickbooks = world.quickbooks.open_session("TMS export")
    assert service.serverVersion()
    assert not service.clientVersion("34.0.10010.76")
    ticket, company_file = service.authenticate("qbwc-acme", stores.PASSWORD)
    assert not company_file
    hcp = quickbooks.process_request(
        '<?xml version="1.0"?><?qbxml version="13.0"?><QBXML><QBXMLMsgsRq onError="continueOnError">'
        f'<HostQueryRq requestID="0"/><CompanyQueryRq requestID="1"><OwnerID>{stores.OWNER_ID}</OwnerID>'
        '</CompanyQueryRq><PreferencesQueryRq requestID="2"/></QBXMLMsgsRq></QBXML>'
    )
    request = service.sendRequestXML(ticket, hcp, world.quickbooks.path, "US", 13, 0)
    assert service.receiveResponseXML(ticket, quickbooks.process_request(request), "", "") == 100
    assert service.getLastError(ticket)
    assert service.closeConnection(ticket) == "2 exported"
    for request_id in (invoice, bill):
        outcome = world.outcome(request_id)
        assert outcome is not None
        assert outcome.transaction is not None
    world.must_hold()
