"""Run a WSGI application under granian until a signal ends it."""

from __future__ import annotations

import errno
import functools
import importlib
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from qbwc_bridge.wsgi import READY

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Handlers mostly wait for the database; a thousand companies that poll each minute are under a hundred calls/s. The
#: rest is for clients that send slowly: granian waits for a body in a thread and has no time limit for it.
THREADS = 64
#: For the header of a request, and for the first one of a connection.
HEADER_MS = 20_000
#: Bounds the header; bodies stream through it.
BUFFER_BYTES = 64 * 1024
#: Between two looks whether a second signal came.
TICK_S = 0.1


class _Draining(Granian):  # type: ignore[misc, valid-type]  # an alias of the kind of server that fits the interpreter
    """Goes on serving for a while after a signal; a second one ends the wait."""

    drain_s: float = 0
    draining: Connection
    is_draining = False
    is_hurried = False

    def signal_handler_interrupt(self, *args: object, **more: object) -> None:
        # granian sets an Event, whose lock the interrupted code may just hold: at a second signal that is a deadlock.
        if self.is_draining:
            self.is_hurried = True
        else:
            super().signal_handler_interrupt(*args, **more)

    def shutdown(self, exit_code: int = 0) -> None:
        if self.interrupt_signal and self.drain_s > 0:
            self.is_draining = True
            self.draining.send_bytes(b"x")
            ends_at = time.monotonic() + self.drain_s
            # Some send the signal to the serving process too, which then ends by itself and well.
            while not (self.is_hurried or self.interrupt_children) and time.monotonic() < ends_at:
                time.sleep(TICK_S)
            self.interrupt_children.clear()
        super().shutdown(exit_code)


def serve(target: str, host: str, port: int, *, workers: int = 1, threads: int = THREADS, drain_s: float = 0) -> int:
    """Serve what the factory `target` ("module:function") makes, and give the exit code of the process.

    Blocks until SIGINT or SIGTERM. Then `/readyz` answers 503 for `drain_s` seconds while everything else is served
    as before, so that a load balancer sends its next connections elsewhere; then nobody is let in any more, and calls
    under way are finished. Returns 1 after one line on standard error when the address cannot be bound. granian itself
    leaves with SystemExit when a worker cannot be started.
    """
    problem = why_not_bindable(host, port)
    if problem:
        sys.stderr.write(f"Cannot listen on {host}:{port}: {problem}\n")
        return 1
    server = _Draining(
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
    server.drain_s = drain_s
    # A pipe: the other means that processes share need a file system that can be written.
    told, server.draining = multiprocessing.Pipe(duplex=False)
    server.serve(target_loader=functools.partial(_load, target, told), wrap_loader=False)
    return 0


def _load(target: str, draining: Connection) -> WSGIApplication:
    module, _, name = target.partition(":")
    factory: Callable[[], WSGIApplication] = getattr(importlib.import_module(module), name)
    return _until_draining(factory(), draining)


def _until_draining(application: WSGIApplication, draining: Connection) -> WSGIApplication:
    """Answer for the application that it is not ready, once the process was told to end."""

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != READY or not draining.poll():
            return application(environ, start_response)
        body = b"about to end\n"
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response("503 Service Unavailable", headers)
        return [body]

    return wrapped


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
