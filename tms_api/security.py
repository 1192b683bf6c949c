"""Who may call: a key in the Authorization header, looked up by its hash before anything of the body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from anyio import to_thread
from fastapi import HTTPException, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from store import companies, secrets
from tms_api import idempotency
from tms_api.access import Caller, RateLimiter, check_access, read_scopes
from tms_api.failed_keys import FailedKeys
from tms_api.problems import BODY_BYTES_MAX, ProblemError
from tms_api.services import ApiServices, services_of

KEY_LENGTH_MAX = 200
BODY_S = 30.0
"""What a client gets to send its body; the largest needs about 2 Mbit/s."""
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

SHOWN_IN_OPENAPI = Security(
    HTTPBearer(auto_error=False, scheme_name="key", description="The key that `./qbd keys create` printed.")
)
"""Only documents the header; `KeyedRoute` is what checks it."""


class KeyedRoute(APIRoute):
    """A route that answers nobody without a key that may do this, and reads no more than the body limit."""

    def get_route_handler(self) -> Handler:
        """Check key, rate and rights, and limit the body, around the usual handler."""
        handle = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            services = services_of(request)
            caller = await _caller_by_key(request, services)
            limiter = cast("RateLimiter", request.app.state.limiter)
            allowance = limiter.take(caller.key_id)
            if allowance is not None and allowance.retry_after_s:
                detail = f"This key sent more than {allowance.limit} requests in a minute; wait as Retry-After says."
                raise ProblemError(429, "too_many_requests", detail, headers=allowance.headers())
            company = request.path_params.get("company")
            check_access(caller, method=request.method, path=self.path_format, company=company)
            request.state.caller = caller
            limited = Request(request.scope, _limited(request))
            if request.method == "POST" and idempotency.HEADER in request.headers:
                response = await idempotency.answer_once(limited, services, key_id=caller.key_id, handle=handle)
            else:
                response = await handle(limited)
            if allowance is not None:
                response.headers.update(allowance.headers())
            return response

        return keyed


def caller_of(request: Request) -> Caller:
    """Give who sent this request; set for every route of `KeyedRoute`."""
    return cast("Caller", request.state.caller)


async def _caller_by_key(request: Request, services: ApiServices) -> Caller:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise _refused("key_missing", "Send the header `Authorization: Bearer KEY`.")
    failed = cast("FailedKeys", request.app.state.failed_keys)
    address = request.client.host if request.client is not None else ""
    wait_s = failed.wait_s(address, key)
    if wait_s:
        detail = "Too many unknown keys came from this address; wait as Retry-After says."
        raise ProblemError(429, "too_many_unknown_keys", detail, headers={"Retry-After": str(wait_s)})
    caller = await to_thread.run_sync(find_caller, services, key) if len(key) <= KEY_LENGTH_MAX else None
    failed.note(address, key, is_known=caller is not None)
    if caller is None:
        raise _refused("key_unknown", "This key is not known, was revoked, or has run out.")
    return caller


def find_caller(services: ApiServices, key: str) -> Caller | None:
    """Give who a key belongs to; None when it is not known, was revoked, or has run out."""
    with services.database.transaction() as session:
        row = companies.api_key(session, secrets.fingerprint(key), now=services.clock())
    if row is None:
        return None
    return Caller(key_id=row.id, company_id=row.company_id, scopes=read_scopes(row.scopes))


def _refused(code: str, detail: str) -> ProblemError:
    return ProblemError(401, code, detail, headers={"WWW-Authenticate": "Bearer"})


def _limited(request: Request) -> Receive:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > BODY_BYTES_MAX:
        raise HTTPException(413)
    received = 0
    deadline = asyncio.get_running_loop().time() + BODY_S

    async def receive() -> Message:
        nonlocal received
        try:
            async with asyncio.timeout_at(deadline):
                message = await request.receive()
        except TimeoutError:
            raise HTTPException(408) from None
        received += len(message.get("body", b""))
        if received > BODY_BYTES_MAX:
            raise HTTPException(413)
        return message

    return receive
