"""The connection of a company: how it fares, and what can be done about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Form, Request
from starlette.responses import Response

from console.new_password import new_password
from console.pages import go, render
from console.routes import acts_as, console_router, visitor_of
from console.services import console_of
from tms_api import connections, quiet_hours
from tms_api.companies import change_company, get_company, get_qwc, require_company, rotate_ids
from tms_api.company_file import FileAnswer, answer_file
from tms_api.company_models import CompanyChanges
from tms_api.connect_steps import new_ids_steps, password_steps
from tms_api.external_items import sync_lists
from tms_api.list_models import SyncRequest
from tms_api.problems import ProblemError
from tms_api.resolving import MissingChoice, list_missing, resolve_all
from tms_api.services import ApiServices, Services

HERE = "/c/{company}/connection"
NOTICES_SHOWN = 10
MISSING_SHOWN = 50
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
    text = (
        "Paused: nothing is sent to QuickBooks until you resume."
        if paused
        else "Resumed. What waits goes out when the Web Connector calls next."
    )
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
def change_schedule(
    company: str,
    services: Services,
    request: Request,
    minutes: Annotated[int, Form()],
    download: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Set how often the Web Connector shall call; with `download` give the connection file that says so."""
    if not 1 <= minutes <= 1440:
        raise ProblemError(422, "minutes_invalid", "Choose 1 to 1440 minutes.")
    change_company(company, CompanyChanges(run_every_minutes=minutes), services, request)
    if download:
        return go(request, f"/c/{company}/qwc")
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
def make_password(company: str, services: Services, request: Request, ends: Annotated[str, Form()] = "") -> Response:
    """Make a new password; the page after it shows it for a while."""
    return new_password(request, services, company, f"{HERE.format(company=company)}/password", ends_old=ends == "now")


@router.get(f"{HERE}/password", name="console:shown_password")
def show_password(company: str, services: Services, request: Request) -> Response:
    """Show the password that was just made, and what to do with it."""
    view = get_company(company, services, request)
    made = console_of(request).doorkeeper.shown_password(request, company, services.clock())
    if made is None:
        return _back(
            request, company, "The password is not shown any more. Make another one if you need it.", kind="info"
        )
    steps = password_steps(username=made.username, grace_minutes=made.grace_minutes)
    return render(request, "password.html", company=view, made=made, steps=steps)


@router.post(f"{HERE}/ids", name="console:ids", **acts_as("POST", "/rotate-ids"))
def new_ids(company: str, services: Services, request: Request) -> Response:
    """Make new IDs; the page after it says what to do with them."""
    rotate_ids(company, services, request)
    return go(request, f"{HERE.format(company=company)}/ids", ("ok", "New IDs were made."))


@router.get(f"{HERE}/ids", name="console:show_ids")
def show_ids(company: str, services: Services, request: Request) -> Response:
    """Say what to do with new IDs."""
    view = get_company(company, services, request)
    steps = new_ids_steps(username=view.username, run_every_minutes=view.run_every_minutes)
    return render(request, "new_ids.html", company=view, steps=steps)


@router.post(f"{HERE}/rebind", name="console:rebind", **acts_as("POST", "/rebind"))
def other_file(company: str, services: Services, request: Request) -> Response:
    """Let the connection bind to another company file."""
    return _back(
        request,
        company,
        f"Noted: it waits for the next session. {connections.rebind(company, services).next_step}",
        kind="info",
    )


@router.post(f"{HERE}/stay", name="console:stay", **acts_as("DELETE", "/rebind"))
def same_file(company: str, services: Services, request: Request) -> Response:
    """Take the wish to bind anew back."""
    connections.stay(company, services)
    return _back(request, company, "The connection stays with its company file.")


@router.post(f"{HERE}/company-file", name="console:company_file", **acts_as("POST", "/company-file/confirm"))
def answer_about_file(
    company: str,
    services: Services,
    request: Request,
    answer: Annotated[Literal["yes", "no"], Form()],
    path: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Take the answer to "Is this your company file?"."""
    try:
        answer_file(services, company, FileAnswer(answer=answer, path=path), visitor_of(request).caller)
    except ProblemError as problem:
        return _back(request, company, problem.detail, kind="bad")
    yes = "Noted. What waits goes into this company file when the Web Connector calls next."
    no = "Noted. Nothing was sent. Open the right company file in QuickBooks and run an update in the Web Connector."
    return _back(request, company, yes if answer == "yes" else no, kind="ok" if answer == "yes" else "info")


@router.post(f"{HERE}/missing", name="console:missing", **acts_as("POST", "/missing/resolve"))
def decide_about_missing(
    company: str, services: Services, request: Request, choice: Annotated[MissingChoice, Form()]
) -> Response:
    """Decide about everything that is not in QuickBooks any more."""
    done = resolve_all(services, company, choice, visitor_of(request).caller)
    word = "document is" if done.resolved == 1 else "documents are"
    text = f"{done.resolved} {word} {'exported again' if choice == 'export_again' else 'left as they are'}."
    return _back(request, company, text + (f" {done.left} are left: press the button again." if done.left else ""))


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
    notices = connections.list_notices(company, services, limit=NOTICES_SHOWN).items
    gone = list_missing(services, company, limit=MISSING_SHOWN) if view.connection.missing is not None else []
    with services.database.transaction() as session:
        move_asked_at = require_company(session, company).rebind_requested_at
    return {"company": view, "notices": notices, "gone": gone, "move_asked_at": move_asked_at}
