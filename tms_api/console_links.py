"""The one-time link that signs a bookkeeper in to the console of one company."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from tms_api.companies import SHOWN_ONCE, CompanyPath, require_company
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services

router = APIRouter(
    prefix="/v1/companies/{company}",
    tags=["companies"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 409, 500, 503),
)


class ConsoleLinkView(BaseModel):
    """A link for one person, once."""

    url: str | None = Field(
        description="Send the user's browser there at once; keep it nowhere. Null in a repeated answer.",
        examples=["https://qb.example.com/link/WyJhY21lIl0.c2lnbmF0dXJl"],
    )
    expires_at: datetime = Field(description="When it ends, used or not.")


@router.post("/console-link", status_code=201)
def make_console_link(company: CompanyPath, services: Services, response: Response) -> ConsoleLinkView:
    """Make a link that signs somebody in to the console of this company: once, and only for a few minutes.

    Who opens it may do everything there that concerns this company, and sees no other one.
    """
    if services.console_link is None:
        raise ProblemError(409, "console_off", "The console is off: the service was started without QBD_SECRET_KEY.")
    with services.database.transaction() as session:
        require_company(session, company)
    url, expires_at = services.console_link(company, services.clock())
    response.headers.update(SHOWN_ONCE)
    return ConsoleLinkView(url=url, expires_at=expires_at)
