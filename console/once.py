"""A form that is sent twice acts once: the second sending says what the first one did.

Each page carries a token in its forms. Sent with the same token and the same fields it is the same wish: after a double
click, a network that was cut at the answer, or the Back button. What was refused is not kept, so it may be sent again.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from console.pages import Done, go
from store import kept_answers
from store.api_tables import KeptAnswer
from tms_api.idempotency import begin, forget
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, services_of

FIELD = "once"
TOKEN = re.compile(r"[\w-]{16,64}")
FIRST_IS_LOOKED_FOR = 40
FIRST_IS_LOOKED_FOR_EVERY_S = 0.25
NOT_ACTIONS = {"bad", "warn"}
"""Kinds of messages that say that nothing was done."""


async def act_once(
    request: Request, *, session_id: str, handle: Callable[[Request], Awaitable[Response]], bytes_max: int
) -> Response:
    """Handle a form, or say what was done when it was sent before; raises `ProblemError` while that is under way."""
    form = await request.form(max_part_size=bytes_max)
    token = form.get(FIELD)
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        return await handle(request)
    services = services_of(request)
    fields = json.dumps([[name, str(value)] for name, value in form.multi_items()])
    digest = hashlib.sha256(f"{request.url.path}\n{fields}".encode()).hexdigest()
    key = hashlib.sha256(f"console\n{session_id}\n{digest}".encode()).hexdigest()
    holder = secrets.token_hex(16)
    for _ in range(FIRST_IS_LOOKED_FOR):
        row = await to_thread.run_sync(begin, services, key, digest, holder)
        if row.holder == holder:
            return await _act(request, services, key, holder, handle)
        if row.status is not None:
            return _said_before(request, row)
        await anyio.sleep(FIRST_IS_LOOKED_FOR_EVERY_S)
    told = "This was sent already and is still being worked on. Wait a moment, then look at the page again."
    raise ProblemError(409, "form_under_way", told)


async def _act(
    request: Request, services: ApiServices, key: str, holder: str, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    try:
        response = await handle(request)
    except Exception:
        await to_thread.run_sync(forget, services, key, holder)
        raise
    done: Done | None = getattr(request.state, "done", None)
    if done is None or (done.messages and all(kind in NOT_ACTIONS for kind, _ in done.messages)):
        await to_thread.run_sync(forget, services, key, holder)
    else:
        await to_thread.run_sync(_keep, services, key, holder, done)
    return response


def _keep(services: ApiServices, key: str, holder: str, done: Done) -> None:
    kept = {"address": done.address, "messages": done.messages, "at": services.clock().isoformat()}
    with services.database.transaction() as session:
        kept_answers.keep(session, key, holder=holder, status=200, headers={}, body=json.dumps(kept).encode())


def _said_before(request: Request, row: KeptAnswer) -> Response:
    kept = json.loads(row.body or b"{}")
    at = datetime.fromisoformat(kept["at"])
    messages = [(str(kind), str(text)) for kind, text in kept["messages"]]
    if not messages:
        return go(request, str(kept["address"]))
    again = (
        f"You sent this already at {at:%Y-%m-%d %H:%M} UTC, so it was not done again. What was said then stands below. "
        "If you want it once more, press the button again."
    )
    return go(request, str(kept["address"]), ("info", again), *messages)
