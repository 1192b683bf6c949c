"""One log line per refused request and two metrics for all; the last net for exceptions.

The log holds method, route template, status and code: never a key, a name, an id or anything of a document.
"""

from __future__ import annotations

import time
import traceback
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tms_api.problems import STATE_KEY, internal_error, problem_response

UNMATCHED = "unmatched"
"""The route of an address that does not exist; the address itself may hold anything."""

PAGE_KEY = "failure_page"
"""Where a page of the console leaves what answers in its place when it fails."""

_log = structlog.get_logger("tms_api")


class Observer:
    """ASGI middleware, outside everything else."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "qbd_api_requests", "Requests answered by the API.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "qbd_api_request_seconds", "Time until the answer was written.", ("method", "route"), registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state: dict[str, Any] = scope.setdefault("state", {})
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # The last net: nothing of ours may reach the client.
            _log_failure(scope, error)
            if status:
                # Half an answer cannot be taken back; the server cuts the connection.
                raise
            problem = internal_error()
            state[STATE_KEY] = problem.code
            # The console leaves word how to say it to a person.
            page = state.get(PAGE_KEY)
            await (page() if page is not None else problem_response(problem))(scope, receive, watched)
        route = _template(scope)
        method = scope["method"] if route != UNMATCHED else "ANY"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(time.perf_counter() - started)
        if status >= 400:
            _log.warning("request_refused", method=method, route=route, status=status, code=state.get(STATE_KEY))


def _template(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", UNMATCHED))


def _log_failure(scope: Scope, error: BaseException) -> None:
    # Where it happened, without the messages: a database error quotes the row that it could not write.
    frames: list[str] = []
    kinds: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        kinds.append(f"{type(seen).__module__}.{type(seen).__qualname__}")
        frames = traceback.format_tb(seen.__traceback__) + frames
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    _log.error("request_failed", method=scope["method"], route=_template(scope), error=kinds, traceback="".join(frames))
