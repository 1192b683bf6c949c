"""Starts processes in waves, waits until each is ready, restarts what dies, stops in the reverse order.

Knows nothing of what the processes do. Not here: which processes make the stack (stack.py).
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.parent_watch import PARENT
from ops.private_files import PRIVATE_UMASK
from ops.problems import StackError

READY_TIMEOUT_S = 30.0
READY_POLL_S = 0.05
STOP_TIMEOUT_S = 25.0
"""Longer than the worker's graceful shutdown of 20 s."""
ORPHANS_TIMEOUT_S = 2.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STABLE_S = 60.0
"""A process that ran this long begins with the first back-off again."""
LOG_MAX_BYTES = 20_000_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Part:
    """One process: what to run, how to know that it is ready, and what to do once it is."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    on_ready: Callable[[], Awaitable[None]] | None = None


class _Child:
    """A part with its running process."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0.0
        self.backoff = BACKOFF_FIRST_S

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None


class Supervisor:
    """Holds the children; every signal goes to one of them by its id, never to anything else."""

    def __init__(
        self,
        waves: Sequence[Sequence[Part]],
        log_dir: Path,
        tell: Callable[[str], None],
        *,
        backoff_max_s: float = BACKOFF_MAX_S,
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        """Take the parts in waves: those of one start together, once all of the wave before are ready."""
        self._backoff_max_s = backoff_max_s
        self._ready_timeout_s = ready_timeout_s
        self._waves = [[_Child(part) for part in wave] for wave in waves]
        self._children = [child for wave in self._waves for child in wave]
        self._log_dir = log_dir
        self._tell = tell

    async def start(self) -> None:
        """Start all parts, wave by wave; raise `StackError` when one dies or is not ready in time."""
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for wave in self._waves:
            for child in wave:
                await self._spawn(child)
            for child in wave:
                await self._wait_ready(child)

    async def watch(self) -> None:
        """Restart whatever dies, each after its back-off, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._keep_running(child))

    async def stop(self) -> None:
        """End all parts, the last started first; kill one that does not stop in time."""
        for child in reversed(self._children):
            await self._end(child)

    def pid(self, name: str) -> int | None:
        """Give the process id of a part, if it runs."""
        for child in self._children:
            if child.part.name == name and child.process is not None and child.alive:
                return child.process.pid
        return None

    def log_file(self, name: str) -> Path:
        """Give the file that a part's output goes to."""
        return self._log_dir / f"{name}.log"

    async def _spawn(self, child: _Child) -> None:
        path = self.log_file(child.part.name)
        if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with open(path, "ab", opener=_open_private) as log:
            child.process = await asyncio.create_subprocess_exec(
                *child.part.command,
                env={**child.part.environment, PARENT: str(os.getpid())},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal reaches us alone, so that we can stop the parts in order.
                start_new_session=True,
                umask=PRIVATE_UMASK,
                preexec_fn=functools.partial(_die_with, os.getpid()),
            )
        child.started = time.monotonic()

    async def _wait_ready(self, child: _Child) -> None:
        deadline = time.monotonic() + self._ready_timeout_s
        while not await child.part.ready():
            if not child.alive:
                raise StackError(f"The {child.part.name} process stopped while starting: {self._last_words(child)}")
            if time.monotonic() > deadline:
                words = self._last_words(child)
                raise StackError(
                    f"The {child.part.name} process is not ready after {self._ready_timeout_s:.0f} s: {words}"
                )
            await asyncio.sleep(READY_POLL_S)
        if child.part.on_ready is not None:
            await child.part.on_ready()

    async def _keep_running(self, child: _Child) -> None:
        while True:
            if child.process is not None:
                code = await child.process.wait()
                await _end_session(child.process.pid)
                ran = time.monotonic() - child.started
                child.backoff = BACKOFF_FIRST_S if ran > STABLE_S else min(child.backoff * 2, self._backoff_max_s)
                self._tell(f"{child.part.name} ended with code {code}; starting it again in {child.backoff:.0f} s")
            await asyncio.sleep(child.backoff)
            try:
                await self._spawn(child)
                await self._wait_ready(child)
            except StackError as problem:
                self._tell(str(problem))
                await self._end(child)
            else:
                self._tell(f"{child.part.name} runs again")

    async def _end(self, child: _Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            _signal_session(process.pid, signal.SIGKILL)
        await process.wait()
        await _end_session(process.pid)

    def _last_words(self, child: _Child) -> str:
        path = self.log_file(child.part.name)
        lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
        return f"{lines[-1].strip()[:300] if lines else 'it wrote nothing'} (log: {path})"


async def _end_session(pid: int) -> None:
    # A server that was killed leaves its own workers behind: they would keep its port, and answer in its place.
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = _signal_session(pid, number)
        # A dead one counts as alive until it is reaped, which in some containers nobody does: so this ends by itself.
        deadline = time.monotonic() + ORPHANS_TIMEOUT_S
        while alive and time.monotonic() < deadline:
            await asyncio.sleep(READY_POLL_S)
            alive = _signal_session(pid, 0)
        if not alive:
            return


def _signal_session(pid: int, number: int) -> bool:
    # The group is the one that start_new_session made for this child; nothing else can be in it.
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _die_with(parent: int) -> None:
    # If we are killed, nobody is left to stop the children, and the next start would find its ports taken. At once: a
    # signal that asks may come before the program has learnt to hear it, or while it cannot.
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we were killed before the kernel was told
            os.kill(os.getpid(), signal.SIGKILL)
