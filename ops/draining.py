"""Ending a server without losing a call: first it says that it is not ready, then it lets nobody in, then it ends."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

READY = "/readyz"

_log = structlog.get_logger(__name__)


class DrainingServer(uvicorn.Server):
    """Serves on for a while after the first signal; a second one ends the wait."""

    def __init__(self, config: uvicorn.Config, *, drain_s: float) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        _log.info("listens", host=self.config.host, port=self.config.port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; with no time for that, or when asked again, end at once."""
        if self.is_draining or not self._drain_s or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self.is_draining = True
        # A signal handler may run between any two steps of the loop, which must not notice.
        self._loop.call_soon_threadsafe(
            self._loop.call_later, self._drain_s, lambda: super(DrainingServer, self).handle_exit(sig, None)
        )


class NotReadyWhileDraining:
    """ASGI middleware that answers `/readyz` for a server that is about to end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.server: DrainingServer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        is_draining = self.server is not None and self.server.is_draining
        if scope["type"] != "http" or scope["path"] != READY or not is_draining:
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"about to end\n"})
