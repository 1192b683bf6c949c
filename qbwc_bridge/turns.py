"""Few handlers at once: Python runs one thread at a time, and threads that fight over it lose a third of the time.

It is only about speed. When those at work are waiting themselves, for the database, others come to help, so nobody is
held up for long.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

PATIENCE_S = 0.02

Work = TypeVar("Work")


class Workers(Generic[Work]):
    """Threads that do what is put in, first come, first served. They end with the process."""

    def __init__(self, do: Callable[[Work], None], *, at_once: int, count: int) -> None:
        """`at_once` of the `count` threads work always, the others when `help` finds them needed."""
        self._do = do
        self._waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._needed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._taken_at = time.monotonic()
        for number in range(count):
            target = self._work if number < at_once else self._help_out
            threading.Thread(target=target, daemon=True).start()

    def put(self, work: Work) -> None:
        """Have something done."""
        if self._waiting.empty():
            self._taken_at = time.monotonic()
        self._waiting.put(work)

    def help(self, now: float) -> bool:
        """Say whether something waits; if nothing was taken for too long, call one thread more. Ask often then."""
        if self._waiting.empty():
            return False
        if now - self._taken_at >= PATIENCE_S:
            self._needed.put(None)
        return True

    def _work(self) -> None:
        while True:
            work = self._waiting.get()
            self._taken_at = time.monotonic()
            self._do(work)

    def _help_out(self) -> None:
        while True:
            self._needed.get()
            try:
                while True:
                    work = self._waiting.get_nowait()
                    self._taken_at = time.monotonic()
                    self._do(work)
            except queue.Empty:
                continue
