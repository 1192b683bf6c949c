"""The connection of a company: how it fares, and what can be done about it."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from console.pages import render
from console.routes import console_router
from tms_api.companies import get_company
from tms_api.services import Services

router = console_router()


@router.get("/c/{company}/connection", name="console:connection")
def show_connection(company: str, services: Services, request: Request) -> Response:
    """Show the connection."""
    return render(request, "connection.html", company=get_company(company, services, request))
