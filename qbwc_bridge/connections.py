"""One connection of the bridge's server: what came, what is still to be written, and until when it may take.

Owned by one thread at a time: the one that waits for all connections, or the one that answers a request.
"""

from __future__ import annotations

import io
import socket
import sys
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from qbwc_bridge.http_requests import Request, RequestReader

FIRST_HEAD_S = 20.0
"""For the header of a request, once something of it came, and of the first one."""
IDLE_S = 150.0
"""Between two requests. A Web Connector (100 s) and Caddy (120 s) keep a connection shorter, so that they end it."""
SILENCE_S = 30.0
"""Within a body, and for a reader that does not take its reply."""
BODY_S = 600.0
"""For a whole body, as in deploy/Caddyfile: answers of QuickBooks are megabytes, and offices have slow lines."""
LINGER_S = 2.0
"""For a client that still sends while we have answered and closed: a reset would take the answer from it."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_JOINED = {"HTTP_COOKIE": "; "}

Clock = Callable[[], float]


class Connection:
    """A socket with its reader, and where it stands."""

    def __init__(self, sock: socket.socket, peer: str, *, keep_max: int, now: float) -> None:
        self.socket = sock
        self.peer = peer
        self.address = peer
        """Whom limits count by; behind a trusted proxy the client's, once a header told."""
        self.reader = RequestReader(keep_max)
        self.began_at = now
        """The request that is being read, or the wait for it."""
        self.progress_at = now
        self.out = memoryview(b"")
        """Of the reply, what the network has not taken."""
        self.has_asked = False
        """A request was answered before."""
        self.closes = False
        self.lingers = False

    def deadline(self) -> float:
        """Give the moment at which it ends, unless something comes or goes."""
        if self.lingers:
            return self.progress_at + LINGER_S
        if self.out:
            return self.progress_at + SILENCE_S
        if self.reader.head is not None:
            return min(self.progress_at + SILENCE_S, self.began_at + BODY_S)
        if self.has_asked and not self.reader.has_begun:
            return self.began_at + IDLE_S
        return self.began_at + FIRST_HEAD_S

    def write(self, data: bytes = b"") -> None:
        """Write what the network takes now; the rest stays in `out`. Raises OSError when nobody is there."""
        if data:
            self.out = memoryview(bytes(self.out) + data)
        while self.out:
            try:
                sent = self.socket.send(self.out)
            except (BlockingIOError, InterruptedError):
                return
            self.out = self.out[sent:]
            self.progress_at = time.monotonic()


def environment(request: Request, connection: Connection, server: tuple[str, int]) -> WSGIEnvironment:
    """Give what PEP 3333 hands to an application. A body that was not kept is empty, with its true length."""
    target = request.head.target
    if not target.startswith(b"/"):
        _, _, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2] if rest else target
    path, _, query = target.partition(b"?")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.head.method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.0" if request.head.is_http_1_0 else "HTTP/1.1",
        "REMOTE_ADDR": connection.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw, value in request.head.fields:
        if b"_" in raw:
            continue  # it would be taken for the field with a hyphen, which a proxy guards
        name = raw.decode("ascii").upper().replace("-", "_")
        text = value.decode("latin-1")
        if name == "CONTENT_TYPE":
            environ[name] = text
        elif name not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            name = "HTTP_" + name
            environ[name] = f"{environ[name]}{_JOINED.get(name, ',')}{text}" if name in environ else text
    environ["CONTENT_LENGTH"] = str(request.body_bytes)
    return environ


def reply_of(application: WSGIApplication, environ: WSGIEnvironment, *, closes: bool) -> bytes:
    """Run the application, and give the whole reply as it goes over the wire."""
    began: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None, /) -> Callable[[bytes], object]:
        began[:] = [(status, headers)]
        return lambda _data: None

    parts: Iterable[bytes] = application(environ, start_response)
    body = b"".join(parts)
    status, headers = began[0]
    return _head(status, headers, closes=closes) + body


def plain_reply(status: str, reason: str) -> bytes:
    """Give a reply to what no application sees; the connection ends with it."""
    body = f"{reason}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), ("Server", "qbd")]
    return _head(status, headers, closes=True) + body


def _head(status: str, headers: Iterable[tuple[str, str]], *, closes: bool) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if closes:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
