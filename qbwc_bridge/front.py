"""What stands between an ASGI server and the WSGI application: a call takes a thread when it is whole, not before.

A request that is half sent is a buffer of the event loop, and nothing else: however many there are, and whoever sends
them, whole requests find their threads. Pages (health, probes, support) have threads of their own, so that they answer
while every call waits for the database. A reply leaves its thread at once; the server writes as the network takes it.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import structlog

from qbwc_bridge import unfinished
from qbwc_bridge.client_address import Network, client_address
from qbwc_bridge.unfinished import Half
from qbwc_bridge.wsgi import BODY_BYTES_MAX

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from starlette.types import Receive, Scope, Send

CALL_THREADS = 32
"""Handlers mostly wait for the database; a thousand companies that poll each minute are under a hundred calls/s."""
CALLS_AT_ONCE = 2
"""Python runs one thread at a time, and threads that fight over it lose a third of the time."""
PATIENCE_S = 0.02
"""A call that is at work for longer waits itself, for the database, and makes room for another."""
PAGE_THREADS = 4
SILENCE_S = 30.0
"""Within a body."""
BODY_S = 600.0
"""For a whole body, as in deploy/Caddyfile: answers of QuickBooks are megabytes, and offices have slow lines."""
FORGOTTEN_BYTES_MAX = 64 << 20
"""Of a body that is too long, so many bytes are read and forgotten: a client that still sends would miss the answer."""

_JOINED = {"HTTP_COOKIE": "; "}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole reply; names of headers are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _TooSlowError(Exception):
    """The body does not come in time, or others come faster; the text is for the client."""


class _GoneError(Exception):
    """The client has gone, and hears no answer."""


@dataclass(eq=False, kw_only=True)
class _Body:
    """The body of one request, while it comes."""

    address: str
    began_at: float
    limit: asyncio.Timeout
    came: int = 0
    kept: bytearray = field(default_factory=bytearray)
    is_overtaken: bool = False


class Front:
    """An ASGI application that runs a WSGI application in threads, of whole requests only."""

    def __init__(
        self, application: WSGIApplication, *, trusted: Sequence[Network] = (), keep_max: int = BODY_BYTES_MAX
    ) -> None:
        """`trusted` proxies tell whom limits count by. Of a body above `keep_max` bytes only the length is told."""
        self._application = application
        self._trusted = trusted
        self._keep_max = keep_max
        self._coming: set[_Body] = set()
        self._kept_bytes = 0
        self._calls = ThreadPoolExecutor(CALL_THREADS)
        self._pages = ThreadPoolExecutor(PAGE_THREADS)
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        environ = environment(scope)
        announced = int(environ["CONTENT_LENGTH"])
        waits_for_invitation = str(environ.get("HTTP_EXPECT", "")).lower() == "100-continue"
        is_unread = announced > self._keep_max and (waits_for_invitation or announced > FORGOTTEN_BYTES_MAX)
        try:
            body, length = (b"", announced) if is_unread else await self._whole(environ, announced, receive)
        except _GoneError:
            return
        except _TooSlowError as error:
            await _send(_plain_reply(408, str(error)), send, closes=True)
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(length)
        await _send(await self._answer(environ), send, closes=is_unread or length > FORGOTTEN_BYTES_MAX)

    async def _whole(self, environ: WSGIEnvironment, announced: int, receive: Receive) -> tuple[bytes, int]:
        """Give the body, or nothing of one that is too long, and its true length as far as that is known."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        body = None
        try:
            async with asyncio.timeout_at(began_at + SILENCE_S) as limit:
                body = _Body(address=client_address(environ, self._trusted), began_at=began_at, limit=limit)
                self._coming.add(body)
                if len(self._coming) > unfinished.BODIES_OF_ADDRESS_MAX:
                    loop.call_soon(self._keep_bounds)  # by then, those that are whole at once are no longer here
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    self._take(body, message.get("body", b""), announced)
                    if not message.get("more_body") or body.came > FORGOTTEN_BYTES_MAX:
                        return bytes(body.kept), max(body.came, announced)
                    limit.reschedule(min(loop.time() + SILENCE_S, began_at + BODY_S))
        except TimeoutError:
            is_overtaken = body is not None and body.is_overtaken
            reason = (
                "Too many requests are unfinished; this one was slowest."
                if is_overtaken
                else "The request took too long."
            )
            raise _TooSlowError(reason) from None
        finally:
            if body is not None:
                self._coming.discard(body)
                self._kept_bytes -= len(body.kept)

    def _take(self, body: _Body, part: bytes, announced: int) -> None:
        body.came += len(part)
        self._kept_bytes -= len(body.kept)
        if max(body.came, announced) <= self._keep_max:
            body.kept += part
        else:
            body.kept.clear()
        self._kept_bytes += len(body.kept)
        if self._kept_bytes > unfinished.BYTES_MAX:
            self._keep_bounds()

    def _keep_bounds(self) -> None:
        """End the slowest of too many."""
        now = asyncio.get_running_loop().time()
        halves = [
            Half(
                key=one,
                address=one.address,
                age_s=now - one.began_at,
                came_bytes=one.came,
                kept_bytes=len(one.kept),
            )
            for one in self._coming
            if not one.limit.expired() and not one.is_overtaken
        ]
        for body in unfinished.who_ends(halves):
            _log.warning("request_ended", reason="too many unfinished requests", address=body.address)
            body.is_overtaken = True
            body.limit.reschedule(now)

    async def _answer(self, environ: WSGIEnvironment) -> Reply:
        loop = asyncio.get_running_loop()
        if environ["REQUEST_METHOD"] != "POST":
            return await loop.run_in_executor(self._pages, _reply_of, self._application, environ)
        is_in_place = True

        def leave() -> None:
            nonlocal is_in_place
            if is_in_place:
                is_in_place = False
                self._places.release()

        await self._places.acquire()
        patience = loop.call_later(PATIENCE_S, leave)
        try:
            return await loop.run_in_executor(self._calls, _reply_of, self._application, environ)
        finally:
            patience.cancel()
            leave()


def environment(scope: Scope) -> WSGIEnvironment:
    """Give what PEP 3333 hands to an application, without the body."""
    host, port = scope["server"] or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope["client"] or ("", 0))[0],
        "CONTENT_LENGTH": "0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw, value in scope["headers"]:
        if b"_" in raw:
            continue  # it would be taken for the field with a hyphen, which a proxy guards
        name = raw.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            environ[name] = text
        elif name != "TRANSFER_ENCODING":
            name = "HTTP_" + name
            environ[name] = f"{environ[name]}{_JOINED.get(name, ',')}{text}" if name in environ else text
    return environ


def _reply_of(application: WSGIApplication, environ: WSGIEnvironment) -> Reply:
    began: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None, /) -> Callable[[bytes], object]:
        began[:] = [(status, headers)]
        return lambda _data: None

    try:
        body = b"".join(application(environ, start_response))
        status, fields = began[0]
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return Reply(status=int(status[:3]), headers=headers, body=body)
    except Exception as error:  # noqa: BLE001 the client must hear of it, and nothing of what it says
        _log.error("application_failed", error=type(error).__name__)
        return _plain_reply(500, "The server had a problem.")


def _plain_reply(status: int, reason: str) -> Reply:
    body = f"{reason}\n".encode()
    fields = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body))), ("server", "qbd")]
    return Reply(status=status, headers=[(name.encode(), value.encode()) for name, value in fields], body=body)


async def _send(reply: Reply, send: Send, *, closes: bool) -> None:
    headers = [*reply.headers, (b"connection", b"close")] if closes else reply.headers
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
