"""Run a WSGI application under granian until a signal ends it."""

from __future__ import annotations

import errno
import socket
import sys

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

#: Handlers mostly wait for the database; a thousand companies that poll each minute are under a hundred calls/s. The
#: rest is for clients that send slowly: granian waits for a body in a thread and has no time limit for it.
THREADS = 64
#: For the header of a request, and for the first one of a connection.
HEADER_MS = 20_000
#: Bounds the header; bodies stream through it.
BUFFER_BYTES = 64 * 1024


def serve(target: str, host: str, port: int, *, workers: int = 1, threads: int = THREADS) -> int:
    """Serve what the factory `target` ("module:function") makes, and give the exit code of the process.

    Blocks until SIGINT or SIGTERM. Returns 1 after one line on standard error when the address cannot be bound.
    granian itself leaves with SystemExit when a worker cannot be started.
    """
    problem = why_not_bindable(host, port)
    if problem:
        sys.stderr.write(f"Cannot listen on {host}:{port}: {problem}\n")
        return 1
    server = Granian(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=workers,
        blocking_threads=threads,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS, max_buffer_size=BUFFER_BYTES),
        websockets=False,
        factory=True,
    )
    server.serve()
    return 0


def why_not_bindable(host: str, port: int) -> str:
    """Give the reason why nothing can listen there, or "". granian would only show a traceback."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                # A port whose last connections are still closing is free; on Windows the option means otherwise.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return "the port is already in use"
        return str(error)
    return ""
