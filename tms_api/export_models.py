"""What the API says and takes about exports. The panel is what a bookkeeper looks at: design.md sections 4 and 7."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mapping.documents import parse_document
from mapping.issues import Change, Issue
from mapping.links import excerpt
from mapping.rules import parse_mapping
from store.api_tables import HandedDocument
from store.quiet_hours import quiet_until
from store.tables import Company, Export, TimelineEntry
from tms_api.connection import ConnectionState, connection_state
from tms_api.posted import PostedDocument
from tms_api.sent import ChangedSince, SentDocument, SentHead, changed_since, sent_of
from workflows.contracts import (
    Candidate,
    ExportState,
    Transaction,
    difference_next_step,
    difference_text,
    export_workflow_id,
)

EXAMPLE_DOCUMENT: dict[str, Any] = {
    "kind": "invoice",
    "id": "inv_48213",
    "number": "INV-2026-004821",
    "customer": {"id": "cus_88", "name": "Cafe Rio Foods, Inc."},
    "date": "2026-11-20",
    "terms": "Net 30",
    "currency": "USD",
    "lines": [{"id": "1", "charge": "LINEHAUL", "quantity": "1", "rate": "1850.00", "amount": "1850.00"}],
    "total": "1850.00",
}
CONFIRMATION = (
    "Only after a failure `outcome_unknown`: somebody looked, and the transaction is not in QuickBooks. "
    "Saying so wrongly creates it twice."
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewExport(_Body):
    """A document to export."""

    document: PostedDocument = Field(description="Invoice or carrier bill.", examples=[EXAMPLE_DOCUMENT])
    confirm_not_in_quickbooks: bool = Field(default=False, strict=True, description=CONFIRMATION)


class PreviewRequest(_Body):
    """A document to look at."""

    document: PostedDocument = Field(description="Invoice or carrier bill.", examples=[EXAMPLE_DOCUMENT])


class RetryRequest(_Body):
    """How to retry."""

    confirm_not_in_quickbooks: bool = Field(default=False, strict=True, description=CONFIRMATION)


TxnId = Annotated[str, StringConstraints(max_length=36, pattern=r"^[0-9A-Fa-f]+-[0-9]+$")]


class ConfirmRequest(_Body):
    """What somebody found in QuickBooks."""

    txn_id: TxnId | None = Field(
        default=None, description="TxnID of the transaction, if known.", examples=["5A2B-1767225600"]
    )


class CancelRequest(_Body):
    """Why to cancel."""

    reason: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] = Field(
        default="", description="Kept in the history of the export; no names or amounts."
    )


class Preview(BaseModel):
    """What an export would do."""

    issues: list[Issue] = Field(
        description="Every reason why the document cannot be exported, and warnings; without errors, it can."
    )
    changes: list[Change] = Field(description="What QuickBooks gets in another form than the TMS has it.")
    ref_number: str | None = Field(description="Number that the transaction would have in QuickBooks.")
    qbxml: str | None = Field(description="The request as QuickBooks would get it; null when there are errors.")


class QuickBooksTransaction(BaseModel):
    """The transaction in QuickBooks."""

    txn_id: str | None = Field(
        default=None,
        description="TxnID; null only when a person found the transaction and did not give it.",
        examples=["5A2B-1767225600"],
    )
    confirmed_by_person: bool = Field(
        default=False, description="Somebody said that it is in QuickBooks, instead of an export of ours."
    )
    confirmed_by: str | None = Field(
        default=None, description="Who said so; then it was looked up in QuickBooks and compared."
    )
    ref_number: str | None = Field(default=None, description="Number as QuickBooks shows it.")
    edit_sequence: str | None = Field(default=None, description="EditSequence.")
    txn_number: str | None = Field(default=None, description="TxnNumber.")


class ErrorView(BaseModel):
    """Why an export failed, whose turn it is, and what to do."""

    code: str = Field(description="Machine-readable.", examples=["outcome_unknown"])
    message: str = Field(description="QuickBooks' own words, or ours.")
    explanation: str = Field(description="One plain sentence.")
    owner: str = Field(description="Who can mend it: tms_user, bookkeeper, it, us.")
    next_step: str = Field(description="What the owner does now.")
    issues: list[Issue] = Field(default=[], description="Every single finding, when there are several.")
    candidates: list[Candidate] = Field(
        default=[],
        description="Transactions in QuickBooks that may be this document: `POST .../resolve` says which it is, or "
        "that none is.",
    )


class DifferenceView(BaseModel):
    """One field in which QuickBooks holds something otherwise than it was sent."""

    path: str = Field(
        description="In the words of the document: total, customer, carrier, date, ref_number, currency.",
        examples=["total"],
    )
    sent: str = Field(description="What was sent.", examples=["2062.50"])
    books: str | None = Field(
        description="What QuickBooks answered, in its own text; null: nothing.", examples=["2232.66"]
    )
    by: str = Field(
        description="What made it so: `sales_tax` (QuickBooks added sales tax), or `quickbooks` (QuickBooks, or "
        "somebody in it; its answer does not say which).",
        examples=["sales_tax"],
    )
    message: str = Field(description="One plain sentence.")
    next_step: str = Field(description="What the bookkeeper does about it.")


class MissingFromBooks(BaseModel):
    """The transaction was in QuickBooks, and is not there any more."""

    since: datetime = Field(description="When it was noticed.")
    choice: Literal["leave"] | None = Field(
        default=None, description="`leave`: somebody said that it was entered by hand; null: nobody decided yet."
    )
    by: str | None = Field(default=None, description="Who said so.")
    at: datetime | None = Field(default=None, description="When.")


class WorkflowView(BaseModel):
    """The workflow behind an export."""

    id: str = Field(description="Workflow id.", examples=["export/acme-logistics/invoice/inv_48213"])
    run_id: str | None = Field(description="Newest run; null until it has begun.")
    ui_url: str = Field(description="Its page in the Temporal UI.")


class TimelineView(BaseModel):
    """One step of an export."""

    at: datetime = Field(description="When.")
    state: ExportState = Field(description="State from then on.")
    text: str = Field(description="What happened, in plain words.")


class ExportSummary(BaseModel):
    """An export in a list."""

    company_id: str = Field(description="Company.")
    kind: str = Field(description="`invoice` or `carrier_bill`.")
    document_id: str = Field(description="Id of the document in the TMS.")
    number: str = Field(description="Number of the document in the TMS.")
    state: ExportState = Field(description="State of the export.")
    status: str = Field(description="Pending, Successful, Failed or Cancelled.", examples=["Pending"])
    detail: str = Field(description="What it waits for, or how it ended, in plain words.")
    ref_number: str | None = Field(description="Number in QuickBooks, once it is chosen.")
    quickbooks: QuickBooksTransaction | None = Field(description="The transaction, once Successful.")
    sent: SentHead | None = Field(
        default=None,
        description="What it was sent with, once it has left: QuickBooks holds this, or may hold it, whatever the TMS "
        "and the mapping say today. Null: nothing left, a person found it there, or it left before this was kept.",
    )
    changed_in_tms: bool = Field(
        default=False, description="Whether the TMS has handed over another content of the document since."
    )
    differences: list[DifferenceView] = Field(
        default=[],
        description="What QuickBooks holds otherwise than it was sent, compared when it was written or found. A "
        "difference does not fail an export: the transaction is there.",
    )
    error: ErrorView | None = Field(description="Set when Failed.")
    generation: int = Field(
        default=1, description="Grows when it is exported anew after its transaction was lost with the books."
    )
    missing: MissingFromBooks | None = Field(
        default=None, description="Set when its transaction is not in QuickBooks any more; the state stays Successful."
    )
    created_at: datetime = Field(description="First export of this document.")
    updated_at: datetime = Field(description="Last change.")

    @property
    def held_total(self) -> str | None:
        """Give the total as QuickBooks answered it, or as it was sent; None when nothing left."""
        told = next((one.books for one in self.differences if one.path == "total"), None)
        return told or (self.sent.total if self.sent is not None else None)


class ExportPanel(ExportSummary):
    """The Data Panel: everything about one export."""

    sent: SentDocument | None = Field(
        default=None, description="What it was sent with, once it has left, with its lines."
    )
    changed_since: list[ChangedSince] = Field(
        default=[],
        description="What the TMS or the mapping says otherwise since it left. None of it changes what was sent.",
    )
    changes: list[Change] = Field(description="What QuickBooks gets in another form than the TMS has it.")
    timeline: list[TimelineView] = Field(description="What happened, oldest first.")
    workflow: WorkflowView = Field(description="The workflow behind it.")


class ExportList(BaseModel):
    """A page of exports, newest first."""

    items: list[ExportSummary] = Field(description="Exports.")
    cursor: str | None = Field(description="Send it to get the next page; null on the last one.")


def summary_view(
    row: Export, company: Company, *, now: datetime, soap_url: str, changed_in_tms: bool = False
) -> ExportSummary:
    """Show an export in a list; `changed_in_tms` says that the document was handed over with another content since."""
    sent = sent_of(row)
    return ExportSummary(
        **_shared(row, company, now=now, soap_url=soap_url),
        sent=SentHead.model_validate(sent.model_dump()) if sent is not None else None,
        changed_in_tms=changed_in_tms,
    )


def panel_view(
    row: Export,
    company: Company,
    entries: Sequence[TimelineEntry],
    *,
    handed: HandedDocument | None,
    now: datetime,
    soap_url: str,
    ui_url: Callable[[str, str | None], str],
) -> ExportPanel:
    """Show everything about an export."""
    workflow_id = export_workflow_id(row.company_id, row.kind, row.document_id)
    sent = sent_of(row)
    return ExportPanel(
        **_shared(row, company, now=now, soap_url=soap_url),
        sent=sent,
        changed_in_tms=handed is not None and handed.content_hash != row.content_hash,
        changed_since=_changed_since(sent, row, handed, company) if sent is not None else [],
        changes=[Change.model_validate(change) for change in row.changes],
        timeline=[TimelineView(at=entry.at, state=ExportState(entry.state), text=entry.text) for entry in entries],
        workflow=WorkflowView(id=workflow_id, run_id=row.run_id, ui_url=ui_url(workflow_id, row.run_id)),
    )


def _shared(row: Export, company: Company, *, now: datetime, soap_url: str) -> dict[str, Any]:
    state = ExportState(row.state)
    detail = row.detail
    if state is ExportState.QUEUED:
        detail = f"{detail.rstrip('.') or 'Waiting for the Web Connector'}. {_contact(company, now, soap_url)}"
    if row.missing_since is not None and state is ExportState.SUCCESSFUL:
        detail = f"It is not in QuickBooks any more: noticed at {row.missing_since:%Y-%m-%d %H:%M} UTC."
    return {
        "company_id": row.company_id,
        "kind": row.kind,
        "document_id": row.document_id,
        "number": row.number,
        "state": state,
        "status": state.status,
        "detail": detail,
        "ref_number": row.ref_number,
        "quickbooks": row.quickbooks,
        "differences": _differences(row.quickbooks),
        "error": row.error,
        "generation": row.generation,
        "missing": _missing(row),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _changed_since(
    sent: SentDocument, row: Export, handed: HandedDocument | None, company: Company
) -> list[ChangedSince]:
    exported = parse_document(row.document)
    mapping = parse_mapping(excerpt(company.mapping, exported)) if not isinstance(exported, list) else []
    if isinstance(mapping, list):
        return []
    return changed_since(sent, row.document, handed.document if handed is not None else None, mapping)


def _differences(quickbooks: dict[str, Any] | None) -> list[DifferenceView]:
    found = Transaction.model_validate(quickbooks).differences if quickbooks else []
    return [
        DifferenceView(**one.model_dump(), message=difference_text(one), next_step=difference_next_step(one))
        for one in found
    ]


def _missing(row: Export) -> MissingFromBooks | None:
    if row.missing_since is None:
        return None
    return MissingFromBooks(since=row.missing_since, **(row.missing_answer or {}))


def _contact(company: Company, now: datetime, soap_url: str) -> str:
    """Say when the Web Connector was last seen, and what to check when it should have called by now."""
    if company.last_seen_at is None:
        seen = (
            "The Web Connector of this company has never called: check that the .qwc file was added on the QuickBooks "
            f"PC, that its password is stored, that Auto-Run is ticked and that the PC reaches {soap_url}."
        )
    else:
        seen = f"The Web Connector was last seen at {company.last_seen_at:%Y-%m-%d %H:%M} UTC."
    if company.rebind_requested_at is not None and company.bound_company_name is not None:
        return f"{seen} The books move to another company file: nothing is sent before that one was open."
    match connection_state(company, now):
        case ConnectionState.PAUSED:
            return f"{seen} The company is paused: nothing is sent until somebody resumes it."
        case ConnectionState.REFUSED:
            return f"{seen} {_refused(company)}"
        case ConnectionState.STALE:
            return (
                f"{seen} It calls every {company.run_every_minutes} minutes, so it is late: check that the PC is on, "
                "that the Web Connector runs and that Auto-Run is ticked."
            )
        case _ if quiet_until(company.quiet_hours, now) is not None:
            hours = company.quiet_hours or {}
            return f"{seen} It is in its quiet hours: nothing is sent until {hours['until']} ({hours['time_zone']})."
        case _:
            return seen


def _refused(company: Company) -> str:
    question = company.file_question
    if question is None or question["answer"] is not None:
        return "The connection is refused; the company's `problem` says why."
    file = f"{question['name']} ({question['path']})"
    return f"{file} is open there and waits for somebody to say that it is the right company file."
