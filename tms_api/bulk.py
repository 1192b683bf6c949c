"""Many exports at once over HTTP."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter

from store.exports import ExportFilter
from tms_api import many
from tms_api.bulk_models import BulkAnswer, BulkCancel, BulkExport, BulkRetry
from tms_api.companies import CompanyPath
from tms_api.problems import documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services
from workflows.contracts import OUTCOME_UNKNOWN, ExportState

router = APIRouter(
    prefix="/v1/companies/{company}/exports",
    tags=["exports"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.post("/bulk")
async def export_many(company: CompanyPath, body: BulkExport, services: Services) -> BulkAnswer:
    """Export up to 500 documents. The answer has one result for each, in order; one refusal stops no other."""
    return await many.export_each(services, company, body.documents)


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
    chosen, cursor = await to_thread.run_sync(many.chosen, services, company, body.ids, wanted, body.cursor)
    return await many.retry_each(services, company, chosen, cursor)


@router.post("/cancel")
async def cancel_many(company: CompanyPath, body: BulkCancel, services: Services) -> BulkAnswer:
    """Ask exports to end before they are sent: those named, or all that wait."""
    wanted = None
    if body.filter is not None:
        states = [ExportState.MAPPED.value, ExportState.QUEUED.value]
        wanted = ExportFilter(company_id=company, states=states, kind=body.filter.kind)
    chosen, cursor = await to_thread.run_sync(many.chosen, services, company, body.ids, wanted, body.cursor)
    return await many.cancel_each(services, company, chosen, reason=body.reason, cursor=cursor)
