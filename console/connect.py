"""Connecting QuickBooks Desktop, step by step."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from console.pages import render
from console.routes import console_router
from tms_api.companies import get_company
from tms_api.services import Services

router = console_router()


@router.get("/c/{company}/connect", name="console:connect")
def show_connect(company: str, services: Services, request: Request) -> Response:
    """Show the first step."""
    return render(request, "connect.html", company=get_company(company, services, request))
