"""Exports: sending documents, looking at them, retrying and cancelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Body, Path, Query, Request
from starlette.responses import Response

from mapping.issues import Owner
from store import documents, exports
from store.exports import ExportFilter
from store.tables import Export
from tms_api import claims, exporting
from tms_api.companies import CompanyPath, require_company
from tms_api.export_models import (
    CancelRequest,
    ConfirmRequest,
    ExportList,
    ExportPanel,
    NewExport,
    Preview,
    PreviewRequest,
    RetryRequest,
    panel_view,
    summary_view,
)
from tms_api.exporting import require_export
from tms_api.posted import Since
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute, caller_of
from tms_api.services import ApiServices, Services
from workflows.contracts import ExportState

CURSOR_PATTERN = r"^([0-9]{1,16}\.)?[0-9]{1,18}$"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DOCUMENT_KEY_PATTERN = r"^[A-Za-z0-9_.\-]+$"

Kind = Literal["invoice", "carrier_bill"]
KindPath = Annotated[Kind, Path(description="Kind of document.")]
DocumentPath = Annotated[
    str,
    Path(min_length=1, max_length=64, pattern=DOCUMENT_KEY_PATTERN, description="Id of the document in the TMS."),
]
Status = Literal["Pending", "Successful", "Failed", "Cancelled"]

router = APIRouter(
    prefix="/v1/companies/{company}/exports",
    tags=["exports"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.post(
    "",
    status_code=202,
    responses={
        200: {"model": ExportPanel, "description": "The same document again: the same export."},
        **documented(409),
    },
)
async def create_export(company: CompanyPath, body: NewExport, services: Services, response: Response) -> ExportPanel:
    """Export a document. The same document again is the same export; after a failure it is tried again."""
    accepted = await to_thread.run_sync(
        lambda: exporting.accept(services, company, body.document, confirmed_absent=body.confirm_not_in_quickbooks)
    )
    if not accepted.is_new:
        response.status_code = 200
    return await to_thread.run_sync(panel_of, services, company, accepted.kind, accepted.document_id)


@router.post("/preview")
def preview_export(company: CompanyPath, body: PreviewRequest, services: Services) -> Preview:
    """Show what an export would send to QuickBooks, or every reason why it cannot; sends nothing."""
    return exporting.preview(services, company, body.document)


@router.get("")
def list_exports(
    company: CompanyPath,
    services: Services,
    state: Annotated[ExportState | None, Query(description="Only this state.")] = None,
    status: Annotated[Status | None, Query(description="Only this status.")] = None,
    kind: Annotated[Kind | None, Query(description="Only this kind of document.")] = None,
    number: Annotated[
        str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Only this number, as the TMS has it.")
    ] = None,
    owner: Annotated[Owner | None, Query(description="Only failures that this owner can mend.")] = None,
    code: Annotated[
        str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Only failures with this code.")
    ] = None,
    differing: Annotated[
        bool, Query(description="Only what QuickBooks holds otherwise than it was sent (`differences`).")
    ] = False,
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            pattern=r"^[^\x00]*$",
            description="Part of a number, of a document's id, or of the customer's or carrier's name.",
            examples=["cafe rio"],
        ),
    ] = None,
    missing: Annotated[
        bool, Query(description="Only what is not in QuickBooks any more and about which nobody has decided.")
    ] = False,
    updated_since: Annotated[
        Since | None,
        Query(description="Only what changed at this time or later.", examples=["2026-11-20T00:00:00Z"]),
    ] = None,
    sort: Annotated[
        Literal["-created", "updated"],
        Query(description="`-created`: newest first. `updated`: by last change, oldest first, to follow changes."),
    ] = "-created",
    limit: Annotated[int, Query(ge=1, le=200, description="Exports on a page.")] = 50,
    cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN, description="From the page before.")] = None,
) -> ExportList:
    """List exports, a page at a time. The order is stable: following the cursor gives each one once."""
    wanted = ExportFilter(
        company_id=company,
        states=states_of(state, status),
        kind=kind,
        number=number,
        owner=owner,
        code=code,
        only_differing=differing,
        text=q,
        updated_since=updated_since,
        missing=missing,
    )
    at, _, last_id = (cursor or "").rpartition(".")
    if cursor and (sort == "updated") != bool(at):
        raise ProblemError(422, "cursor_invalid", "This cursor comes from a list in another order.")
    with services.database.transaction() as session:
        company_row = require_company(session, company)
        if sort == "updated":
            after = (EPOCH + timedelta(microseconds=int(at)), int(last_id)) if at else None
            rows = exports.list_by_change(session, wanted, after=after, limit=limit + 1)
        else:
            before_id = int(last_id) if last_id else None
            rows = exports.list_exports(session, wanted, before_id=before_id, limit=limit + 1)
        changed = documents.changed_since_export(session, rows[:limit])
    now, soap_url = services.clock(), services.public_soap_url
    items = [
        summary_view(row, company_row, now=now, soap_url=soap_url, changed_in_tms=row.id in changed)
        for row in rows[:limit]
    ]
    return ExportList(items=items, cursor=_cursor(rows[limit - 1], sort) if len(rows) > limit else None)


@router.get("/{kind}/{document_id}")
def get_export(company: CompanyPath, kind: KindPath, document_id: DocumentPath, services: Services) -> ExportPanel:
    """Show the Data Panel of one export."""
    return panel_of(services, company, kind, document_id)


@router.post("/{kind}/{document_id}/retry", status_code=202, responses=documented(409))
async def retry_export(
    company: CompanyPath,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    body: Annotated[RetryRequest | None, Body()] = None,
) -> ExportPanel:
    """Try a Failed or Cancelled export again, with the document as it was handed over last."""
    confirmed = body is not None and body.confirm_not_in_quickbooks
    accepted = await to_thread.run_sync(
        lambda: exporting.prepare_retry(services, company, kind, document_id, confirmed_absent=confirmed)
    )
    return await to_thread.run_sync(panel_of, services, company, accepted.kind, accepted.document_id)


@router.post("/{kind}/{document_id}/confirm", status_code=202, responses=documented(409))
def confirm_export(
    company: CompanyPath,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    request: Request,
    body: Annotated[ConfirmRequest | None, Body()] = None,
) -> ExportPanel:
    """Say that the transaction of a Failed export is in QuickBooks: it is not sent again.

    The next session looks it up there, by its TxnID or by number and party, and compares it. Until then the export is
    Pending; then it is Successful, or Failed with what was found.
    """
    txn_id = body.txn_id if body else None
    claims.confirm_present(services, company, kind, document_id, txn_id=txn_id, caller=caller_of(request))
    return panel_of(services, company, kind, document_id)


@router.post("/{kind}/{document_id}/cancel", status_code=202, responses=documented(409))
async def cancel_export(
    company: CompanyPath,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    body: Annotated[CancelRequest | None, Body()] = None,
) -> ExportPanel:
    """Ask an export to end before it is sent. The state says whether it was in time."""
    await exporting.cancel(services, company, kind, document_id, reason=body.reason if body else "")
    return await to_thread.run_sync(panel_of, services, company, kind, document_id)


def panel_of(services: ApiServices, company: str, kind: str, document_id: str) -> ExportPanel:
    """Show the Data Panel of one export."""
    with services.database.transaction() as session:
        company_row = require_company(session, company)
        row = require_export(session, company, kind, document_id)
        entries = exports.timeline(session, row.id)
        handed = documents.find_document(session, company, kind, document_id)
    return panel_view(
        row,
        company_row,
        entries,
        handed=handed,
        now=services.clock(),
        soap_url=services.public_soap_url,
        ui_url=services.temporal_ui_url,
    )


def _cursor(row: Export, sort: str) -> str:
    if sort == "updated":
        return f"{(row.updated_at - EPOCH) // timedelta(microseconds=1)}.{row.id}"
    return str(row.id)


def states_of(state: ExportState | None, status: str | None) -> list[str] | None:
    """Give the states that a filter by state and status leaves; None means any."""
    if state is None and status is None:
        return None
    return [
        known.value
        for known in ExportState
        if (state is None or known is state) and (status is None or known.status == status)
    ]
