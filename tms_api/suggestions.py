"""Suggestions for the mapping over HTTP."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter

from tms_api import suggesting
from tms_api.auto_retry import Retries
from tms_api.companies import CompanyPath
from tms_api.problems import documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services
from tms_api.suggestion_models import AcceptedSuggestions, AcceptRequest, SuggestionList, SuggestionRequest

router = APIRouter(
    prefix="/v1/companies/{company}/mapping/suggestions",
    tags=["mapping"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.get("")
def get_suggestions(company: CompanyPath, services: Services) -> SuggestionList:
    """Show what exported documents use and the mapping lacks, each with the likely entries of QuickBooks' lists."""
    return suggesting.suggestions(services, company, ())


@router.post("")
def suggest_for_documents(company: CompanyPath, body: SuggestionRequest, services: Services) -> SuggestionList:
    """Show the same for documents that were not exported yet; nothing is stored."""
    return suggesting.suggestions(services, company, body.documents)


@router.post("/accept", responses=documented(409))
async def accept_suggestions(
    company: CompanyPath, body: AcceptRequest, services: Services, retries: Retries
) -> AcceptedSuggestions:
    """Link one code to an entry, or everything whose best candidate has at least a score and no equal rival."""
    done = await to_thread.run_sync(suggesting.accept, services, company, body)
    retries.after(company, done.retrying)
    return done
