"""How many unknown keys an address may send: in this process, like the rate limit of a key.

A key has 256 random bits and is looked up by its hash, so guessing one is hopeless at any speed. The limit spares the
database and the log, and a key that was good a moment ago goes on through it: a client that keeps sending a revoked key
must not take the others of its address down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from tms_api.access import RateLimiter

PER_MINUTE = 60
KNOWN_MAX = 10_000


class FailedKeys:
    """Used from one event loop only."""

    def __init__(self, clock: Callable[[], datetime], *, per_minute: int = PER_MINUTE) -> None:
        self._failures = RateLimiter(per_minute, clock)
        self._known: set[bytes] = set()

    def wait_s(self, address: str, key: str) -> int:
        """Give how long this key has to wait before it is even looked at; 0: not at all."""
        if _digest(key) in self._known:
            return 0
        allowance = self._failures.look(address)
        return allowance.retry_after_s if allowance is not None else 0

    def note(self, address: str, key: str, *, is_known: bool) -> None:
        """Remember what came of it."""
        if not is_known:
            self._known.discard(_digest(key))
            self._failures.take(address)
            return
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known.add(_digest(key))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
