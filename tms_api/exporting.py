"""What happens to an export before Temporal hears of it: pre-flight, the row that is its lasting guard, the refusals.

Everything here is one short transaction; the routes start the workflow afterwards. A row without a workflow is
harmless: the same request again starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mapping.dispatch import map_document
from mapping.documents import CarrierBill, Invoice, content_hash, parse_document, party_of
from mapping.issues import Issue
from mapping.result import Mapped, external_guid_for
from mapping.rules import rules_for
from qbxml.envelope import build_request_element
from store import exports, webhooks
from store.tables import Company, Export
from tms_api.companies import require_company
from tms_api.export_models import Preview
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, ExportNotRunningError
from workflows.contracts import OUTCOME_UNKNOWN, ExportInput, ExportState, export_workflow_id

ACCEPTED = "Accepted; the export is being started"
STARTING_AGAIN = "Starting again"
INSERT_TRIES = 3
"""A second insert of the same document fails once and then finds the winner's row."""
PREVIEW_RUN = "preview"
_NAMES = {"invoice": "Invoice", "carrier_bill": "Carrier bill"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """An export that Temporal shall run."""

    inp: ExportInput
    workflow_id: str
    summary: str
    after_run: str | None = None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An export request that was not refused."""

    kind: str
    document_id: str
    is_new: bool
    start: Start | None


def accept(services: ApiServices, company_id: str, posted: Mapping[str, Any], *, confirmed_absent: bool) -> Accepted:
    """Find or add the export of a document; raises `ProblemError` when it cannot be exported."""
    for remaining in reversed(range(INSERT_TRIES)):
        try:
            with services.database.transaction() as session:
                return _accept(services, session, company_id, posted, confirmed_absent=confirmed_absent)
        except IntegrityError:
            if not remaining:
                raise
    raise AssertionError("unreachable")


def preview(services: ApiServices, company_id: str, posted: Mapping[str, Any]) -> Preview:
    """Show what an export would send, or why it would not."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        document = parse_document(posted)
        mapped = document if isinstance(document, list) else _map(session, company, document)
    if isinstance(mapped, list):
        return Preview(issues=mapped, changes=[], ref_number=None, qbxml=None)
    qbxml = build_request_element(mapped.transaction, PREVIEW_RUN)
    return Preview(issues=[], changes=mapped.changes, ref_number=mapped.ref_number, qbxml=qbxml)


def prepare_retry(
    services: ApiServices, company_id: str, kind: str, document_id: str, *, confirmed_absent: bool
) -> Accepted:
    """Make a Failed or Cancelled export ready to start again, with the document that is stored."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        row = require_export(session, company_id, kind, document_id, lock=True)
        # The request before this one may have been told that Temporal is away.
        is_waiting_to_start = row.state == ExportState.MAPPED and row.detail == STARTING_AGAIN
        if row.state not in (ExportState.FAILED, ExportState.CANCELLED) and not is_waiting_to_start:
            raise ProblemError(
                409, "not_retryable", f"The export is {row.state}; only a Failed or Cancelled one can be retried."
            )
        _refuse_unconfirmed(row, confirmed_absent=confirmed_absent)
        _preflight(session, company, _parsed(row.document))
        _start_again(services, row)
        return _accepted(row, is_new=True, confirmed_absent=confirmed_absent)


def check_cancel(services: ApiServices, company_id: str, kind: str, document_id: str) -> str:
    """Give the workflow to cancel; raises `ProblemError` once the export was sent or has ended."""
    with services.database.transaction() as session:
        require_company(session, company_id)
        row = require_export(session, company_id, kind, document_id)
        state = ExportState(row.state)
    if state is ExportState.SENT:
        detail = "QuickBooks has the request, or may have it; wait for the outcome."
        raise ProblemError(409, "already_sent", detail)
    if state.is_final:
        raise ProblemError(409, "already_final", f"The export is {state}; there is nothing to cancel.")
    return export_workflow_id(company_id, kind, document_id)


async def start(services: ApiServices, accepted: Accepted) -> None:
    """Start the workflow of an accepted export, if it needs one; raises `TemporalUnreachableError`."""
    wanted = accepted.start
    if wanted is not None and wanted.after_run is not None:
        await services.exporter.start(wanted.inp, wanted.workflow_id, wanted.summary, after_run=wanted.after_run)
    elif wanted is not None:
        await services.exporter.start(wanted.inp, wanted.workflow_id, wanted.summary)


async def cancel(services: ApiServices, company: str, kind: str, document_id: str, *, reason: str) -> None:
    """Ask an export to end before it is sent; raises `ProblemError` when it is too late."""
    workflow_id = await to_thread.run_sync(check_cancel, services, company, kind, document_id)
    try:
        await services.exporter.cancel(workflow_id, reason)
    except ExportNotRunningError as error:
        if not await to_thread.run_sync(end_unstarted, services, company, kind, document_id):
            detail = "The export has ended, or was never started; sending the document again starts it."
            raise ProblemError(409, "not_running", detail) from error


def require_export(session: Session, company_id: str, kind: str, document_id: str, *, lock: bool = False) -> Export:
    """Find the export or end the request with 404."""
    row = exports.find_export(session, company_id, kind, document_id)
    if row is None:
        raise ProblemError(404, "export_not_found", "This document was never exported.")
    if lock:
        session.refresh(row, with_for_update=True)
    return row


def end_unstarted(services: ApiServices, company_id: str, kind: str, document_id: str) -> bool:
    """Cancel an export whose workflow never started, because Temporal was away; False when it is something else."""
    with services.database.transaction() as session:
        row = require_export(session, company_id, kind, document_id, lock=True)
        if row.state != ExportState.MAPPED or row.detail not in (ACCEPTED, STARTING_AGAIN):
            return False
        row.state = ExportState.CANCELLED
        row.detail = "Taken back before it was started"
        row.updated_at = services.clock()
        webhooks.tell_export(session, row, at=row.updated_at, key=f"unstarted/{row.updated_at.isoformat()}")
        return True


def _accept(
    services: ApiServices,
    session: Session,
    company_id: str,
    posted: Mapping[str, Any],
    *,
    confirmed_absent: bool,
) -> Accepted:
    company = require_company(session, company_id)
    document = _parsed(posted)
    digest = content_hash(document)
    row = exports.find_export(session, company_id, document.kind, document.id)
    if row is None:
        _preflight(session, company, document)
        new = exports.NewExport(
            company_id=company_id,
            kind=document.kind,
            document_id=document.id,
            number=document.number,
            content_hash=digest,
            document=dict(posted),
        )
        row = exports.add_export(session, new, state=ExportState.MAPPED, at=services.clock())
        row.detail = ACCEPTED
        return _accepted(row, is_new=True, confirmed_absent=confirmed_absent)
    session.refresh(row, with_for_update=True)
    state = ExportState(row.state)
    if state in (ExportState.FAILED, ExportState.CANCELLED):
        _refuse_unconfirmed(row, confirmed_absent=confirmed_absent)
        _preflight(session, company, document)
        row.document = dict(posted)
        row.content_hash = digest
        row.number = document.number
        _start_again(services, row)
        return _accepted(row, is_new=True, confirmed_absent=confirmed_absent)
    if row.content_hash != digest:
        raise _conflict(state)
    return _accepted(row, is_new=False, confirmed_absent=confirmed_absent)


def _accepted(row: Export, *, is_new: bool, confirmed_absent: bool) -> Accepted:
    start = None
    if row.state != ExportState.SUCCESSFUL:
        # Started even if it should run: an earlier request may have found Temporal away, and a second start is none.
        start = Start(
            inp=ExportInput(company_id=row.company_id, document=row.document, confirmed_absent=confirmed_absent),
            workflow_id=export_workflow_id(row.company_id, row.kind, row.document_id),
            summary=f"{_NAMES[row.kind]} {row.number}",
            after_run=row.run_id if row.detail == STARTING_AGAIN else None,
        )
    return Accepted(kind=row.kind, document_id=row.document_id, is_new=is_new, start=start)


def _start_again(services: ApiServices, row: Export) -> None:
    row.state = ExportState.MAPPED
    row.detail = STARTING_AGAIN
    row.error = None
    row.owner = None
    row.updated_at = services.clock()


def _refuse_unconfirmed(row: Export, *, confirmed_absent: bool) -> None:
    if row.error is not None and row.error.get("code") == OUTCOME_UNKNOWN and not confirmed_absent:
        raise ProblemError(
            409,
            "may_be_in_quickbooks",
            "The transaction may already be in QuickBooks. Look it up there; if it is not there, send this again with "
            '"confirm_not_in_quickbooks": true.',
        )


def _conflict(state: ExportState) -> ProblemError:
    if state is ExportState.SUCCESSFUL:
        detail = "This document was exported with another content; change the transaction in QuickBooks."
        return ProblemError(409, "already_exported", detail)
    detail = "This document is under way with another content; cancel that export or wait for its end."
    return ProblemError(409, "content_differs_under_way", detail)


def _parsed(posted: Mapping[str, Any]) -> Invoice | CarrierBill:
    document = parse_document(posted)
    if isinstance(document, list):
        raise _not_exportable(document)
    return document


def _preflight(session: Session, company: Company, document: Invoice | CarrierBill) -> None:
    mapped = _map(session, company, document)
    if isinstance(mapped, list):
        raise _not_exportable(mapped)


def _not_exportable(issues: list[Issue]) -> ProblemError:
    detail = "The document cannot be exported; each reason is in `issues`."
    return ProblemError(422, "document_not_exportable", detail, issues=issues)


def _map(session: Session, company: Company, document: Invoice | CarrierBill) -> Mapped | list[Issue]:
    rules = rules_for(company.mapping, country=company.country, ref_number_rule=company.ref_number_rule)
    if isinstance(rules, list):
        return rules
    taken = exports.numbers_of_others(
        session, company_id=company.id, kind=document.kind, party_id=party_of(document), document_id=document.id
    )
    guid = external_guid_for(company.id, document.kind, document.id, PREVIEW_RUN)
    return map_document(document, rules, taken=taken, external_guid=guid)
