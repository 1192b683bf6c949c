"""What staff do about a company's connection, and what the bridge noticed of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from store import companies
from tms_api.companies import CompanyPath, require_company
from tms_api.problems import documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services

router = APIRouter(
    prefix="/v1/companies/{company}",
    tags=["companies"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 422, 500, 503),
)


class RebindView(BaseModel):
    """What happens next."""

    bound_company_name: str | None = Field(description="Company name of the file bound so far.")
    bound_company_file: str | None = Field(description="Path of the file bound so far.")
    next_step: str = Field(description="What the bookkeeper does now.")


class Notice(BaseModel):
    """Something that the bridge noticed."""

    at: datetime = Field(description="When.")
    code: str = Field(description="Machine-readable.", examples=["second_web_connector"])
    text: str = Field(description="Plain sentences.")


class NoticeList(BaseModel):
    """The newest notices of a company."""

    items: list[Notice] = Field(description="Notices, newest first.")


@router.post("/rebind", status_code=202)
def rebind(company: CompanyPath, services: Services) -> RebindView:
    """Let the connection bind to another company file: the books really moved.

    What is under way to the old file then becomes Failed, "may already be in QuickBooks": nobody can look it up there.
    Before the first binding it says that the file is right although another connection is bound to it.
    """
    with services.database.transaction("rebind") as session:
        row = require_company(session, company, lock=True)
        row.rebind_requested_at = services.clock()
        return RebindView(
            bound_company_name=row.bound_company_name,
            bound_company_file=row.bound_company_file,
            next_step="Open the new company file in QuickBooks, add the .qwc file to the Web Connector again while it "
            "is open, and run an update: that session binds to it. Until then nothing new is sent.",
        )


@router.delete("/rebind", status_code=204, response_class=Response)
def stay(company: CompanyPath, services: Services) -> None:
    """Take the wish to bind anew back: the connection goes on with the file that it is bound to."""
    with services.database.transaction("rebind") as session:
        require_company(session, company, lock=True).rebind_requested_at = None


@router.get("/notices")
def list_notices(
    company: CompanyPath,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 20,
) -> NoticeList:
    """List what the bridge noticed: a second Web Connector, a restored backup, an answer that was not used."""
    with services.database.transaction() as session:
        require_company(session, company)
        found = companies.incidents(session, company, limit)
        return NoticeList(items=[Notice(at=one.at, code=one.code, text=one.text) for one in found])
