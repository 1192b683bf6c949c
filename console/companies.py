"""The companies, for staff: who needs help first; and connecting another one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from console.pages import go, render
from console.routes import acts_as, console_router
from store.company_standings import count_companies, worst_first
from tms_api.access import COMPANIES
from tms_api.companies import company_views_of, connect_company
from tms_api.company_models import NewCompany, release_list
from tms_api.problems import ProblemError
from tms_api.security import caller_of
from tms_api.services import ApiServices, Services

PAGE = 100
WRONG = {
    "id": "The ID may hold letters, digits, dots, dashes and underscores only, 64 at most.",
    "name": "Enter the company's name, with at most 200 characters.",
    "quickbooks_release": "Choose the version of QuickBooks Desktop.",
    "country": "Choose the edition of QuickBooks.",
}
"""What is said about a field of the form for another company."""

router = console_router()


def a_page(services: ApiServices, request: Request, number: int) -> dict[str, Any]:
    """Read the companies of one page."""
    only = caller_of(request).company_id
    with services.database.transaction() as session:
        total = count_companies(session, only=only)
        last = max(1, -(-total // PAGE))
        number = min(number, last)
        shown = worst_first(session, now=services.clock(), limit=PAGE, offset=(number - 1) * PAGE, only=only)
        views = company_views_of(session, shown, services, request)
    return {"companies": views, "total": total, "number": number, "last": last}


PageNumber = Annotated[int, Query(alias="page", ge=1, le=100_000)]


@router.get("/companies", name="console:companies")
def show_companies(services: Services, request: Request, number: PageNumber = 1) -> Response:
    """List all connections, worst first."""
    return render(request, "companies.html", **a_page(services, request, number))


@router.get("/companies/rows", name="console:company_rows")
def show_rows(services: Services, request: Request, number: PageNumber = 1) -> Response:
    """Give the list alone, for the live page."""
    return render(request, "companies_rows.html", **a_page(services, request, number))


@router.get("/companies/new", name="console:new_company")
def show_new(services: Services, request: Request) -> Response:
    """Ask what is needed to connect a company."""
    return _new(request, services, error="")


@router.post("/companies/new", name="console:add_company", **acts_as("POST", COMPANIES, of_company=False))
def add_company(
    services: Services,
    request: Request,
    name: Annotated[str, Form()] = "",
    company_id: Annotated[str, Form()] = "",
    release: Annotated[str, Form()] = "",
    country: Annotated[str, Form()] = "US",
) -> Response:
    """Connect a company; its password is made again, and shown, where the bookkeeper needs it."""
    try:
        body = NewCompany.model_validate(
            {"id": company_id.strip() or None, "name": name, "quickbooks_release": release, "country": country}
        )
        made = connect_company(body, services, request, Response())
    except ValidationError as error:
        fields = [str(found["loc"][0]) for found in error.errors(include_url=False)]
        text = next((WRONG[field] for field in fields if field in WRONG), "Something in the form cannot be used.")
        return _new(request, services, error=text, status=422)
    except ProblemError as problem:
        text = problem.issues[0].message if problem.issues else problem.detail
        return _new(request, services, error=text, status=problem.status)
    return go(request, f"/c/{made.id}/connect", ("ok", f"{made.name} is set up. Now connect QuickBooks."))


def _new(request: Request, services: ApiServices, *, error: str, status: int = 200) -> Response:
    releases = release_list(services.clock().date()).items
    return render(request, "company_new.html", status=status, releases=releases, error=error)
