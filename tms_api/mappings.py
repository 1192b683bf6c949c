"""A company's mapping: whole, or one entry at a time."""

from __future__ import annotations

from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from mapping.issues import Issue
from mapping.rules import CompanyMapping
from mapping.targets import mapping_issues
from tms_api.auto_retry import Retries
from tms_api.companies import CompanyPath, require_company
from tms_api.posted import JsonObject, PostedMapping
from tms_api.problems import documented
from tms_api.saving import Entry, SavedMapping, accepted, lists_for, remove_entry, save_entries, save_whole
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services

Section = Annotated[
    Literal["charges", "customers", "carriers", "terms", "classes", "defaults"],
    Path(description="Part of the mapping."),
]
Key = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f]+$",
        description="Code or id of the TMS; in `defaults`: `invoice` or `carrier_bill`.",
        examples=["LINEHAUL"],
    ),
]


class MappingIssues(BaseModel):
    """What speaks against a mapping as it stands."""

    issues: list[Issue] = Field(description="Errors keep documents back that use the entry; warnings do not.")


router = APIRouter(
    prefix="/v1/companies/{company}/mapping",
    tags=["mapping"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.get("")
def get_mapping(company: CompanyPath, services: Services) -> CompanyMapping:
    """Show the whole mapping."""
    with services.database.transaction() as session:
        return accepted(require_company(session, company).mapping)


@router.get("/issues")
def get_mapping_issues(company: CompanyPath, services: Services) -> MappingIssues:
    """Show what speaks against the mapping today: entries that became inactive, vanished or no longer fit."""
    with services.database.transaction() as session:
        mapping = accepted(require_company(session, company).mapping)
        return MappingIssues(issues=mapping_issues(mapping, lists_for(session, company, mapping)))


@router.put("")
async def put_mapping(
    company: CompanyPath, body: Annotated[PostedMapping, Body()], services: Services, retries: Retries
) -> SavedMapping:
    """Replace the whole mapping. Once QuickBooks' lists are known, every target must be in them and fit its place."""
    saved = await to_thread.run_sync(save_whole, services, company, body)
    retries.after(company, saved.retrying)
    return saved


# A terms code such as "2/10 net 30" holds a slash, so the key is the rest of the address.
@router.put("/{section}/{key:path}")
async def put_entry(
    company: CompanyPath,
    section: Section,
    key: Key,
    services: Services,
    retries: Retries,
    body: Annotated[
        JsonObject,
        Body(
            description="A target `{list_id, full_name}`; in `charges` and `defaults` an object of targets.",
            examples=[{"full_name": "Cafe Rio Foods"}],
        ),
    ],
) -> SavedMapping:
    """Set one entry; the answer is the whole mapping. Failed exports that waited for it are started again."""
    saved = await to_thread.run_sync(save_entries, services, company, [Entry(section, key, body)])
    retries.after(company, saved.retrying)
    return saved


@router.delete("/{section}/{key:path}", status_code=204, response_class=Response)
def delete_entry(company: CompanyPath, section: Section, key: Key, services: Services) -> Response:
    """Remove one entry; one that is not there is no error."""
    remove_entry(services, company, section, key)
    return Response(status_code=204)
