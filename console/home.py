"""The way from the bare address to the page that somebody wants."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from console.pages import go
from console.routes import console_router, visitor_of
from tms_api.companies import get_company
from tms_api.connection import ConnectionState
from tms_api.services import Services

LANDING = "/documents"
"""Where a connected company's people arrive."""

router = console_router()


@router.get("/", name="console:home")
def home(request: Request) -> Response:
    """Lead staff to the companies, a bookkeeper to the own one."""
    only = visitor_of(request).caller.company_id
    return go(request, "/companies" if only is None else f"/c/{only}")


@router.get("/c/{company}", name="console:company")
def company_home(company: str, services: Services, request: Request) -> Response:
    """Lead to connecting while nothing was ever connected, else to the daily work."""
    view = get_company(company, services, request)
    is_new = view.connection.state is ConnectionState.WAITING and view.lists.state == "never"
    return go(request, f"/c/{company}/connect" if is_new else f"/c/{company}{LANDING}")
