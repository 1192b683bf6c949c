"""Connecting QuickBooks Desktop, step by step, until its lists are here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request
from starlette.responses import Response

from console.new_password import new_password
from console.pages import go, render
from console.routes import acts_as, console_router
from console.services import console_of
from console.signing import ShownPassword
from tms_api.companies import change_company, get_company, get_steps
from tms_api.company_models import CompanyChanges, CompanyView, release_list
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, Services

HERE = "/c/{company}/connect"
OTHER = "other"
GOES_ON_TO = "/mapping"
"""Where the waiting page leads when the lists are here."""
STEPS = (
    ("", "Software"),
    ("/ready", "Get ready"),
    ("/file", "File and password"),
    ("/allow", "Allow access"),
    ("/wait", "First contact"),
)
SCHEDULES = (15, 20, 30)

router = console_router()


@router.get(HERE, name="console:connect")
def choose_software(company: str, services: Services, request: Request) -> Response:
    """Show the first step: the software and its version."""
    return _software(request, services, company)


@router.post(HERE, name="console:choose", **acts_as("PATCH", ""))
def take_software(
    company: str,
    services: Services,
    request: Request,
    release: Annotated[str, Form()] = "",
    other: Annotated[str, Form()] = "",
    confirmed: Annotated[str, Form()] = "",
) -> Response:
    """Keep the version, or say why it cannot be connected; one that we do not know is asked back once."""
    chosen = other.strip() if release == OTHER else release
    try:
        if not chosen or len(chosen) > 100 or not chosen.isprintable():
            raise ProblemError(422, "release_missing", "Choose the version that stands in QuickBooks' title bar.")
        changes = CompanyChanges(quickbooks_release=chosen, release_confirmed=confirmed == "yes")
        change_company(company, changes, services, request)
    except ProblemError as problem:
        text = problem.issues[0].message.replace("`quickbooks_release`", chosen) if problem.issues else problem.detail
        is_asked = problem.code == "release_unknown"
        return _software(
            request,
            services,
            company,
            error=text,
            status=problem.status,
            chosen=release,
            other=other,
            is_asked_back=is_asked,
        )
    return go(request, f"/c/{company}/connect/ready")


@router.get(f"{HERE}/ready", name="console:ready")
def show_ready(company: str, services: Services, request: Request) -> Response:
    """Show what has to be there."""
    return _step(request, services, company, "/ready", soap_url=get_company(company, services, request).soap_url)


@router.get(f"{HERE}/file", name="console:file")
def show_file(company: str, services: Services, request: Request) -> Response:
    """Show schedule, connection file and password."""
    return _step(request, services, company, "/file", schedules=SCHEDULES, made=_shown(request, services, company))


@router.post(f"{HERE}/download", name="console:first_download", **acts_as("PATCH", ""))
def download(
    company: str,
    services: Services,
    request: Request,
    every: Annotated[str, Form()] = "15",
    own: Annotated[str, Form()] = "",
) -> Response:
    """Keep how often the Web Connector shall call, and give the connection file that says so."""
    text = own.strip() if every == OTHER else every
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 1440:
        return go(request, f"/c/{company}/connect/file", ("bad", "Not saved: choose 1 to 1440 minutes."))
    change_company(company, CompanyChanges(run_every_minutes=int(text)), services, request)
    return go(request, f"/c/{company}/qwc")


@router.post(f"{HERE}/password", name="console:first_password", **acts_as("POST", "/password"))
def make_password(company: str, services: Services, request: Request) -> Response:
    """Make the password; this step and the next one show it for a while."""
    is_new = get_company(company, services, request).connection.last_seen_at is None
    # Before the first contact nobody uses the old one; afterwards it goes on for its grace time.
    return new_password(request, services, company, f"/c/{company}/connect/file#password", ends_old=is_new)


@router.get(f"{HERE}/allow", name="console:allow")
def show_allow(company: str, services: Services, request: Request) -> Response:
    """Show what to answer in the dialogs."""
    return _step(
        request,
        services,
        company,
        "/allow",
        steps=get_steps(company, services).steps[3:],
        made=_shown(request, services, company),
    )


@router.get(f"{HERE}/wait", name="console:wait")
def wait(company: str, services: Services, request: Request) -> Response:
    """Show the page that waits for the first contact; when all is well already it says so and stays."""
    view = get_company(company, services, request)
    return _step(request, services, company, "/wait", arrived=_has_arrived(view))


@router.get(f"{HERE}/wait/state", name="console:wait_state")
def waited(company: str, services: Services, request: Request) -> Response:
    """Say what was seen so far; go on by itself when the lists are here and nothing is in the way."""
    view = get_company(company, services, request)
    arrived = _has_arrived(view)
    response = render(request, "connect_wait_state.html", company=view, arrived=arrived)
    if arrived:
        response.headers["X-Go"] = f"/c/{company}{GOES_ON_TO}"
    return response


def _shown(request: Request, services: ApiServices, company: str) -> ShownPassword | None:
    return console_of(request).doorkeeper.shown_password(request, company, services.clock())


def _has_arrived(view: CompanyView) -> bool:
    # A problem counts first: lists that came over before it do not make the connection work now.
    is_confirmed = view.connection.file_to_confirm is None
    return is_confirmed and view.connection.problem is None and view.lists.state == "done"


def _software(
    request: Request,
    services: ApiServices,
    company: str,
    *,
    error: str = "",
    status: int = 200,
    chosen: str | None = None,
    other: str = "",
    is_asked_back: bool = False,
) -> Response:
    releases = release_list(services.clock().date()).items
    asked = {"error": error, "chosen": chosen, "other": other, "is_asked_back": is_asked_back}
    return _step(request, services, company, "", status=status, releases=releases, **asked)


def _step(
    request: Request, services: ApiServices, company: str, step: str, *, status: int = 200, **context: Any
) -> Response:
    view = get_company(company, services, request)
    template = f"connect{step.replace('/', '_')}.html" if step else "connect.html"
    return render(request, template, status=status, company=view, steps_all=STEPS, step=step, **context)
