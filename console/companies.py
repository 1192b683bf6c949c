"""The companies, for staff: who needs help first; and connecting another one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from pydantic import ValidationError
from starlette.responses import Response

from console.pages import go, render
from console.routes import acts_as, console_router
from console.words import standing
from tms_api.access import COMPANIES
from tms_api.companies import connect_company, list_companies
from tms_api.company_models import CompanyView, NewCompany, release_list
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, Services

PAGE = 100

router = console_router()


def worst_first(found: list[CompanyView]) -> list[CompanyView]:
    """Sort by state, then by the oldest export that waits, then by name."""

    def key(company: CompanyView) -> tuple[int, bool, float, str]:
        oldest = company.oldest_waiting_at
        return standing(company).rank, oldest is None, oldest.timestamp() if oldest else 0.0, company.name.lower()

    return sorted(found, key=key)


def all_companies(services: ApiServices, request: Request) -> list[CompanyView]:
    """Read every page of the list."""
    found: list[CompanyView] = []
    cursor: str | None = None
    while True:
        page = list_companies(services, request, limit=PAGE, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


@router.get("/companies", name="console:companies")
def show_companies(services: Services, request: Request) -> Response:
    """List all connections, worst first."""
    return render(request, "companies.html", companies=worst_first(all_companies(services, request)))


@router.get("/companies/rows", name="console:company_rows")
def show_rows(services: Services, request: Request) -> Response:
    """Give the list alone, for the live page."""
    return render(request, "companies_rows.html", companies=worst_first(all_companies(services, request)))


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
        words = {"id": "The id", "name": "The name"}
        found = error.errors(include_url=False)[0]
        field = words.get(str(found["loc"][0]), "The form")
        return _new(request, services, error=f"{field} cannot be used: {found['msg']}.", status=422)
    except ProblemError as problem:
        text = problem.issues[0].message if problem.issues else problem.detail
        return _new(request, services, error=text, status=problem.status)
    return go(request, f"/c/{made.id}/connect", ("ok", f"{made.name} is set up. Now connect QuickBooks."))


def _new(request: Request, services: ApiServices, *, error: str, status: int = 200) -> Response:
    releases = release_list(services.clock().date()).items
    return render(request, "company_new.html", status=status, releases=releases, error=error)
