"""The server under the API and the codec server: uvicorn with limits, and without patience for requests half sent.

h11, which reads for uvicorn, puts up with much that RFC 9112 lets a reader refuse. Each byte passes the bridge's reader
first: what two readers could read differently never reaches h11.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ops.draining import DrainingServer, NotReadyWhileDraining
from ops.exits import settle
from ops.settings import Settings
from qbwc_bridge.connections import plain_reply
from qbwc_bridge.http_requests import HEAD_BYTES_MAX, BadRequestError, RequestReader

HEADER_S = 20.0
KEEP_ALIVE_S = 30

log = structlog.get_logger(__name__)


class PunctualProtocol(H11Protocol):
    """Closes a connection on which no whole request header came in time, or one that is read differently elsewhere."""

    header_s = HEADER_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._reader = RequestReader(keep_max=0)
        self._is_refused = False
        self._header_timer: asyncio.TimerHandle | None = self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Look at it, hand it on, and wait on while the header is not complete."""
        if self._is_refused:
            return
        try:
            self._reader.receive(data)
            while self._reader.is_whole():
                self._reader.take()
        except BadRequestError as error:
            self._refuse(error)
            return
        super().data_received(data)
        is_waiting = self.cycle is None or self.cycle.response_complete
        if not is_waiting:
            self._stop_timer()
        elif self._header_timer is None:
            self._header_timer = self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_timer()
        super().connection_lost(exc)

    def _refuse(self, error: BadRequestError) -> None:
        """Answer and close. Nothing of what came last is handed on, though a good request may stand before the bad."""
        log.warning("request_refused", reason=str(error))
        self._is_refused = True
        self._stop_timer()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(plain_reply(error.status, str(error)))
        elif self.conn.their_state is h11.DONE:
            self.cycle.keep_alive = False  # the answer to the request before is on its way, and closes
            return
        else:  # the body that an application waits for is bad
            if not self.cycle.response_started:
                self.transport.write(plain_reply(error.status, str(error)))
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _start_timer(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.header_s, self.transport.close)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


def server_config(app: ASGIApp, settings: Settings, *, port: int, **more: Any) -> uvicorn.Config:
    """Give uvicorn's configuration for one of our applications."""
    return uvicorn.Config(
        app,
        port=port,
        http=PunctualProtocol,
        ws="none",
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        # uvicorn by itself believes every process of this machine.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        access_log=False,  # addresses name companies and documents
        server_header=False,
        **{"host": settings.listen, **more},
    )


def serve(app: ASGIApp, settings: Settings, *, port: int) -> None:
    """Serve until a signal comes, and after it for as long as `QBD_DRAIN_S` says."""
    ready = NotReadyWhileDraining(app)
    server = DrainingServer(server_config(ready, settings, port=port), drain_s=settings.drain_s)
    ready.server = server

    async def work() -> None:
        await server.serve()
        await settle()

    # uvicorn raises the signal that stopped it once more when it is done; without these the process would die of it
    # before it came to rest.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    asyncio.run(work())
