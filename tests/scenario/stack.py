"""The real processes: Temporal's server, worker, bridge and API under a supervisor that starts again what dies."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from ops.database import migrate
from ops.keys import create_key
from ops.ports import NO_TLS, free_ports
from ops.settings import Settings, load_settings
from ops.stack import answers, stack_parts
from ops.supervisor import Part, Supervisor
from store.engine import Database
from tests.scenario.stack_parts import BROKEN, CHAOS, FileFuse, SharedClock
from tests.support.front import Front

PATIENCE_S = 120.0
"""Generous: a machine that does something else as well is not what is tested."""
POLL_S = 0.03
RESTART_S = 0.1
PARTS = ("bridge", "api", "worker", "temporal")
TWINS = ("bridge", "bridge-2", "api", "worker", "worker-2", "temporal")
"""The parts of a stack that has two bridges, each with its relay, and two workers."""


class Stack:
    """One running system; its supervisor lives in a thread with a loop of its own.

    With `twins` there are two bridges behind one address, and two workers. Each call goes to either bridge.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        recovery: bool = True,
        twins: bool = False,
        drain_s: int = 0,
        probe_s: float | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """`drain_s` is the setting of that name, `probe_s` how often the front asks the bridges for readiness.

        `more` are further settings.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "clock").write_text("0")
        self.folder = folder
        self.recovers = recovery
        self.clock = SharedClock(folder)
        self.fuse = FileFuse(folder)
        names = ("SOAP", "API", "METRICS", "TEMPORAL", "TEMPORAL_UI")
        own = {f"QBD_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
        own |= {
            "QBD_DATA_DIR": str(folder),
            "QBD_BRIDGE_METRICS_PORT": "0",
            "QBD_BATCH_SIZE": "3",
            "QBD_LOG_LEVEL": "warning",
            "QBD_DRAIN_S": str(drain_s),
        }
        own |= more or {}
        if database_url is not None:
            own["QBD_DATABASE_URL"] = database_url
        self.settings: Settings = load_settings(own)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("QBD_", "TEMPORAL_"))}
        self.environ |= own
        extra = {CHAOS: str(folder)} | ({} if recovery else {BROKEN: "1"})
        waves = [
            [
                dataclasses.replace(
                    part,
                    command=part.command
                    if part.name == "temporal"
                    else [sys.executable, "-m", "tests.scenario.stack_parts", part.name],
                    environment={**part.environment, **extra},
                )
                for part in wave
            ]
            for wave in stack_parts(self.settings, self.environ, with_ui=False)
        ]
        self.parts = TWINS if twins else PARTS
        self.soap_ports = [self.settings.soap_port]
        if twins:
            soap_port, metrics_port = free_ports(2)
            self.soap_ports.append(soap_port)
            waves[-1] += [_twin(part, soap_port, metrics_port) for part in waves[-1] if f"{part.name}-2" in TWINS]
        self.front = Front(self.soap_ports, seed=0, probe_s=probe_s) if twins else None
        self.database = Database(self.settings.database)
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{self.settings.api_port}", trust_env=False, verify=NO_TLS, timeout=30
        )
        self.soap = self.new_client()
        self.told: list[str] = []
        self._supervisor = Supervisor(
            waves, folder / "logs", self.told.append, backoff_max_s=RESTART_S, ready_timeout_s=PATIENCE_S
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="supervisor", daemon=True)
        self._watch: asyncio.Task[None] | None = None

    @staticmethod
    def new_client() -> httpx.Client:
        """Give a client that makes a connection for each call, so that each may go to another bridge."""
        return httpx.Client(
            trust_env=False, verify=NO_TLS, timeout=60, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @property
    def base(self) -> str:
        """The address of the Web Connector bridge, or of what stands in front of two."""
        return f"http://localhost:{self.front.port if self.front is not None else self.settings.soap_port}"

    def start(self) -> None:
        """Bring everything up; raises `StackError` when that fails."""
        migrate(self.settings)
        if self.front is not None:
            self.front.start()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._supervisor.start(), self._loop).result(PATIENCE_S)

        async def watch() -> None:
            self._watch = asyncio.ensure_future(self._supervisor.watch())

        asyncio.run_coroutine_threadsafe(watch(), self._loop).result()
        self.api.headers["Authorization"] = f"Bearer {create_key(self.settings, 'chaos').key}"

    def stop(self) -> None:
        """End everything that was started here."""

        async def end() -> None:
            if self._watch is not None:
                self._watch.cancel()
            await self._supervisor.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        if self.front is not None:
            self.front.stop()
        for closing in (self.database, self.api, self.soap):
            closing.close()

    def kill(self, part: str) -> None:
        """SIGKILL a part, and what it started."""
        pid = self._supervisor.pid(part)
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)

    def replace(self, part: str) -> None:
        """SIGTERM a part and wait until another process, which the supervisor starts, is ready in its place."""
        pid = self._supervisor.pid(part)
        assert pid is not None, f"{part} does not run"
        told = len(self.told)
        os.kill(pid, signal.SIGTERM)
        self.wait_until(lambda: f"{part} runs again" in self.told[told:], f"{part} runs again")
        [ended] = [line for line in self.told[told:] if line.startswith(f"{part} ended")]
        assert "code 0;" in ended, f"SIGTERM was no clean end: {ended}"

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Look again and again until something holds; raises AssertionError after a while."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not in {PATIENCE_S:.0f} s; {self.told[-5:]}"
            time.sleep(POLL_S)

    def wait_ready(self) -> None:
        """Wait until bridges and API answer again."""
        self.wait_until(lambda: all(map(self._answers, self.soap_ports)), "the bridges answer")
        self.wait_until(lambda: self._answers(self.settings.api_port), "the API answers")

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            return (
                httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, verify=NO_TLS, timeout=2).status_code
                == 200
            )
        except httpx.HTTPError:
            return False


def _twin(part: Part, soap_port: int, metrics_port: int) -> Part:
    """The same program on ports of its own."""
    url = {"bridge": f"http://127.0.0.1:{soap_port}/healthz", "worker": f"http://127.0.0.1:{metrics_port}/metrics"}
    ports = {"QBD_SOAP_PORT": str(soap_port), "QBD_METRICS_PORT": str(metrics_port)}
    return dataclasses.replace(
        part,
        name=f"{part.name}-2",
        environment={**part.environment, **ports},
        ready=functools.partial(answers, url[part.name]),
    )
