"""What happens to an export before Temporal hears of it: pre-flight, the row that is its lasting guard, the refusals.

Each is one short transaction; the start of the workflow is put into the outbox in the same one (store/outbox.py), so
whatever was accepted begins, however long Temporal is away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from anyio import to_thread
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from activities.checking import checked
from mapping.documents import CarrierBill, Invoice, content_hash, parse_document
from mapping.issues import Issue
from mapping.result import Mapped, external_guid_for
from qbxml.envelope import build_request_element
from store import exports, outbox, waits, webhooks
from store.tables import Company, Export
from store.within import after_commit
from tms_api.companies import require_company
from tms_api.export_models import Preview
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, ExportNotRunningError, TemporalUnreachableError
from workflows.contracts import (
    ACCEPTED,
    OUTCOME_UNKNOWN,
    STARTING_AGAIN,
    ExportState,
    begins_again,
    export_start,
    export_workflow_id,
    has_not_begun,
)

log = structlog.get_logger(__name__)

INSERT_TRIES = 3
"""A second insert of the same document fails once and then finds the winner's row."""
DOCUMENT_MAX = 1_500_000
"""Characters of JSON. Temporal refuses a start above 2 MB (temporal.md 4)."""
PREVIEW_RUN = "preview"


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An export request that was not refused."""

    kind: str
    document_id: str
    is_new: bool


def accept(services: ApiServices, company_id: str, posted: Mapping[str, Any], *, confirmed_absent: bool) -> Accepted:
    """Find or add the export of a document; raises `ProblemError` when it cannot be exported."""
    for remaining in reversed(range(INSERT_TRIES)):
        try:
            with services.database.transaction("accept") as session:
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
    return Preview(issues=mapped.warnings, changes=mapped.changes, ref_number=mapped.ref_number, qbxml=qbxml)


def prepare_retry(
    services: ApiServices, company_id: str, kind: str, document_id: str, *, confirmed_absent: bool
) -> Accepted:
    """Make a Failed or Cancelled export ready to start again, with the document that is stored."""
    with services.database.transaction("retry") as session:
        company = require_company(session, company_id)
        row = require_export(session, company_id, kind, document_id, lock=True)
        return retry_in(services, session, company, row, confirmed_absent=confirmed_absent)


def retry_in(
    services: ApiServices, session: Session, company: Company, row: Export, *, confirmed_absent: bool
) -> Accepted:
    """Do it inside the caller's transaction, which holds the row; a `ProblemError` leaves the row as it was."""
    # The same request again, before the export has begun.
    if row.state not in (ExportState.FAILED, ExportState.CANCELLED) and not begins_again(row):
        raise ProblemError(
            409, "not_retryable", f"The export is {row.state}; only a Failed or Cancelled one can be retried."
        )
    _refuse_unconfirmed(row, confirmed_absent=confirmed_absent)
    _preflight(session, company, _parsed(row.document))
    _start_again(services, row)
    return _accepted(services, session, row, is_new=True, confirmed_absent=confirmed_absent)


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


async def cancel(services: ApiServices, company: str, kind: str, document_id: str, *, reason: str) -> None:
    """Ask an export to end before it is sent; raises `ProblemError` when it is too late."""
    workflow_id = await to_thread.run_sync(check_cancel, services, company, kind, document_id)
    is_ended = await to_thread.run_sync(end_unstarted, services, company, kind, document_id)
    try:
        # Asked even then: a relay that died may have started it without being able to say so.
        await services.exporter.cancel(workflow_id, reason)
    except ExportNotRunningError as error:
        if not is_ended:
            detail = "The export has ended, or is just being started; look at it again in a moment."
            raise ProblemError(409, "not_running", detail) from error
    except TemporalUnreachableError:
        if not is_ended:
            raise


def require_export(session: Session, company_id: str, kind: str, document_id: str, *, lock: bool = False) -> Export:
    """Find the export or end the request with 404."""
    row = exports.find_export(session, company_id, kind, document_id)
    if row is None:
        raise ProblemError(404, "export_not_found", "This document was never exported.")
    if lock:
        session.refresh(row, with_for_update=True)
    return row


def end_unstarted(services: ApiServices, company_id: str, kind: str, document_id: str) -> bool:
    """Cancel an export whose start is still in the outbox; False when it has begun, or is just being started."""
    now = services.clock()
    with services.database.transaction("cancel") as session:
        row = require_export(session, company_id, kind, document_id, lock=True)
        if not has_not_begun(row):
            return False
        if not outbox.withdraw_start(session, export_workflow_id(company_id, kind, document_id), now=now):
            return False
        row.claim = None
        row.state = ExportState.CANCELLED
        row.detail = "Taken back before it was started"
        row.owner = None
        row.updated_at = now
        waits.end(session, row.id)
        webhooks.tell_export(session, row, at=now, key=f"unstarted/{now.isoformat()}")
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
    if len(json.dumps(posted)) > DOCUMENT_MAX:
        detail = "The document is too large to be exported: shorten the descriptions, or split it in two."
        raise ProblemError(422, "document_too_large", detail)
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
        return _accepted(services, session, row, is_new=True, confirmed_absent=confirmed_absent)
    session.refresh(row, with_for_update=True)
    state = ExportState(row.state)
    if state in (ExportState.FAILED, ExportState.CANCELLED):
        _refuse_unconfirmed(row, confirmed_absent=confirmed_absent)
        _preflight(session, company, document)
        row.document = dict(posted)
        row.content_hash = digest
        row.number = document.number
        _start_again(services, row)
        return _accepted(services, session, row, is_new=True, confirmed_absent=confirmed_absent)
    if row.content_hash != digest:
        raise _conflict(state)
    return _accepted(services, session, row, is_new=False, confirmed_absent=confirmed_absent)


def _accepted(
    services: ApiServices, session: Session, row: Export, *, is_new: bool, confirmed_absent: bool = False
) -> Accepted:
    if row.state != ExportState.SUCCESSFUL:
        _put_start(services, session, row, confirmed_absent=confirmed_absent)
    return Accepted(kind=row.kind, document_id=row.document_id, is_new=is_new)


def _put_start(services: ApiServices, session: Session, row: Export, *, confirmed_absent: bool) -> None:
    """Let the relay start the export. A second start of one that runs is none, and mends one that Temporal lost."""
    workflow_id = export_workflow_id(row.company_id, row.kind, row.document_id)
    is_again = begins_again(row)
    if outbox.waits_to_start(session, workflow_id) and not is_again:
        return
    start = export_start(
        row.company_id,
        row.document,
        number=row.number,
        confirmed_absent=confirmed_absent,
        after_run=row.run_id if is_again else None,
    )
    with services.tracing.span("Accept export", attributes={"qbd.company": row.company_id, "qbd.export": workflow_id}):
        outbox.add_start(
            session,
            workflow_id=workflow_id,
            start=start.model_dump(mode="json"),
            at=services.clock(),
            traceparent=services.tracing.current(),
        )
    kind, named = row.kind, {"company": row.company_id, "export": workflow_id}

    def tell() -> None:
        services.metrics.accepted.labels(kind).inc()
        log.info("export accepted", **named)

    after_commit(session, tell)


def restart(services: ApiServices, session: Session, row: Export, *, confirmed_absent: bool) -> Accepted:
    """Start a Failed or Cancelled export again inside the caller's transaction, which holds the row."""
    claim = row.claim
    _start_again(services, row)
    row.claim = claim
    return _accepted(services, session, row, is_new=True, confirmed_absent=confirmed_absent)


def _start_again(services: ApiServices, row: Export) -> None:
    row.claim = None  # what is exported again is not waited for
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
    guid = external_guid_for(company.id, document.kind, document.id, PREVIEW_RUN)
    return checked(session, company, document, external_guid=guid)
