"""Ids, names and payload models that API, bridge, activities and workflows share.

Payload models ignore unknown fields and only ever gain optional ones: older histories must stay readable
(temporal.md 4). Importable without lxml and SQLAlchemy.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, Field

from mapping.issues import Issue, Owner

_EXPORT_ID = re.compile(r"export(/[A-Za-z0-9_.\-]{1,64}){3}")

TASK_QUEUE = "qbd-exports"
WORKFLOW_TYPE = "QuickBooksExport"
SYNC_WORKFLOW_TYPE = "QuickBooksListSync"
SYNC_PREFIX = "sync/"
"""The states of a sync whose signal starts its workflow when there is none."""
SIGNAL_SENT = "request_sent"
SIGNAL_OUTCOME = "outcome_recorded"
SIGNAL_QUEUE_AGAIN = "queue_again"
"""Our database lost the request of this run: it prepares the document once more. Carries nothing."""
SIGNAL_SYNC_MOVED = "sync_moved"
QUERY_VIEW = "view"

ACTIVITY_PREPARE = "prepare_export"
ACTIVITY_RECORD = "record_state"
ACTIVITY_CANCEL = "cancel_request"
ACTIVITY_SYNC_STATUS = "sync_status"

ACCEPTED = "Accepted; it is about to start"
STARTING_AGAIN = "Starting again"
"""Details of an export that our API accepted and that has not begun: what the row holds then is what is exported."""

REASON_MAX = 300
KEY_MAX = 60
CODE_MAX = 100
OWNER_MAX = 20
"""What the columns hold that these go to: a longer one, from some other client, could never be written down."""

OUTCOME_UNKNOWN = "outcome_unknown"
"""Failure code of an export that may already be in QuickBooks: it is exported again only if a person says so."""
MALFORMED_START = "malformed_start"
"""Failure code of a run that was started with an input that is none, or under an id that is not its document's."""
MESSAGE_MAX = 1000
FOUND_IN_QUICKBOOKS = "found_in_quickbooks"
"""Failure code of an export that was not sent, for QuickBooks holds what resembles it: a person says which it is."""
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


class Row(Protocol):
    """What is asked of an export's row here."""

    state: str
    detail: str


def has_not_begun(row: Row) -> bool:
    """Say whether our API accepted the export and no run of it has begun yet."""
    return row.state == ExportState.MAPPED and row.detail.startswith((ACCEPTED, STARTING_AGAIN))


def begins_again(row: Row) -> bool:
    """Say whether that is another run of an export that had ended."""
    return has_not_begun(row) and row.detail.startswith(STARTING_AGAIN)


def not_taken(detail: str, reason: str) -> str:
    """Give the detail of an export whose start Temporal refuses: what it was, why, whose turn it is."""
    before = next((one for one in (STARTING_AGAIN, ACCEPTED) if detail.startswith(one)), detail)
    reason = reason[:REASON_MAX].rstrip(".")
    return (
        f"{before}. Temporal refuses it: {reason}. Nothing is lost, and nobody at the company can mend it: "
        "operations corrects what Temporal names, and it goes on by itself within five minutes."
    )


class Candidate(BaseModel):
    """A transaction in QuickBooks that may be the one of a document."""

    txn_id: str
    number: str = ""
    date: str | None = None
    total: str | None = None
    party: str = ""


class Failure(BaseModel):
    """Why an export failed, whose turn it is, and what to do."""

    code: str = Field(max_length=CODE_MAX)
    message: str
    explanation: str
    owner: str = Field(max_length=OWNER_MAX)
    next_step: str
    issues: list[Issue] = []
    candidates: list[Candidate] = []
    """What in QuickBooks may be the transaction of this document; a person says which it is, or that none is."""


def malformed_start(problem: str) -> Failure:
    """Say why a run that another program started exports nothing; `problem` is a sentence."""
    return Failure(
        code=MALFORMED_START,
        message=problem[:MESSAGE_MAX],
        explanation=f"This export was started in a way that cannot be used, so nothing was sent. {problem}"[
            :MESSAGE_MAX
        ],
        owner=Owner.TMS_USER,
        next_step="Correct the program that starts it (the integration guide shows how) and start it again.",
    )


class DifferenceCause(StrEnum):
    """What made a value in QuickBooks another one than ours."""

    SALES_TAX = "sales_tax"
    """QuickBooks added sales tax on top of the lines."""
    QUICKBOOKS = "quickbooks"
    """QuickBooks, or somebody in it: the answer does not say which."""


class Difference(BaseModel):
    """One field in which the transaction in QuickBooks is otherwise than it was meant."""

    path: str
    """In the words of the document: total, customer, carrier, date, ref_number, currency."""
    sent: str
    books: str | None
    """In QuickBooks' own text; None: it holds nothing there."""
    by: str
    """A `DifferenceCause`; a newer process may name others."""


class Transaction(BaseModel):
    """What QuickBooks answered: the proof that the transaction is there. Or a person's word for it."""

    txn_id: str | None = None
    """Absent only when a person found the transaction and did not give its id."""
    edit_sequence: str | None = None
    ref_number: str | None = None
    txn_number: str | None = None
    confirmed_by_person: bool = False
    """Somebody said that it is there. What was confirmed before it was looked up bears no `confirmed_by`."""
    confirmed_by: str | None = None
    """Who said it; then it was looked up in QuickBooks and compared."""
    differences: list[Difference] = []
    """What QuickBooks answered otherwise than it was meant, compared when it was written or found (design.md 9.6)."""


def there_text(transaction: Transaction, found: str = "It is in QuickBooks") -> str:
    """Say that a transaction is in QuickBooks, and what is otherwise there than it was meant."""
    return ". ".join([found, *(difference_text(one).rstrip(".") for one in transaction.differences)])


def difference_text(one: Difference) -> str:
    """Say one difference as a sentence."""
    books = one.books if one.books is not None else "nothing"
    if one.path == "total" and one.by == DifferenceCause.SALES_TAX:
        return f"QuickBooks added sales tax: the total there is {books}, and it was sent with {one.sent}."
    words = {
        "total": f"The total in QuickBooks is {books}; it was sent with {one.sent}.",
        "customer": f"In QuickBooks it stands under the customer {books}; it was sent for {one.sent}.",
        "carrier": f"In QuickBooks it stands under the vendor {books}; it was sent for {one.sent}.",
        "date": f"Its date in QuickBooks is {books}; it was sent with {one.sent}.",
        "ref_number": f"Its number in QuickBooks is {books}; it was sent with {one.sent}.",
        "currency": f"Its currency in QuickBooks is {books}; it was sent in {one.sent}.",
    }
    return words.get(one.path, f"QuickBooks has {books} as {one.path}; it was sent with {one.sent}.")


def difference_next_step(one: Difference) -> str:
    """Say what the bookkeeper does about a difference."""
    if one.by == DifferenceCause.SALES_TAX:
        return (
            "If this customer owes no sales tax, correct it in QuickBooks, and choose a non-taxable sales tax code "
            "such as Non in Mapping > Defaults, so that it does not happen again."
        )
    return "Compare it with the document, and correct it in QuickBooks if it is wrong there."


class WorkflowStart(BaseModel):
    """A start that the relay delivers, in order before the signals to the same workflow."""

    workflow_type: str
    argument: dict[str, Any]
    search_attributes: dict[str, str] = {}
    """Values of Keyword attributes, by name."""
    summary: str = ""
    may_repeat: bool = False
    """Whether a new run may follow one that succeeded."""
    signal: str | None = None
    """A signal that goes with the start, to the new run or to the one that runs."""
    signal_argument: dict[str, Any] = {}
    after_run: str | None = None
    """A run that is known to have ended: while Temporal still holds it open, it is not taken for the new one."""


class ExportInput(BaseModel):
    """The input of one export: enough for any Temporal client to start it."""

    company_id: str
    document: dict[str, Any]
    confirmed_absent: bool = False
    """A person looked: an earlier attempt whose outcome was unknown is not in QuickBooks."""
    is_accepted: bool = False
    """Our API started it: it begins only if the export was not ended meanwhile, with what was accepted last."""


class PrepareInput(BaseModel):
    """Map, validate and queue the document of this run."""

    company_id: str
    document: dict[str, Any]
    confirmed_absent: bool = False
    is_accepted: bool = False
    run_id: str
    workflow_id: str | None = None
    """The id under which this run was started; None from runs that began before it was told."""
    is_again: bool = False
    """Our database lost what this run had queued: it may be in QuickBooks."""
    problem: str | None = None
    """The sentence that says why the input of the run is none; company and document are empty then."""

    @classmethod
    def of_no_document(cls, problem: str, *, run_id: str, workflow_id: str) -> PrepareInput:
        """Give what a run hands over that was started with something else than an `ExportInput`."""
        return cls(company_id="", document={}, run_id=run_id, workflow_id=workflow_id, problem=problem)


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
    message_set_id: str = Field(max_length=KEY_MAX)


class Outcome(BaseModel):
    """Signal: what became of the request. Exactly one of the three is set; `requeued` sends it back to Queued."""

    request_id: str
    key: str = Field(max_length=KEY_MAX)
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


def company_of(workflow_id: str) -> str | None:
    """Give the company of an export by its workflow's id; None when it is no id of an export."""
    return workflow_id.split("/")[1] if is_export_id(workflow_id) else None


def is_export_id(workflow_id: str) -> bool:
    """Say whether it can be the id of an export: company, kind and document are ids (design.md section 5)."""
    return _EXPORT_ID.fullmatch(workflow_id) is not None


def export_start(
    company_id: str,
    document: dict[str, Any],
    *,
    number: str,
    confirmed_absent: bool = False,
    after_run: str | None = None,
) -> WorkflowStart:
    """Give the start of an export; `number` is what people know the document by, for the Temporal UI."""
    kind = str(document["kind"])
    inp = ExportInput(company_id=company_id, document=document, confirmed_absent=confirmed_absent, is_accepted=True)
    return WorkflowStart(
        workflow_type=WORKFLOW_TYPE,
        argument=inp.model_dump(mode="json", exclude_defaults=True),
        search_attributes={"CompanyId": company_id, "DocumentKind": kind},
        summary=f"{kind.replace('_', ' ').capitalize()} {number}",
        after_run=after_run,
    )


def sync_start(event: SyncMoved) -> WorkflowStart:
    """Give what tells a company's sync workflow the news, and starts it when none runs: nobody else starts it."""
    return WorkflowStart(
        workflow_type=SYNC_WORKFLOW_TYPE,
        argument=SyncInput(company_id=event.company_id).model_dump(mode="json"),
        search_attributes={"CompanyId": event.company_id},
        may_repeat=True,
        signal=SIGNAL_SYNC_MOVED,
        signal_argument=event.model_dump(mode="json"),
    )
