"""Signing in by a key or a one-time link, and signing out."""

from __future__ import annotations

from typing import Annotated, cast

from anyio import to_thread
from fastapi import Form, Request
from starlette.responses import Response

from console.pages import go, render
from console.routes import open_router
from console.services import console_of
from tms_api.failed_keys import FailedKeys
from tms_api.problems import ProblemError
from tms_api.services import Services

router = open_router()


def own_address(address: str) -> str:
    """Give an address of ours to go on to after signing in; anything else leads home."""
    is_own = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if is_own and address.isprintable() and len(address) <= 500 else "/"


@router.get("/sign-in", name="console:sign_in")
def show_sign_in(request: Request, next: str = "/") -> Response:  # noqa: A002 the name in the address
    """Ask for a key; a bookkeeper learns where to get a link."""
    if request.state.visitor is not None:
        return go(request, own_address(next))
    return render(request, "sign_in.html", next=own_address(next), error="")


@router.post("/sign-in", name="console:take_key")
async def take_key(
    request: Request,
    services: Services,
    key: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """Sign in by a key, as the API would take it, and within its limit on unknown ones."""
    door, key = console_of(request).doorkeeper, key.strip()
    failed = cast("FailedKeys", request.app.state.failed_keys)
    address = request.client.host if request.client is not None else ""
    if failed.wait_s(address, key):
        raise ProblemError(429, "too_many_unknown_keys", "Too many unknown keys came from this address; wait a minute.")
    session_id = await to_thread.run_sync(door.sign_in_by_key, key, services.clock())
    failed.note(address, key, is_known=session_id is not None)
    if session_id is None:
        error = "This key is not known, was revoked, or has run out. Check that it was copied as a whole."
        return render(request, "sign_in.html", status=403, next=own_address(next), error=error)
    return _come_in(request, session_id, own_address(next))


@router.get("/link/{token}", name="console:link")
def show_link(token: str, request: Request, services: Services) -> Response:
    """Offer to sign in. Programs that look at links in mails and chats only GET: they use nothing up."""
    console = console_of(request)
    link = console.signer.read_link(token)
    if link is not None and request.state.visitor is not None:
        # The Back button, or pressed twice: whoever is in already goes on.
        only = request.state.visitor.caller.company_id
        if only == link.company_id and not request.state.visitor.is_staff:
            return go(request, f"/c/{only}")
    if not console.doorkeeper.is_usable(token, services.clock()):
        return render(request, "link_used.html", status=410)
    return render(request, "link.html", token=token)


@router.post("/link", name="console:take_link")
def take_link(request: Request, services: Services, token: Annotated[str, Form()] = "") -> Response:
    """Use the link up and sign in."""
    door = console_of(request).doorkeeper
    taken = door.sign_in_by_link(token, services.clock())
    if taken is None:
        return render(request, "link_used.html", status=410)
    session_id, company_id = taken
    home = f"/c/{company_id}"
    back = own_address(door.way_back(request))
    return _come_in(request, session_id, back if back.startswith(f"{home}/") else home)


@router.post("/sign-out", name="console:sign_out")
def sign_out(request: Request) -> Response:
    """End the session, for every copy of its cookie."""
    door = console_of(request).doorkeeper
    if request.state.visitor is not None:
        door.sign_out(request.state.visitor.session_id)
    response = go(request, "/sign-in", ("ok", "You are signed out."))
    door.drop_session(response)
    return response


def _come_in(request: Request, session_id: str, address: str) -> Response:
    door = console_of(request).doorkeeper
    if request.state.visitor is not None:
        door.sign_out(request.state.visitor.session_id)
    response = go(request, address)
    door.forget_way_back(response)
    door.set_session(response, session_id)
    return response
