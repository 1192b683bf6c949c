"""`Idempotency-Key`: a POST that is sent again under the same key gets the first answer and does nothing.

What succeeded is kept for 24 hours, without secrets. A refusal changed nothing, so it is not kept: the same request
may succeed after the mend.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from anyio import to_thread
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import Response

from store import kept_answers
from store.api_tables import KeptAnswer
from tms_api.problems import ProblemError
from tms_api.services import ApiServices

HEADER = "Idempotency-Key"
KEY_PATTERN = r"^[!-~]{1,255}$"
KEPT_FOR = timedelta(hours=24)
HELD_FOR = timedelta(minutes=2)
"""Longer than any request takes; then the process that held it is dead."""
KEPT_HEADERS = ("content-type", "location", "cache-control")
SECRET_FIELDS = ("password", "secret")
ONE_TIME_LINK = {"url", "expires_at"}
"""The fields of an answer whose address signs somebody in."""
CLAIM_TRIES = 3


async def answer_once(
    request: Request, services: ApiServices, *, key_id: str, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Handle the request, or give the answer that an earlier one with the same key got; raises `ProblemError`."""
    given = request.headers.get(HEADER, "")
    if not re.fullmatch(KEY_PATTERN, given):
        detail = "The Idempotency-Key must be 1 to 255 visible ASCII characters, such as a UUID."
        raise ProblemError(400, "idempotency_key_invalid", detail)
    key = hashlib.sha256(f"{key_id}\n{given}".encode()).hexdigest()
    digest = await _digest(request)
    holder = secrets.token_hex(16)
    row = await to_thread.run_sync(begin, services, key, digest, holder)
    if row.holder != holder:
        return _earlier(row, digest)
    try:
        response = await handle(request)
    except Exception:
        await to_thread.run_sync(forget, services, key, holder)
        raise
    if response.status_code < 400 and not _holds_a_fault(response):
        await to_thread.run_sync(_keep, services, key, holder, response)
    else:
        await to_thread.run_sync(forget, services, key, holder)
    return response


def _holds_a_fault(response: Response) -> bool:
    """Say whether one of the results of a bulk request is a fault of ours: the same request may succeed later."""
    body = bytes(response.body) if response.media_type != "text/event-stream" else b""
    if b'"problem"' not in body:
        return False
    items = json.loads(body).get("items", [])
    return any(isinstance(one, dict) and int((one.get("problem") or {}).get("status") or 0) >= 500 for one in items)


def _earlier(row: KeptAnswer, digest: str) -> Response:
    if row.request_hash != digest:
        detail = "This Idempotency-Key was used for another request; use a new one for each request."
        raise ProblemError(409, "idempotency_key_reused", detail)
    if row.status is None:
        detail = "The first request with this Idempotency-Key is still under way; send it again in a moment."
        raise ProblemError(409, "idempotency_key_in_use", detail, headers={"Retry-After": "1"})
    headers = {str(name): str(value) for name, value in (row.headers or {}).items()}
    return Response(row.body or b"", status_code=row.status, headers={**headers, "Idempotency-Replayed": "true"})


async def _digest(request: Request) -> str:
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return digest.hexdigest()


def begin(services: ApiServices, key: str, digest: str, holder: str) -> KeptAnswer:
    """Begin what bears this key, or give the row of whoever began it before: then its `holder` is another."""
    now = services.clock()
    for remaining in reversed(range(CLAIM_TRIES)):
        try:
            with services.database.transaction() as session:
                return kept_answers.claim(
                    session,
                    key,
                    request_hash=digest,
                    holder=holder,
                    now=now,
                    held_until=now + HELD_FOR,
                    expires_at=now + KEPT_FOR,
                )
        except IntegrityError:
            if not remaining:
                raise
    raise AssertionError("unreachable")


def _keep(services: ApiServices, key: str, holder: str, response: Response) -> None:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    body = _without_secrets(bytes(response.body))
    with services.database.transaction() as session:
        kept_answers.keep(session, key, holder=holder, status=response.status_code, headers=headers, body=body)


def forget(services: ApiServices, key: str, holder: str) -> None:
    """Let what bears this key be begun anew: it changed nothing."""
    with services.database.transaction() as session:
        kept_answers.forget(session, key, holder=holder)


def _without_secrets(body: bytes) -> bytes:
    """A password is kept nowhere, so a repeated answer has null in its place."""
    if not body:
        return body
    answer = json.loads(body)
    if set(answer) == ONE_TIME_LINK:
        return json.dumps(answer | {"url": None}).encode()
    if not any(name in answer for name in SECRET_FIELDS):
        return body
    return json.dumps(answer | {name: None for name in SECRET_FIELDS if name in answer}).encode()
