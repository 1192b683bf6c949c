"""The bridge, its database, a Web Connector and QuickBooks in one process: SOAP over WSGI, no Temporal."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from sqlalchemy import select

from activities.exports import ExportActivities
from activities.queued import Remapping
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.qwc import QwcInput, build_qwc
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from simulator.company import CompanyFile
from simulator.cuts import Cuts
from simulator.qwc import read_qwc
from simulator.report import UpdateReport
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import queue
from store.engine import Database
from store.tables import Company, Incident, MessageSet, OutboxSignal, Request
from tests.support import stores
from workflows import contracts
from workflows.contracts import Outcome, PrepareInput

BASE = "http://localhost"


def a_qwc(company_id: str, *, owner_id: str = stores.OWNER_ID, file_id: str = stores.FILE_ID, base: str = BASE) -> str:
    """The .qwc file of a company."""
    return build_qwc(
        QwcInput(
            app_name="TMS export",
            app_url=f"{base}/qbwc",
            app_support=f"{base}/support/{company_id}",
            user_name=f"qbwc-{company_id}",
            owner_id=owner_id,
            file_id=file_id,
            description="Invoices and carrier bills",
            run_every_minutes=15,
        )
    )


class World:
    """One company and everything around it."""

    def __init__(
        self,
        database: Database,
        clock: stores.Clock,
        *,
        limits: Limits | None = None,
        lists_are_here: bool = True,
        quickbooks: CompanyFile | None = None,
    ) -> None:
        self.database = database
        self.clock = clock
        self._runs = itertools.count(1)
        stores.add_company(database, lists_are_here=lists_are_here)
        self.dispatcher = Dispatcher(
            database, limits=limits or Limits(), clock=clock, new_id=stores.counter("SET"), remap=Remapping(clock)
        )
        self.activities = ExportActivities(database, clock=clock, new_id=stores.counter("REQ"))
        wsgi = build_wsgi(self.dispatcher, public_url=BASE, support_page=lambda _company: None)
        self.http = httpx.Client(transport=httpx.WSGITransport(app=wsgi, raise_app_exceptions=True))
        qwc = a_qwc("acme")
        self.quickbooks: CompanyFile = quickbooks or freight_company(clock=clock)
        self.cuts = Cuts()
        self.connector = WebConnector(read_qwc(qwc), stores.PASSWORD, self.quickbooks, http=self.http, cuts=self.cuts)

    def queue(self, document: dict[str, Any], run_id: str | None = None) -> str:
        """Prepare a document as its workflow would; gives the request's id."""
        run = run_id or f"run-{next(self._runs)}"
        prepared = self.activities.prepare_export(PrepareInput(company_id="acme", document=document, run_id=run))
        assert prepared.request_id is not None, prepared
        return prepared.request_id

    @contextmanager
    def changed_mapping(self) -> Iterator[dict[str, Any]]:
        """Change the company's mapping as it is stored, past the API and its checks."""
        with self.database.transaction() as session:
            row = session.get_one(Company, "acme")
            mapping = copy.deepcopy(row.mapping)
            yield mapping
            row.mapping = mapping
            row.mapping_version += 1

    def update(self) -> UpdateReport:
        """One update session of the Web Connector."""
        self.clock.forward(minutes=15)
        return self.connector.run_once()

    def hcp(self) -> str:
        """What the Web Connector tells of the open file (web-connector.md 2.1)."""
        return self.quickbooks.open_session("TMS export").process_request(
            '<?xml version="1.0"?><?qbxml version="13.0"?><QBXML><QBXMLMsgsRq onError="continueOnError">'
            f'<HostQueryRq requestID="0"/><CompanyQueryRq requestID="1"><OwnerID>{stores.OWNER_ID}</OwnerID>'
            '</CompanyQueryRq><PreferencesQueryRq requestID="2"/></QBXMLMsgsRq></QBXML>'
        )

    def request(self, request_id: str) -> Request:
        """A request's row."""
        with self.database.transaction() as session:
            found = queue.request(session, request_id)
            assert found is not None
            return found

    def outcome(self, request_id: str) -> Outcome | None:
        """What became of a request."""
        stored = self.request(request_id).outcome
        return Outcome.model_validate(stored) if stored is not None else None

    def message_sets(self) -> list[MessageSet]:
        """Everything that was handed out, oldest first."""
        with self.database.transaction() as session:
            return list(session.scalars(select(MessageSet).order_by(MessageSet.sent_at, MessageSet.seq)))

    def signals(self, name: str | None = None) -> list[OutboxSignal]:
        """What Temporal would hear."""
        with self.database.transaction() as session:
            rows = session.scalars(select(OutboxSignal).order_by(OutboxSignal.id)).all()
        return [row for row in rows if name is None or row.signal == name]

    def incidents(self) -> list[str]:
        """The codes of what an operator would see."""
        with self.database.transaction() as session:
            return [incident.code for incident in session.scalars(select(Incident).order_by(Incident.id))]

    def must_hold(self) -> None:
        """The promise: every arrived request is in the ledger exactly once with its GUID, and nothing else is."""
        posted = [txn.external_guid for txn in self.quickbooks.ledger]
        assert len(posted) == len(set(posted)), "a transaction was doubled"
        with self.database.transaction() as session:
            requests = session.scalars(select(Request)).all()
        ours = {request.facts["external_guid"] for request in requests}
        assert set(posted) <= ours, "a transaction without an export"
        for request in requests:
            outcome = Outcome.model_validate(request.outcome) if request.outcome is not None else None
            if outcome is not None and outcome.transaction is not None:
                ids = {txn.txn_id: txn.external_guid for txn in self.quickbooks.ledger}
                assert ids[outcome.transaction.txn_id] == request.facts["external_guid"]
            if outcome is not None and outcome.failure is not None and outcome.failure.code != "outcome_unknown":
                assert request.facts["external_guid"] not in posted, "Failed, but it is in QuickBooks"

    def close(self) -> None:
        """Give the connections back."""
        self.http.close()


SENT = contracts.SIGNAL_SENT
OUTCOME = contracts.SIGNAL_OUTCOME
