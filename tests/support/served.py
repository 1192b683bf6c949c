"""Our HTTP server in a thread of the test run, on a free port of loopback."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp

from ops.http_server import StrictProtocol, server_config
from ops.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable


class _Quiet(uvicorn.Server):
    """Runs beside the tests, so it takes no signals."""

    def install_signal_handlers(self) -> None:
        """Take none."""


@contextmanager
def served(app: ASGIApp, *, limits: Mapping[str, object] | None = None, **more: Any) -> Iterator[int]:
    """Serve an application with production's configuration, and give its port; `limits` are the protocol's."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    protocol = type("Limited", (StrictProtocol,), dict(limits or {}))
    config = server_config(app, load_settings({}), port=0, http=protocol, lifespan="off", **more)
    server = _Quiet(config)
    loop_factory = config.get_loop_factory()
    serve: Callable[[], object] = functools.partial(_run, server, listener, loop_factory)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def _run(server: uvicorn.Server, listener: socket.socket, loop_factory: Any) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(server.serve([listener]))
