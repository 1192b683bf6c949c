"""Making a password of the Web Connector, which the browser of whoever made it shows for a while."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from console.pages import go
from console.routes import visitor_of
from console.services import console_of
from console.signing import ShownPassword
from console.visitors import SHOWN_FOR
from tms_api.companies import renew_password
from tms_api.company_models import PasswordRequest
from tms_api.services import ApiServices


def new_password(request: Request, services: ApiServices, company: str, address: str, *, ends_old: bool) -> Response:
    """Make one and go to the page that shows it; with `ends_old` the old one ends at once."""
    made = renew_password(company, services, Response(), PasswordRequest(grace_minutes=0) if ends_old else None)
    now = services.clock()
    old_until = made.old_password_valid_until
    response = go(request, address, ("ok", "A new password was made."))
    shown = ShownPassword(
        session_id=visitor_of(request).session_id,
        company_id=company,
        username=made.username,
        password=made.password or "",
        grace_minutes=int((old_until - now).total_seconds() // 60) if old_until is not None else 0,
        old_password_valid_until=old_until,
        until=now + SHOWN_FOR,
    )
    console_of(request).doorkeeper.show_password(response, shown)
    return response
