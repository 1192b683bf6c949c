"""Documents that the TMS hands over for review; a person looks at them and exports them later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Body, Query
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.responses import Response

from mapping.documents import content_hash, parse_document
from mapping.issues import Issue
from store import documents, exports
from store.api_tables import HandedDocument
from store.documents import DocumentFilter
from tms_api import exporting
from tms_api.companies import CompanyPath, require_company
from tms_api.document_models import (
    DocumentList,
    DocumentSummary,
    DocumentView,
    document_summary,
    document_view,
)
from tms_api.export_models import EXAMPLE_DOCUMENT, ExportPanel, RetryRequest
from tms_api.exports import DocumentPath, Kind, KindPath, panel_of, states_of
from tms_api.posted import PostedDocument, Since
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import ApiServices, Services

PUT_TRIES = 3
"""A second insert of the same document fails once and then finds the winner's row."""
TEXT_MAX = 1000

router = APIRouter(
    prefix="/v1/companies/{company}/documents",
    tags=["documents"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.put(
    "/{kind}/{document_id}", responses={201: {"model": DocumentView, "description": "It was handed over first."}}
)
def put_document(
    company: CompanyPath,
    kind: KindPath,
    document_id: DocumentPath,
    body: Annotated[PostedDocument, Body(examples=[EXAMPLE_DOCUMENT])],
    services: Services,
    response: Response,
) -> DocumentView:
    """Hand a document over, or another content of it. Nothing is exported; one that cannot be yet is kept as well."""
    _require_same(body, kind, document_id)
    if _put(services, company, kind, document_id, body):
        response.status_code = 201
    return _view(services, company, kind, document_id)


@router.get("/{kind}/{document_id}")
def get_document(company: CompanyPath, kind: KindPath, document_id: DocumentPath, services: Services) -> DocumentView:
    """Show a document, what keeps it from being exported today, and its export."""
    return _view(services, company, kind, document_id)


@router.delete("/{kind}/{document_id}", status_code=204, response_class=Response)
def delete_document(company: CompanyPath, kind: KindPath, document_id: DocumentPath, services: Services) -> Response:
    """Take a document back; one that is not there is no error. Its export, if it has one, goes on."""
    with services.database.transaction() as session:
        require_company(session, company)
        row = documents.find_document(session, company, kind, document_id)
        if row is not None:
            session.delete(row)
    return Response(status_code=204)


@router.get("")
def list_documents(
    company: CompanyPath,
    services: Services,
    kind: Annotated[Kind | None, Query(description="Only this kind of document.")] = None,
    status: Annotated[
        Literal["NotExported", "Pending", "Successful", "Failed", "Cancelled"] | None,
        Query(description="Only documents whose export has this status."),
    ] = None,
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            pattern=r"^[^\x00]*$",
            description="Part of the number, of the document's id, or of the customer's or carrier's name.",
            examples=["cafe rio"],
        ),
    ] = None,
    updated_since: Annotated[
        Since | None,
        Query(description="Only what changed at this time or later.", examples=["2026-11-20T00:00:00Z"]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Documents on a page.")] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$", description="From the page before.")] = None,
) -> DocumentList:
    """List documents, those handed over last first."""
    is_unexported = status == "NotExported"
    wanted = DocumentFilter(
        company_id=company,
        kind=kind,
        states=None if is_unexported else states_of(None, status),
        only_unexported=is_unexported,
        text=q,
        updated_since=updated_since,
    )
    with services.database.transaction() as session:
        owner = require_company(session, company)
        before_id = int(cursor) if cursor else None
        rows = documents.list_documents(session, wanted, before_id=before_id, limit=limit + 1)
    now, soap_url = services.clock(), services.public_soap_url
    items = [document_summary(row, export, owner, now=now, soap_url=soap_url) for row, export in rows[:limit]]
    return DocumentList(items=items, cursor=str(rows[limit - 1][0].id) if len(rows) > limit else None)


@router.post(
    "/{kind}/{document_id}/export",
    status_code=202,
    responses={
        200: {"model": ExportPanel, "description": "It is exported as it stands: the same export."},
        **documented(409),
    },
)
async def export_document(
    company: CompanyPath,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    response: Response,
    body: Annotated[RetryRequest | None, Body()] = None,
) -> ExportPanel:
    """Export a document as it was handed over; the same rules as for one that is posted."""
    confirmed = body is not None and body.confirm_not_in_quickbooks
    accepted = await to_thread.run_sync(
        lambda: export_handed(services, company, kind, document_id, confirmed_absent=confirmed)
    )
    if not accepted.is_new:
        response.status_code = 200
    return await to_thread.run_sync(panel_of, services, company, accepted.kind, accepted.document_id)


def export_handed(
    services: ApiServices, company: str, kind: str, document_id: str, *, confirmed_absent: bool
) -> exporting.Accepted:
    """Export a document as it was handed over last; raises `ProblemError` when it cannot be."""
    with services.database.transaction() as session:
        require_company(session, company)
        posted = _require(session, company, kind, document_id).document
    return exporting.accept(services, company, posted, confirmed_absent=confirmed_absent)


def _put(services: ApiServices, company: str, kind: str, document_id: str, posted: dict[str, Any]) -> bool:
    """Store the document; say whether it is new."""
    for remaining in reversed(range(PUT_TRIES)):
        try:
            with services.database.transaction() as session:
                require_company(session, company)
                return _write(services, session, company, kind, document_id, posted)
        except IntegrityError:
            if not remaining:
                raise
    raise AssertionError("unreachable")


def _write(
    services: ApiServices, session: Session, company: str, kind: str, document_id: str, posted: dict[str, Any]
) -> bool:
    now = services.clock()
    row = documents.find_document(session, company, kind, document_id)
    is_new = row is None
    if row is None:
        row = HandedDocument(company_id=company, kind=kind, document_id=document_id, created_at=now, updated_at=now)
        session.add(row)
    elif row.document != posted:
        row.updated_at = now
    parsed = parse_document(posted)
    party = posted.get("customer" if kind == "invoice" else "carrier")
    row.number = _text(posted.get("number"))
    row.party = _text(party.get("name")) if isinstance(party, Mapping) else ""
    row.document = posted
    row.content_hash = None if isinstance(parsed, list) else content_hash(parsed)
    session.flush()
    return is_new


def _view(services: ApiServices, company: str, kind: str, document_id: str) -> DocumentView:
    with services.database.transaction() as session:
        owner = require_company(session, company)
        row = _require(session, company, kind, document_id)
        export = exports.find_export(session, company, kind, document_id)
    summary: DocumentSummary = document_summary(
        row, export, owner, now=services.clock(), soap_url=services.public_soap_url
    )
    return document_view(summary, row, exporting.preview(services, company, row.document))


def _require(session: Session, company: str, kind: str, document_id: str) -> HandedDocument:
    row = documents.find_document(session, company, kind, document_id)
    if row is None:
        raise ProblemError(404, "document_not_found", "This document was not handed over, or was taken back.")
    return row


def _require_same(posted: Mapping[str, Any], kind: str, document_id: str) -> None:
    issues = [
        Issue(
            code="address_differs",
            path=name,
            message=f"`{name}` is not the one in the address.",
            next_step=f"Put {wanted} into `{name}`, or send the document to its own address.",
        )
        for name, wanted in (("kind", kind), ("id", document_id))
        if posted.get(name) != wanted
    ]
    if issues:
        raise ProblemError(422, "request_invalid", "The document is not the one of this address.", issues=issues)


def _text(value: object) -> str:
    # PostgreSQL's texts hold no NUL; the document itself keeps it.
    return value[:TEXT_MAX].replace("\x00", "") if isinstance(value, str) else ""
