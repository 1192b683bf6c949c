"""Few handlers at once: Python runs one thread at a time, and threads that fight over it lose a third of the time.

It is only about speed. Who has waited long enough goes ahead, so a handler that waits for the database holds nobody up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
"""One at work, and one more that may wait for the database."""
PATIENCE_S = 0.02


class Turns:
    """Places for handlers; used from every thread of a bridge."""

    def __init__(self, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S) -> None:
        self._places = threading.Semaphore(at_once)
        self._patience_s = patience_s

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a place, but not for long."""
        has_place = self._places.acquire(timeout=self._patience_s)
        try:
            yield
        finally:
            if has_place:
                self._places.release()
