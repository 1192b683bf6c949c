"""Who may call: a key in the Authorization header, looked up by its hash before anything of the body is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from anyio import to_thread
from fastapi import HTTPException, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from store import companies, secrets
from store.engine import Database
from tms_api.problems import BODY_BYTES_MAX, ProblemError
from tms_api.services import services_of

KEY_LENGTH_MAX = 200
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

SHOWN_IN_OPENAPI = Security(
    HTTPBearer(auto_error=False, scheme_name="key", description="The key that `./qbd keys create` printed.")
)
"""Only documents the header; `KeyedRoute` is what checks it."""


class KeyedRoute(APIRoute):
    """A route that answers nobody without a key, and reads no more than the body limit."""

    def get_route_handler(self) -> Handler:
        """Check the key and limit the body around the usual handler."""
        handle = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            await _check_key(request, services_of(request).database)
            return await handle(Request(request.scope, _limited(request)))

        return keyed


async def _check_key(request: Request, database: Database) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise _refused("key_missing", "Send the header `Authorization: Bearer KEY`.")
    if len(key) > KEY_LENGTH_MAX or not await to_thread.run_sync(_is_known, database, key):
        raise _refused("key_unknown", "This key is not known, or it was revoked.")


def _is_known(database: Database, key: str) -> bool:
    with database.transaction() as session:
        return companies.api_key(session, secrets.fingerprint(key)) is not None


def _refused(code: str, detail: str) -> ProblemError:
    return ProblemError(401, code, detail, headers={"WWW-Authenticate": "Bearer"})


def _limited(request: Request) -> Receive:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > BODY_BYTES_MAX:
        raise HTTPException(413)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > BODY_BYTES_MAX:
            raise HTTPException(413)
        return message

    return receive
