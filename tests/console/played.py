"""The sample documents in a console world, and what Temporal does with an export, played step by step.

The steps are the activities themselves, in the workflow's order; only Temporal's own delivery is left out. Whole
processes with a real Temporal stand in tests/scenario and tests/end_to_end.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from activities.exports import ExportActivities
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from store import list_syncs, outbox
from store.tables import Export, OutboxSignal, Request
from tests.support import stores
from tests.support.company_files import store_lists
from workflows.contracts import (
    SIGNAL_SENT,
    ExportInput,
    ExportState,
    Failure,
    Outcome,
    PrepareInput,
    RecordInput,
    Sent,
    WorkflowStart,
)

from .conftest import World, bearer

SAMPLES = Path(__file__).parents[2] / "samples"


def samples() -> list[dict[str, Any]]:
    """Every sample document, wrong ones too."""
    paths = sorted(SAMPLES.glob("invoices/*.json")) + sorted(SAMPLES.glob("carrier_bills/*.json"))
    return [json.loads(path.read_text("utf-8")) for path in paths]


def sample_mapping() -> dict[str, Any]:
    """The whole mapping of the samples."""
    found: dict[str, Any] = json.loads((SAMPLES / "mapping.json").read_text("utf-8"))
    return found


class Played:
    """A company with lists, documents and whatever a test maps."""

    def __init__(self, world: World, *, quickbooks: CompanyFile | None = None, lists: bool = True) -> None:
        self.world = world
        self.quickbooks = quickbooks or freight_company(clock=world.clock)
        if lists:
            store_lists(world.database, self.quickbooks)
            with world.database.transaction() as session:
                done = list_syncs.request_sync(session, "acme", at=world.clock(), full=False)
                done.state, done.last_sync_at = list_syncs.DONE, stores.NEVER_DUE
        self.api = world.client(headers=bearer())
        self._runs = itertools.count(1)
        self._activities = ExportActivities(world.database, clock=world.clock, new_id=stores.counter("REQ"))
        self._done = 0
        self._of_request: dict[str, tuple[RecordInput, int]] = {}

    def put(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """A PUT over the API that must succeed."""
        answer = self.api.put(f"/v1/companies/acme{path}", json=body)
        assert answer.is_success, answer.text
        return answer

    def hand_over(self, *documents: dict[str, Any]) -> None:
        """What the TMS does."""
        for document in documents:
            self.put(f"/documents/{document['kind']}/{document['id']}", document)

    def map(self, **mapping: Any) -> None:
        """Put the samples' mapping, or another."""
        self.put("/mapping", mapping or sample_mapping())

    def go_on(self) -> None:
        """Deliver what waits in the outbox: starts and signals, in order."""
        with self.world.database.transaction() as session:
            rows = session.scalars(select(OutboxSignal).where(OutboxSignal.id > self._done).order_by(OutboxSignal.id))
            waiting = [(row.id, row.signal, row.workflow_id, row.payload) for row in rows]
        for number, signal, workflow_id, payload in waiting:
            self._done = number
            if not workflow_id.startswith("export/"):
                continue
            if signal == outbox.START:
                self._start(ExportInput.model_validate(WorkflowStart.model_validate(payload).argument))
            elif signal == SIGNAL_SENT:
                event = Sent.model_validate(payload)
                self._record(event.request_id, ExportState.SENT, SENT_TEXT)
            else:
                self._end(Outcome.model_validate(payload))

    def _start(self, inp: ExportInput) -> None:
        run = f"run-{next(self._runs)}"
        prepared = self._activities.prepare_export(PrepareInput(**inp.model_dump(), run_id=run))
        if prepared.request_id is not None:
            self._of_request[prepared.request_id] = (
                RecordInput(
                    company_id=inp.company_id,
                    kind=inp.document["kind"],
                    document_id=inp.document["id"],
                    run_id=run,
                    state=ExportState.QUEUED,
                    text="",
                    key="",
                ),
                0,
            )

    def _end(self, event: Outcome) -> None:
        if event.transaction is not None:
            self._record(event.request_id, ExportState.SUCCESSFUL, "It is in QuickBooks", transaction=event.transaction)
        elif event.failure is not None:
            self._record(event.request_id, ExportState.FAILED, event.failure.explanation, failure=event.failure)
        else:
            self._record(event.request_id, ExportState.QUEUED, event.requeued or "Queued again")

    def export(self, document: dict[str, Any]) -> None:
        """Export a document as somebody at the TMS does; it is queued then, or has failed."""
        answer = self.api.post(f"/v1/companies/acme/documents/{document['kind']}/{document['id']}/export")
        assert answer.is_success, answer.text
        self.go_on()

    def run_web_connector(self, sessions: int = 3) -> None:
        """Let the Web Connector call, and Temporal hear of it."""
        self.world.clock.forward(minutes=1)
        for _ in range(sessions):
            self.world.web_connector(self.quickbooks).run_once()
            self.go_on()

    def type_by_hand(self, document_id: str) -> str:
        """Somebody types the invoice that was queued last for a document; gives its TxnID."""
        with self.world.database.transaction() as session:
            query = select(Request.body).join(Export, Export.id == Request.export_id)
            query = query.where(Export.document_id == document_id, Request.body != "").order_by(Request.seq.desc())
            body = session.scalars(query.limit(1)).one()
        return self.quickbooks.type_like(body).txn_id

    def fail(self, document_id: str, failure: Failure, *, kind: str = "invoice", was_sent: bool = False) -> None:
        """Let an export fail in a way that takes long to bring about by itself."""
        request_id, found = next(
            (request_id, one) for request_id, (one, _) in self._of_request.items() if one.document_id == document_id
        )
        if was_sent:
            self._record(request_id, ExportState.SENT, SENT_TEXT)
        self._activities.record_state(
            found.model_copy(
                update={"kind": kind, "state": ExportState.FAILED, "text": failure.explanation, "failure": failure}
            )
        )

    def _record(self, request_id: str, state: ExportState, text: str, **more: Any) -> None:
        if request_id not in self._of_request:
            return
        base, times = self._of_request[request_id]
        self._of_request[request_id] = (base, times + 1)
        self._activities.record_state(
            base.model_copy(update={"state": state, "text": text, "key": f"{state}-{times}", **more})
        )


SENT_TEXT = "The Web Connector fetched it for QuickBooks"
UNKNOWN = Failure(
    code="outcome_unknown",
    message="The answer was lost.",
    explanation="QuickBooks may have taken it, but its answer was lost and nothing there tells for sure.",
    owner="bookkeeper",
    next_step="Look for it in QuickBooks; then say whether it is there.",
)
