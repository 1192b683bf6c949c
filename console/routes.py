"""The routes of the console: who may come in, and that a form was filled in on a page of ours."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast
from urllib.parse import quote, urlsplit

from anyio import to_thread
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import errors
from console.once import act_once
from console.services import console_of
from console.visitors import Visitor
from tms_api.access import OF_A_COMPANY, RateLimiter, check_access
from tms_api.problems import STATE_KEY, ProblemError, problem_of
from tms_api.services import TemporalUnreachableError, services_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
API = "x-api"
FORM_FIELD = "form_token"
FORM_BYTES_MAX = 4 * 1024 * 1024
"""Room for a pasted table of a few ten thousand rows."""
LIVE = "x-live"
"""The header that our scripts send: the answer is a part of a page, never a redirect to another one."""
MEANINGFUL = (
    ProblemError,
    HTTPException,
    RequestValidationError,
    TemporalUnreachableError,
    OperationalError,
    InterfaceError,
    PoolTimeoutError,
)


def acts_as(method: str, tail: str, *, of_company: bool = True) -> dict[str, Any]:
    """Say which call of the API a form stands for: it needs the same rights.

    `tail` is what follows `/v1/companies/{company}`, or the whole path with `of_company=False`.
    """
    return {"openapi_extra": {API: (method, OF_A_COMPANY + tail if of_company else tail)}}


class OpenRoute(APIRoute):
    """A page for people who are not signed in."""

    def get_route_handler(self) -> Handler:
        """Check the form, and answer in pages."""
        handle = super().get_route_handler()

        async def served(request: Request) -> Response:
            await _let_in(request)
            await check_form(request)
            return await handle(request)

        return _in_pages(served)


class ConsoleRoute(APIRoute):
    """A page for people who are signed in, with the rights of the API's route that it stands for."""

    def get_route_handler(self) -> Handler:
        """Check session, rights and form, and answer in pages."""
        handle = super().get_route_handler()
        stands_for = (self.openapi_extra or {}).get(API)
        if stands_for is None and self.methods != {"GET"}:
            raise ValueError(f"{self.path} changes something and does not say which call of the API it stands for")
        method, path = stands_for or ("GET", self.path_format)

        async def served(request: Request) -> Response:
            visitor = await _let_in(request)
            if visitor is None:
                return _ask_to_sign_in(request)
            limiter = cast("RateLimiter", request.app.state.limiter)
            allowance = limiter.take(visitor.caller.key_id)
            if allowance is not None and allowance.retry_after_s:
                raise ProblemError(429, "too_many_requests", "That was too much at once; wait a minute.")
            check_access(visitor.caller, method=method, path=path, company=request.path_params.get("company"))
            await check_form(request)
            if request.method in ("GET", "HEAD"):
                return await handle(request)
            return await act_once(request, session_id=visitor.session_id, handle=handle, bytes_max=FORM_BYTES_MAX)

        return _in_pages(served)


def open_router() -> APIRouter:
    """Give a router for pages that everybody may see."""
    return APIRouter(route_class=OpenRoute, include_in_schema=False)


def console_router() -> APIRouter:
    """Give a router for pages that need signing in."""
    return APIRouter(route_class=ConsoleRoute, include_in_schema=False)


def visitor_of(request: Request) -> Visitor:
    """Give who sent this request; set for every page behind the sign-in."""
    return cast("Visitor", request.state.visitor)


def is_live(request: Request) -> bool:
    """Say whether a script of ours asks for a part of a page."""
    return LIVE in request.headers


async def check_form(request: Request) -> None:
    """Refuse a form that was not filled in on a page of ours: other origin, other session, or much too long."""
    if request.method in ("GET", "HEAD"):
        return
    if not _is_same_origin(request):
        raise ProblemError(403, "form_foreign", "This form was sent from another site; nothing was changed.")
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or len(length) > 12 or int(length) > FORM_BYTES_MAX:
        raise ProblemError(413, "body_too_large", f"A form may hold at most {FORM_BYTES_MAX // (1024 * 1024)} MiB.")
    console = console_of(request)
    bound_to = _bound_to(request)
    token = (await request.form(max_part_size=FORM_BYTES_MAX)).get(FORM_FIELD)
    if bound_to is None or not isinstance(token, str) or not console.signer.form_token_fits(token, bound_to):
        raise ProblemError(403, "form_expired", "This page was open too long; nothing was changed.")


def _bound_to(request: Request) -> str | None:
    visitor: Visitor | None = request.state.visitor
    return visitor.session_id if visitor is not None else console_of(request).doorkeeper.stranger(request)


def _is_same_origin(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return origin == console_of(request).origin or urlsplit(origin).netloc == request.headers.get("host")


async def _let_in(request: Request) -> Visitor | None:
    now = services_of(request).clock()
    visitor = await to_thread.run_sync(console_of(request).doorkeeper.visitor, request, now)
    request.state.visitor = visitor
    if visitor is not None:
        request.state.caller = visitor.caller
    return visitor


def _ask_to_sign_in(request: Request) -> Response:
    if is_live(request) or request.method != "GET":
        raise ProblemError(401, "signed_out", "You are signed out. Sign in again to go on; nothing was changed.")
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    response = RedirectResponse(f"/sign-in?next={quote(address, safe='')}" if address != "/" else "/sign-in", 303)
    console_of(request).doorkeeper.set_way_back(response, address)
    return response


def _in_pages(served: Handler) -> Handler:
    async def in_pages(request: Request) -> Response:
        request.state.visitor = None
        request.state.failure_page = lambda: errors.failure_page(request)
        try:
            return await served(request)
        except MEANINGFUL as error:
            problem = problem_of(error)
            setattr(request.state, STATE_KEY, problem.code)
            return errors.problem_page(request, problem)

    return in_pages
