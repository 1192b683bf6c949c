"""The companies, for staff: who needs help first."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from console.pages import render
from console.routes import console_router
from tms_api.companies import list_companies
from tms_api.services import Services

router = console_router()


@router.get("/companies", name="console:companies")
def show_companies(services: Services, request: Request) -> Response:
    """List all connections."""
    return render(request, "companies.html", companies=list_companies(services, request, limit=100).items)
