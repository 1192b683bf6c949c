"""Ids, names and payload models that API, bridge, activities and workflows share.

Payload models ignore unknown fields and only ever gain optional ones: older histories must stay readable
(temporal.md 4). Importable without lxml and SQLAlchemy.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from mapping.issues import Issue

TASK_QUEUE = "qbd-exports"
WORKFLOW_TYPE = "QuickBooksExport"
SYNC_WORKFLOW_TYPE = "QuickBooksListSync"
SYNC_PREFIX = "sync/"
SYNC_BEGINS = ("requested", "running")
"""The states of a sync whose signal starts its workflow when there is none."""
SIGNAL_SENT = "request_sent"
SIGNAL_OUTCOME = "outcome_recorded"
SIGNAL_SYNC_MOVED = "sync_moved"
QUERY_VIEW = "view"

ACTIVITY_PREPARE = "prepare_export"
ACTIVITY_RECORD = "record_state"
ACTIVITY_CANCEL = "cancel_request"
ACTIVITY_SYNC_STATUS = "sync_status"

OUTCOME_UNKNOWN = "outcome_unknown"
"""Failure code of an export that may already be in QuickBooks: it is exported again only if a person says so."""
FAILURE_TYPE = "ExportFailed"
"""`ApplicationError.type` of every failed export; anything else that fails is a bug."""


class ExportState(StrEnum):
    """The states of design.md section 4."""

    MAPPED = "Mapped"
    QUEUED = "Queued"
    SENT = "Sent"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Say whether the export will not move again by itself."""
        return self in (ExportState.SUCCESSFUL, ExportState.FAILED, ExportState.CANCELLED)

    @property
    def status(self) -> str:
        """Give the word that a TMS user sees."""
        return self.value if self.is_final else "Pending"


class Failure(BaseModel):
    """Why an export failed, whose turn it is, and what to do."""

    code: str
    message: str
    explanation: str
    owner: str
    next_step: str
    issues: list[Issue] = []


class Transaction(BaseModel):
    """What QuickBooks answered: the proof that the transaction is there."""

    txn_id: str
    edit_sequence: str | None = None
    ref_number: str | None = None
    txn_number: str | None = None


class ExportInput(BaseModel):
    """The input of one export: enough for any Temporal client to start it."""

    company_id: str
    document: dict[str, Any]
    confirmed_absent: bool = False
    """A person looked: an earlier attempt whose outcome was unknown is not in QuickBooks."""


class PrepareInput(BaseModel):
    """Map, validate and queue the document of this run."""

    company_id: str
    document: dict[str, Any]
    confirmed_absent: bool = False
    run_id: str


class Prepared(BaseModel):
    """The request waits in the queue, or the transaction was there already, or the document cannot be exported."""

    request_id: str | None = None
    sent_in: str | None = None
    """The message set, when an earlier run's request is under way and this run waits for its answer."""
    transaction: Transaction | None = None
    failure: Failure | None = None


class Sent(BaseModel):
    """Signal: the Web Connector fetched the message set with this export's request."""

    request_id: str
    message_set_id: str


class Outcome(BaseModel):
    """Signal: what became of the request. Exactly one of the three is set; `requeued` sends it back to Queued."""

    request_id: str
    key: str
    """Different for each outcome of a request: a request may be requeued several times."""
    transaction: Transaction | None = None
    failure: Failure | None = None
    requeued: str | None = None


class RecordInput(BaseModel):
    """Write one state change to the read model."""

    company_id: str
    kind: str
    document_id: str
    run_id: str
    state: ExportState
    text: str
    key: str
    """With the run and the state it names this entry: a repeated one changes nothing."""
    transaction: Transaction | None = None
    failure: Failure | None = None


class CancelInput(BaseModel):
    """Take the request out of the queue, if it was not fetched."""

    request_id: str
    run_id: str


class CancelResult(BaseModel):
    """Whether the request was still ours to take back."""

    cancelled: bool


class ExportView(BaseModel):
    """The answer to the query `view`."""

    state: ExportState
    detail: str
    request_id: str | None = None
    transaction: Transaction | None = None
    failure: Failure | None = None


class SyncInput(BaseModel):
    """The input of a list sync."""

    company_id: str


class SyncView(BaseModel):
    """How far a list sync is: its result, and the answer to the query `view`."""

    state: str
    """requested | running | done | failed"""
    run: int = 0
    note: str = ""
    entries: dict[str, int] = {}
    """Entries by list."""


class SyncMoved(BaseModel):
    """Signal: a sync of lists began or ended. The database knows the rest."""

    company_id: str
    run: int
    state: str


def sync_workflow_id(company_id: str) -> str:
    """Give the id under which the sync of a company's lists runs."""
    return f"{SYNC_PREFIX}{company_id}"


def export_workflow_id(company_id: str, kind: str, document_id: str) -> str:
    """Give the id under which an export runs; starting it twice is the same export (design.md 3.1)."""
    return f"export/{company_id}/{kind}/{document_id}"
