"""Quiet hours: when the Web Connector of a company gets no work."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import Response

from store.quiet_hours import zone_named
from tms_api.companies import CompanyPath, company_view_of, require_company
from tms_api.company_models import CompanyView
from tms_api.problems import documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services

router = APIRouter(
    prefix="/v1/companies/{company}/quiet-hours",
    tags=["companies"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 422, 500, 503),
)


def _known_zone(name: str) -> str:
    if zone_named(name) is None:
        raise ValueError("it is not the name of a time zone such as America/Chicago")
    return name


WallTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ZoneName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)]


class QuietHoursView(BaseModel):
    """A span of each day; `from` after `until` goes over midnight."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    begins: WallTime = Field(alias="from", description="When it begins, by the wall clock.", examples=["22:00"])
    until: WallTime = Field(description="When it ends.", examples=["05:30"])
    time_zone: ZoneName = Field(description="Whose wall clock.", examples=["America/Chicago"])

    @model_validator(mode="after")
    def _is_a_span(self) -> QuietHoursView:
        if self.begins == self.until:
            raise ValueError("`from` and `until` are the same; pause the company to stop its exports all day")
        return self


@router.put("")
def set_quiet_hours(company: CompanyPath, body: QuietHoursView, services: Services, request: Request) -> CompanyView:
    """Set the hours of each day in which nothing is sent to QuickBooks; what waits goes out afterwards.

    What QuickBooks had before they began is not called back.
    """
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        row.quiet_hours, row.look_at = body.model_dump(by_alias=True), services.clock()
        session.flush()
        return company_view_of(session, row, services, request)


@router.delete("", status_code=204, response_class=Response)
def end_quiet_hours(company: CompanyPath, services: Services) -> None:
    """Let exports go out at any hour again."""
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        row.quiet_hours, row.look_at = None, services.clock()
