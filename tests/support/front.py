"""One address in front of several servers, as a load balancer is: each new connection goes to any that is ready.

It carries bytes and knows nothing of them. A server that refuses a connection is passed over; one that breaks a
connection is not made up for.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter

import httpx

from ops.ports import NO_TLS

HOST = "127.0.0.1"
CHUNK = 1 << 16


class Front:
    """Listens in a thread with a loop of its own."""

    def __init__(self, backends: list[int], *, seed: int, probe_s: float | None = None) -> None:
        """`backends` are ports. With `probe_s` it asks each so often whether it is ready, and leaves out who is not."""
        self._backends = backends
        self._draw = random.Random(seed)
        self._probe_s = probe_s
        self._ready = dict.fromkeys(backends, True)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.carried: Counter[int] = Counter()
        """Connections by backend."""

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def stop(self) -> None:
        """Let nobody in any more."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        if self._probe_s is not None:
            for port in self._backends:
                self._keep(asyncio.ensure_future(self._probe(port, self._probe_s)))

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _probe(self, port: int, every_s: float) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=2) as client:
            while True:
                try:
                    self._ready[port] = (await client.get(f"http://{HOST}:{port}/readyz")).status_code == 200
                except httpx.HTTPError:
                    self._ready[port] = False
                await asyncio.sleep(every_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._keep(task)
        # The transport is ours to close: a client may have gone meanwhile.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            backend = await self._connect()
            if backend is not None:
                await self._carry(reader, writer, *backend)
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = self._draw.sample(self._backends, len(self._backends))
        for port in sorted(ports, key=lambda port: not self._ready[port]):
            with contextlib.suppress(OSError):
                streams = await asyncio.open_connection(HOST, port)
                self.carried[port] += 1
                return streams
        return None

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back_reader: asyncio.StreamReader,
        back_writer: asyncio.StreamWriter,
    ) -> None:
        try:
            upwards = asyncio.ensure_future(_pump(reader, back_writer))
            await _pump(back_reader, writer)
            upwards.cancel()
        finally:
            back_writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
