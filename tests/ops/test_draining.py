"""SIGTERM to the API: it says that it is not ready, serves on for a while, and finishes what it has."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ops.draining import DrainingServer, NotReadyWhileDraining


class Served:
    """A server with a route that answers when it is told to."""

    def __init__(self, drain_s: float) -> None:
        self.go = asyncio.Event()
        self.has_begun = asyncio.Event()

        async def slow(_request: Request) -> PlainTextResponse:
            self.has_begun.set()
            await self.go.wait()
            return PlainTextResponse("done")

        async def ready(_request: Request) -> PlainTextResponse:
            return PlainTextResponse("ok")

        app = NotReadyWhileDraining(Starlette(routes=[Route("/slow", slow), Route("/readyz", ready)]))
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None)
        self.server = app.server = DrainingServer(config, drain_s=drain_s)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"


@asynccontextmanager
async def serving(drain_s: float) -> AsyncIterator[Served]:
    served = Served(drain_s)
    task = asyncio.ensure_future(served.server._serve())  # without its handlers: the signals are the test run's own
    async with asyncio.timeout(20):
        while not served.server.started:
            await asyncio.sleep(0.01)
        yield served
        served.go.set()
        await task


async def test_not_ready_first_closed_later_and_nothing_cut() -> None:
    async with serving(60) as served, httpx.AsyncClient(base_url=(url := served.url), trust_env=False) as http:
        assert (await http.get("/readyz")).status_code == 200
        call = asyncio.ensure_future(http.get("/slow"))
        await served.has_begun.wait()
        served.server.handle_exit(signal.SIGTERM, None)
        assert (await http.get("/readyz")).status_code == 503
        served.server.handle_exit(signal.SIGTERM, None)
        while served.server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as other:
            with pytest.raises(httpx.ConnectError):
                await other.get("/readyz")
        served.go.set()
        assert (await call).text == "done"


async def test_the_wait_ends_by_itself() -> None:
    """Also without anybody who asks a second time."""
    async with serving(0.05) as served:
        served.server.handle_exit(signal.SIGTERM, None)
        assert served.server.is_draining
