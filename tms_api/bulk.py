"""Many exports at once: each is handled as a single request would be, one after the other fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from anyio import to_thread
from fastapi import APIRouter

from store import exports
from store.exports import ExportFilter
from store.tables import Export
from tms_api import exporting
from tms_api.bulk_models import BULK_MAX, BulkAnswer, BulkCancel, BulkExport, BulkResult, BulkRetry, ExportRef
from tms_api.companies import CompanyPath, require_company
from tms_api.export_models import ExportSummary, summary_view
from tms_api.exporting import require_export
from tms_api.problems import ProblemError, documented, problem_of, view_of
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import ApiServices, Services, TemporalUnreachableError
from workflows.contracts import OUTCOME_UNKNOWN, ExportState

AT_ONCE = 8
"""Starts that wait for Temporal at the same time."""

router = APIRouter(
    prefix="/v1/companies/{company}/exports",
    tags=["exports"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What is known of one document of a request."""

    kind: str | None
    document_id: str | None


@router.post("/bulk")
async def export_many(company: CompanyPath, body: BulkExport, services: Services) -> BulkAnswer:
    """Export up to 500 documents. The answer has one result for each, in order; one refusal stops no other."""
    documents = body.documents
    in_turn = asyncio.Lock()  # lists show exports in the order in which their rows came

    async def export(index: int) -> int:
        async with in_turn:
            accepted = await to_thread.run_sync(
                lambda: exporting.accept(services, company, documents[index], confirmed_absent=False)
            )
        return 202 if accepted.is_new else 200

    named = [_Named(kind=_text(one.get("kind")), document_id=_text(one.get("id"))) for one in documents]
    return await _each(services, company, named, export)


@router.post("/retry")
async def retry_many(company: CompanyPath, body: BulkRetry, services: Services) -> BulkAnswer:
    """Try exports again: those named, or all that failed for a reason that is mended now."""
    choice = body.filter
    wanted = None
    if choice is not None:
        wanted = ExportFilter(
            company_id=company,
            states=[choice.state],
            kind=choice.kind,
            code=choice.code,
            without_code=OUTCOME_UNKNOWN,
            owner=choice.owner,
        )
    chosen, cursor = await to_thread.run_sync(_chosen, services, company, body.ids, wanted, body.cursor)

    async def retry(index: int) -> int:
        ref = chosen[index]
        await to_thread.run_sync(
            lambda: exporting.prepare_retry(services, company, ref.kind, ref.document_id, confirmed_absent=False)
        )
        return 202

    return await _each(services, company, [_named(ref) for ref in chosen], retry, cursor)


@router.post("/cancel")
async def cancel_many(company: CompanyPath, body: BulkCancel, services: Services) -> BulkAnswer:
    """Ask exports to end before they are sent: those named, or all that wait."""
    wanted = None
    if body.filter is not None:
        states = [ExportState.MAPPED.value, ExportState.QUEUED.value]
        wanted = ExportFilter(company_id=company, states=states, kind=body.filter.kind)
    chosen, cursor = await to_thread.run_sync(_chosen, services, company, body.ids, wanted, body.cursor)

    async def cancel(index: int) -> int:
        ref = chosen[index]
        await exporting.cancel(services, company, ref.kind, ref.document_id, reason=body.reason)
        return 202

    return await _each(services, company, [_named(ref) for ref in chosen], cancel, cursor)


def _chosen(
    services: ApiServices,
    company: str,
    ids: Sequence[ExportRef] | None,
    wanted: ExportFilter | None,
    cursor: str | None,
) -> tuple[Sequence[ExportRef], str | None]:
    with services.database.transaction() as session:
        require_company(session, company)
        if ids is not None or wanted is None:
            return ids or (), None
        rows = exports.list_by_age(session, wanted, after_id=int(cursor or 0), limit=BULK_MAX + 1)
    refs = [ExportRef.model_validate({"kind": row.kind, "document_id": row.document_id}) for row in rows[:BULK_MAX]]
    return refs, str(rows[BULK_MAX - 1].id) if len(rows) > BULK_MAX else None


async def _each(
    services: ApiServices,
    company: str,
    named: Sequence[_Named],
    do: Callable[[int], Awaitable[int]],
    cursor: str | None = None,
) -> BulkAnswer:
    """Do it for each document, some at the same time; what it raises is that document's problem."""
    await to_thread.run_sync(_require, services, company)
    slots = asyncio.Semaphore(AT_ONCE)
    away: TemporalUnreachableError | None = None

    async def one(index: int) -> int | ProblemError:
        nonlocal away
        async with slots:
            try:
                # Each of 500 would wait for its own time limit.
                if away is not None:
                    raise away
                # Each export is a trace of its own, also when many come in one request.
                with services.tracing.span("Document of a bulk request", is_root=True):
                    return await do(index)
            except TemporalUnreachableError as error:
                away = error
                return problem_of(error)
            except ProblemError as problem:
                return problem

    results = await asyncio.gather(*(one(index) for index in range(len(named))))
    return await to_thread.run_sync(_answer, services, company, named, results, cursor)


def _answer(
    services: ApiServices,
    company: str,
    named: Sequence[_Named],
    results: Sequence[int | ProblemError],
    cursor: str | None,
) -> BulkAnswer:
    items: list[BulkResult] = []
    now = services.clock()
    with services.database.transaction() as session:
        owner = require_company(session, company)

        def summary(one: _Named) -> ExportSummary:
            row: Export = require_export(session, company, one.kind or "", one.document_id or "")
            return summary_view(row, owner, now=now, soap_url=services.public_soap_url)

        for index, (one, result) in enumerate(zip(named, results, strict=True)):
            is_refused = isinstance(result, ProblemError)
            items.append(
                BulkResult(
                    index=index,
                    kind=one.kind,
                    document_id=one.document_id,
                    status=result.status if isinstance(result, ProblemError) else result,
                    export=None if is_refused else summary(one),
                    problem=view_of(result) if isinstance(result, ProblemError) else None,
                )
            )
    refused = sum(item.problem is not None for item in items)
    return BulkAnswer(items=items, accepted=len(items) - refused, refused=refused, cursor=cursor)


def _require(services: ApiServices, company: str) -> None:
    with services.database.transaction() as session:
        require_company(session, company)


def _named(ref: ExportRef) -> _Named:
    return _Named(kind=ref.kind, document_id=ref.document_id)


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None
