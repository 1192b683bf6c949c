"""Databases and processes of a benchmark: made for it, durable as in production, and all ended with it."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ops.ports import free_ports
from store.engine import Database
from tests.support import postgres

ROOT = Path(__file__).resolve().parents[1]
SQLITE, POSTGRESQL = "sqlite", "postgresql"
PATIENCE_S = 60.0
STOP_S = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


class NotHereError(Exception):
    """Something that a benchmark needs is not installed; the message says what."""


@dataclass
class Place:
    """One kind of database, and a folder; makes new databases and ends every process that it started."""

    kind: str
    folder: Path
    server_url: str | None = None
    _stack: ExitStack = field(default_factory=ExitStack)
    _made: int = 0

    def new_database(self) -> Database:
        """Make a migrated database that waits for the disk as in production."""
        self._made += 1
        if self.server_url is None:
            url = f"sqlite:///{self.folder / f'bench-{self._made}.sqlite'}"
        else:
            url = self._stack.enter_context(postgres.database_on(self.server_url))
        database = Database(url, plans_once=True)  # as a bridge has it
        self._stack.callback(database.close)
        database.migrate()
        return database

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], name: str) -> Process:
        """Start one of our Python processes in a group of its own."""
        return self.start_command([sys.executable, *arguments], environment, name)

    def start_command(self, command: Sequence[str], environment: Mapping[str, str], name: str) -> Process:
        """Start a program; it is ended with this place at the latest."""
        log = (self.folder / f"{name}.log").open("ab")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QBD_", "TEMPORAL_"))}
        child = subprocess.Popen(  # noqa: S603  our own command
            list(command),
            cwd=ROOT,
            env={**kept, "PYTHONPATH": str(ROOT), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.close()
        process = Process(child, self.folder / f"{name}.log")
        self._stack.callback(process.stop)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()


@dataclass
class Process:
    """A process group of ours."""

    child: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """Give the processor seconds of the whole group so far (proc(5), `stat`: fields 5, 14 and 15)."""
        total = 0.0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.child.pid:
                    total += (int(fields[11]) + int(fields[12])) / _TICKS
        return total

    def stop(self) -> None:
        """End the group: politely, and after a while by force."""
        if self.child.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self.child.wait()
        self._signal(signal.SIGKILL)  # what a leader that died left behind

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, number)

    def wait_until_listening(self, port: int) -> None:
        """Wait until something answers on a port; raises RuntimeError with the end of the log when it dies first."""
        import socket  # noqa: PLC0415

        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.log.name} did not come up: {self.log.read_text(errors='replace')[-2000:]}")


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """Give a place for benchmarks on one kind of database; raises NotHereError."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == SQLITE:
        with Place(kind, folder) as here:
            yield here
        return
    named = os.environ.get(postgres.SETTING)
    if named:
        with Place(kind, folder, named) as here:
            yield here
        return
    found = postgres.binaries()
    if found is None:
        raise NotHereError(f"no PostgreSQL is installed, and {postgres.SETTING} names no server")
    server = postgres.Server(found, durable=True)
    try:
        server.start()
        with Place(kind, folder, server.url) as here:
            yield here
    finally:
        server.close()


def bridge_settings(database: Database, place_: Place, *, temporal_port: int | None = None) -> dict[str, str]:
    """Give the environment of bridge and worker over a database. Without a Temporal server the outbox waits."""
    soap, metrics, away = free_ports(3)
    folder = place_.folder / f"data-{soap}"
    folder.mkdir()
    return {
        "QBD_DATA_DIR": str(folder),
        "QBD_DATABASE_URL": database.url.set(
            drivername="postgresql" if not database.is_sqlite else "sqlite"
        ).render_as_string(hide_password=False),
        "QBD_SOAP_PORT": str(soap),
        "QBD_METRICS_PORT": str(metrics),
        "QBD_BRIDGE_METRICS_PORT": "0",
        "QBD_TEMPORAL_PORT": str(temporal_port or away),
        "QBD_LOG_LEVEL": "error",
    }


def start_bridge(place_: Place, settings: Mapping[str, str]) -> Process:
    """Start the bridge as production does and wait for it."""
    bridge = place_.start(["-m", "ops", "bridge"], settings, f"bridge-{settings['QBD_SOAP_PORT']}")
    bridge.wait_until_listening(int(settings["QBD_SOAP_PORT"]))
    return bridge


def facts() -> dict[str, Any]:
    """Give what the figures depend on."""
    load = os.getloadavg()[0]
    return {
        "processors": os.cpu_count(),
        "Python": platform.python_version(),
        "on": f"{platform.system()} {platform.machine()}",
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load before": round(load, 1),
    }
