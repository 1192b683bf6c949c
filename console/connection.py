"""The connection of a company: how it fares, and what can be done about it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request
from starlette.responses import Response

from console.pages import go, render
from console.routes import acts_as, console_router
from tms_api import connections, quiet_hours
from tms_api.companies import change_company, get_company, get_qwc, renew_password, rotate_ids
from tms_api.company_models import CompanyChanges, PasswordRequest
from tms_api.external_items import sync_lists
from tms_api.list_models import SyncRequest
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, Services

HERE = "/c/{company}/connection"
NOTICES_SHOWN = 10
ZONES = (
    ("America/New_York", "Eastern (New York)"),
    ("America/Chicago", "Central (Chicago)"),
    ("America/Denver", "Mountain (Denver)"),
    ("America/Phoenix", "Arizona (Phoenix)"),
    ("America/Los_Angeles", "Pacific (Los Angeles)"),
    ("America/Anchorage", "Alaska (Anchorage)"),
    ("Pacific/Honolulu", "Hawaii (Honolulu)"),
    ("America/Toronto", "Toronto"),
    ("America/Vancouver", "Vancouver"),
    ("Europe/London", "London"),
)

router = console_router()


@router.get(HERE, name="console:connection")
def show_connection(company: str, services: Services, request: Request) -> Response:
    """Show the connection."""
    return _page(request, services, company)


@router.get(f"{HERE}/state", name="console:connection_state")
def show_state(company: str, services: Services, request: Request) -> Response:
    """Give what changes by itself, for the live page."""
    return render(request, "connection_state.html", **_state(request, services, company))


@router.get("/c/{company}/qwc", name="console:qwc")
def download_qwc(company: str, services: Services) -> Response:
    """Download the connection file."""
    return get_qwc(company, services)


@router.post(f"{HERE}/pause", name="console:pause", **acts_as("PATCH", ""))
def pause(company: str, services: Services, request: Request, paused: Annotated[bool, Form()]) -> Response:
    """Stop sending, or go on."""
    change_company(company, CompanyChanges(paused=paused), services, request)
    text = "Paused: nothing is sent to QuickBooks until you resume." if paused else "Resumed: exports go on."
    return _back(request, company, text)


@router.post(f"{HERE}/look", name="console:look", **acts_as("PATCH", ""))
def change_look(
    company: str, services: Services, request: Request, looks: Annotated[str, Form(max_length=5)] = ""
) -> Response:
    """Look for each document in QuickBooks before it is added, or do not."""
    change_company(company, CompanyChanges(look_before_adding=bool(looks)), services, request)
    text = "Saved: each document is looked for in QuickBooks before it is added."
    return _back(request, company, text if looks else "Saved: documents are added without looking for them first.")


@router.post(f"{HERE}/schedule", name="console:schedule", **acts_as("PATCH", ""))
def change_schedule(company: str, services: Services, request: Request, minutes: Annotated[int, Form()]) -> Response:
    """Set how often the Web Connector shall call."""
    if not 1 <= minutes <= 1440:
        raise ProblemError(422, "minutes_invalid", "Choose 1 to 1440 minutes.")
    change_company(company, CompanyChanges(run_every_minutes=minutes), services, request)
    text = f'Saved. Set "Every_Min" to {minutes} in the Web Connector too, or add the new connection file.'
    return _back(request, company, text)


@router.post(f"{HERE}/quiet-hours", name="console:quiet", **acts_as("PUT", "/quiet-hours"))
def set_quiet(
    company: str,
    services: Services,
    request: Request,
    begins: Annotated[str, Form()],
    until: Annotated[str, Form()],
    time_zone: Annotated[str, Form()],
) -> Response:
    """Set the hours in which nothing is sent."""
    try:
        body = quiet_hours.QuietHoursView.model_validate(
            {"from": begins[:5], "until": until[:5], "time_zone": time_zone}
        )
    except ValueError:
        text = "Quiet hours were not saved: choose two different times, such as 22:00 and 05:30."
        return go(request, f"/c/{company}/connection", ("bad", text))
    quiet_hours.set_quiet_hours(company, body, services, request)
    return _back(request, company, f"Saved: nothing is sent between {body.begins} and {body.until}.")


@router.post(f"{HERE}/quiet-hours/end", name="console:quiet_end", **acts_as("DELETE", "/quiet-hours"))
def end_quiet(company: str, services: Services, request: Request) -> Response:
    """Send at any hour again."""
    quiet_hours.end_quiet_hours(company, services)
    return _back(request, company, "Saved: there are no quiet hours any more.")


@router.post(f"{HERE}/password", name="console:password", **acts_as("POST", "/password"))
def new_password(company: str, services: Services, request: Request, ends: Annotated[str, Form()] = "") -> Response:
    """Make a new password and show it, this once."""
    body = PasswordRequest(grace_minutes=0) if ends == "now" else None
    made = renew_password(company, services, Response(), body)
    view = get_company(company, services, request)
    return render(request, "password.html", company=view, made=made)


@router.post(f"{HERE}/ids", name="console:ids", **acts_as("POST", "/rotate-ids"))
def new_ids(company: str, services: Services, request: Request) -> Response:
    """Make new ids and say what to do with them."""
    made = rotate_ids(company, services, request)
    view = get_company(company, services, request)
    return render(request, "new_ids.html", company=view, made=made)


@router.post(f"{HERE}/rebind", name="console:rebind", **acts_as("POST", "/rebind"))
def other_file(company: str, services: Services, request: Request) -> Response:
    """Let the connection bind to another company file."""
    return _back(request, company, connections.rebind(company, services).next_step, kind="info")


@router.post(f"{HERE}/stay", name="console:stay", **acts_as("DELETE", "/rebind"))
def same_file(company: str, services: Services, request: Request) -> Response:
    """Take the wish to bind anew back."""
    connections.stay(company, services)
    return _back(request, company, "The connection stays with its company file.")


@router.post(f"{HERE}/sync", name="console:sync", **acts_as("POST", "/sync"))
async def sync(company: str, services: Services, request: Request) -> Response:
    """Ask for QuickBooks' lists anew."""
    await sync_lists(company, services, SyncRequest(full=True))
    return _back(request, company, "QuickBooks' lists are read anew when the Web Connector calls next.")


def _back(request: Request, company: str, text: str, *, kind: str = "ok") -> Response:
    return go(request, f"/c/{company}/connection", (kind, text))


def _page(request: Request, services: ApiServices, company: str) -> Response:
    return render(request, "connection.html", zones=ZONES, **_state(request, services, company))


def _state(request: Request, services: ApiServices, company: str) -> dict[str, Any]:
    view = get_company(company, services, request)
    return {"company": view, "notices": connections.list_notices(company, services, limit=NOTICES_SHOWN).items}
