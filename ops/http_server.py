"""The server under bridge, API, console and codec server: uvicorn with llhttp, made strict, and with limits.

llhttp, which reads for uvicorn, refuses nearly all that RFC 9112 lets a reader refuse; `StrictProtocol` refuses the
rest. What two readers could read differently gets 400, and the connection ends: no proxy can be made to let a request
pass that is hidden in another.
"""

from __future__ import annotations

import asyncio
import http
import signal
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ops.draining import DrainingServer, NotReadyWhileDraining
from ops.exits import settle
from ops.settings import Settings
from qbwc_bridge.front import Front

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from uvicorn._types import ASGI3Application

HEADER_S = 20.0
"""For the header of a request, once something of it came, and of the first one."""
IDLE_S = 150
"""Between two requests. A Web Connector (100 s) and Caddy (120 s) keep a connection shorter, so that they end it."""
UNTAKEN_S = 30.0
"""For a client that takes nothing of its reply."""
FINISH_S = 20
"""For requests under way once nobody is let in any more."""
HEAD_BYTES_MAX = 64 * 1024
FIELDS_MAX = 100
CONNECTIONS_MAX = 2000
OTHER_FILES = 128
"""Files that a process needs besides connections."""

_BAD = (400, "Invalid HTTP request received.")
_TOO_LARGE = (431, "The header is too large.")

log = structlog.get_logger(__name__)


class _RefusedError(Exception):
    """Ends the parser's work; what to say is kept by the protocol."""


class StrictProtocol(HttpToolsProtocol):
    """Refuses what is read differently elsewhere; ends connections that send no header, or take no reply, in time."""

    header_s = HEADER_S
    connections_max = CONNECTIONS_MAX

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; make room for this one if there are too many."""
        super().connection_made(transport)
        self._refusal = _BAD
        self._is_refused = False
        self._is_in_head = self._is_in_body = False
        self._head_bytes = 0
        self._untaken_bytes = 0
        self._taking_timer: asyncio.TimerHandle | None = None
        self._silent_since = self.loop.time()
        self._header_timer: asyncio.TimerHandle | None = self._start_header_timer()
        if len(self.connections) > self.connections_max:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Read on, and wait on while the header is not complete."""
        if self._is_refused:
            return
        self._silent_since = self.loop.time()
        if self._is_in_head:  # or else it is complete below, and counted there
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refusal = _TOO_LARGE
            self.send_400_response("")
        if self._is_refused or not self._is_waiting:
            self._stop_header_timer()
        elif self._header_timer is None:
            self._header_timer = self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_header_timer()
        if self._taking_timer is not None:
            self._taking_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to read a header."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field; those behind a body in chunks are none of the header's, which was read without them."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Look at what llhttp puts up with."""
        self._is_in_head = False
        if len(self.headers) > FIELDS_MAX or sum(len(n) + len(v) + 4 for n, v in self.headers) > HEAD_BYTES_MAX:
            self._refusal = _TOO_LARGE
            raise _RefusedError
        if not is_plain(self.parser.get_http_version(), self.headers):
            raise _RefusedError
        super().on_headers_complete()
        self._is_in_body = True
        if self.parser.should_upgrade():  # what follows is another protocol, which nobody here speaks
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Be done with a body."""
        self._is_in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is refused, behind the answers to good requests before it, and close."""
        status, reason = self._refusal
        log.warning("request_refused", status=status, reason=msg or reason)
        self._is_refused = True
        if not self._is_in_body and not self._is_waiting:
            self.cycle.keep_alive = False  # its answer is on its way, and closes
        elif self._is_in_body and self.pipeline:  # behind requests that are not answered yet
            self.pipeline[0] = (self.cycle, cast("ASGI3Application", _refuse))
        elif self._is_in_body and self.cycle.response_started:
            self.transport.close()
        else:
            self._write_refusal()

    def pause_writing(self) -> None:
        """Give the client time to take its reply."""
        super().pause_writing()
        self._wait_for_taking()

    def resume_writing(self) -> None:
        """It took most of it."""
        super().resume_writing()
        if self._taking_timer is not None:
            self._taking_timer.cancel()
            self._taking_timer = None

    @property
    def _is_waiting(self) -> bool:
        """Say whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _write_refusal(self) -> None:
        status, reason = self._refusal
        body = f"{reason}\n".encode()
        head = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _start_header_timer(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.header_s, self.transport.close)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _wait_for_taking(self) -> None:
        self._untaken_bytes = self.transport.get_write_buffer_size()
        self._taking_timer = self.loop.call_later(UNTAKEN_S, self._look_at_taking)

    def _look_at_taking(self) -> None:
        if self.transport.get_write_buffer_size() < self._untaken_bytes:
            self._wait_for_taking()
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        """End the connection that was silent longest, of whoever has the most."""
        waiting = [one for one in self.connections if isinstance(one, StrictProtocol) and one._is_waiting]
        # This one waits, too, so there is at least one.
        most = Counter(one._peer for one in waiting).most_common(1)[0][0]
        min((one for one in waiting if one._peer == most), key=lambda one: one._silent_since).transport.abort()

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client is not None else ""


def is_plain(version: str, fields: list[tuple[bytes, bytes]]) -> bool:
    """Say whether a header, which llhttp has accepted, is read alike by everybody; names of fields in lower case."""
    hosts = sum(name == b"host" for name, _ in fields)
    codings = [value.strip(b" \t").lower() for name, value in fields if name == b"transfer-encoding"]
    if version == "1.0":
        return hosts <= 1 and not codings
    return version == "1.1" and hosts == 1 and codings in ([], [b"chunked"])


async def _refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    status, reason = _BAD
    body = f"{reason}\n".encode()
    fields = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), "connection": "close"}
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def server_config(app: ASGIApp, settings: Settings, *, port: int, **more: Any) -> uvicorn.Config:
    """Give uvicorn's configuration for one of our applications."""
    return uvicorn.Config(
        app,
        port=port,
        ws="none",
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=FINISH_S,
        log_config=None,
        access_log=False,  # addresses name companies and documents
        server_header=False,
        **{
            "host": settings.listen,
            "http": StrictProtocol,
            # uvicorn by itself believes every process of this machine.
            "proxy_headers": bool(settings.trusted_proxies),
            "forwarded_allow_ips": settings.trusted_proxies,
            **more,
        },
    )


def serve(app: ASGIApp, settings: Settings, *, port: int, **more: Any) -> None:
    """Serve until a signal comes, and after it for as long as `QBD_DRAIN_S` says; `more` is for uvicorn's Config."""
    ready = NotReadyWhileDraining(app)
    protocol = type("Protocol", (StrictProtocol,), {"connections_max": _files_for_connections()})
    config = server_config(ready, settings, port=port, http=protocol, **more)
    server = DrainingServer(config, drain_s=settings.drain_s)
    ready.server = server

    async def work() -> None:
        await server.serve()
        await settle()

    # uvicorn raises the signal that stopped it once more when it is done; without these the process would die of it
    # before it came to rest.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(work())


def serve_wsgi(application: WSGIApplication, settings: Settings, *, port: int) -> None:
    """Serve a WSGI application likewise; it is told of proxies and reads their fields itself."""
    front = Front(application, trusted=settings.proxy_networks)
    serve(front, settings, port=port, lifespan="off", proxy_headers=False)


def _files_for_connections() -> int:
    """Raise the limit of open files as far as this process may, and give what is left for connections."""
    try:
        import resource  # noqa: PLC0415 not on Windows
    except ImportError:
        return CONNECTIONS_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else max(16, min(CONNECTIONS_MAX, soft - OTHER_FILES))
