"""Rendering a page: what every template can see, the headers, the messages between two pages."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.services import console_of
from console.visitors import Visitor
from tms_api.access import COMPANIES, OF_A_COMPANY, required_scope
from tms_api.services import services_of

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # With no-referrer browsers would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a form did: where the browser goes then, and the messages there, pairs of kind and text."""

    address: str
    messages: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What every template knows of its request, as `page`."""

    path: str
    now: datetime
    visitor: Visitor | None
    form_token: str
    once: str
    """Token of this page's forms: sent twice with it, a form acts once."""
    flashes: list[list[str]]
    is_live: bool

    @property
    def is_staff(self) -> bool:
        """Say whether this is somebody of ours."""
        return self.visitor is not None and self.visitor.is_staff

    @property
    def sees_all(self) -> bool:
        """Say whether the visitor may look at more than one company."""
        return self.visitor is not None and self.visitor.caller.company_id is None

    def may(self, method: str, tail: str) -> bool:
        """Say whether the visitor may do a call of the API: only then its button is shown."""
        return self.visitor is not None and self.visitor.caller.may(required_scope(method, OF_A_COMPANY + tail))

    def may_connect(self) -> bool:
        """Say whether the visitor may connect another company."""
        needed = required_scope("POST", COMPANIES)
        return self.visitor is not None and self.sees_all and self.visitor.caller.may(needed)


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Render a template with `page` and what is given here."""
    console = console_of(request)
    door = console.doorkeeper
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    response = HTMLResponse(status_code=status, headers=HEADERS)
    bound_to = visitor.session_id if visitor is not None else door.stranger(request) or door.set_stranger(response)
    is_part = "x-live" in request.headers
    if is_part:
        response.headers["X-Part"] = "1"
    flashes = [] if is_part else door.flashes(request)
    page = Page(
        path=request.url.path,
        now=services_of(request).clock(),
        visitor=visitor,
        form_token=console.signer.form_token(bound_to),
        once=secrets.token_urlsafe(18),
        flashes=flashes,
        is_live=is_part,
    )
    text = console.templates.get_template(template).render(page=page, company=context.pop("company", None), **context)
    response.body = text.encode()
    response.headers["content-length"] = str(len(response.body))
    if flashes:
        door.drop_flash(response)
    return response


def go(request: Request, address: str, *messages: tuple[str, str]) -> Response:
    """Send the browser to another page of ours, which shows the messages: pairs of kind and text.

    Kinds are `ok`, `info`, `warn` and `bad`. The answer to a form that changed something is always a page or this.
    """
    note_done(request, address, messages)
    # A script cannot follow a redirect to another page; it is told where to go.
    is_script = "x-live" in request.headers
    response = Response(status_code=204, headers={"X-Go": address}) if is_script else RedirectResponse(address, 303)
    if messages:
        console_of(request).doorkeeper.set_flash(response, [[kind, text] for kind, text in messages])
    return response


def note_done(request: Request, address: str, messages: Iterable[tuple[str, str]]) -> None:
    """Note what a form did, for whoever sends it a second time."""
    request.state.done = Done(address=address, messages=tuple(messages))
