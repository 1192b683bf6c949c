"""The server under the API and the codec server: uvicorn with limits, and without patience for requests half sent."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ops.draining import DrainingServer, NotReadyWhileDraining
from ops.exits import settle
from ops.ports import ANY
from ops.settings import Settings

HEADER_S = 20.0
HEADER_BYTES_MAX = 64 * 1024
KEEP_ALIVE_S = 30


class PunctualProtocol(H11Protocol):
    """Closes a connection on which no whole request header came in time; uvicorn itself would wait for ever."""

    header_s = HEADER_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._header_timer: asyncio.TimerHandle | None = self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Wait on while the header is not complete."""
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
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        # uvicorn by itself believes every process of this machine.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        access_log=False,  # addresses name companies and documents
        server_header=False,
        **{"host": ANY, **more},
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
