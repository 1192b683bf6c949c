"""How many requests of one address may be unfinished: granian waits for each body in a thread, however long it takes.

Without this bound, as many silent connections as there are threads would stop the bridge. Many addresses together still
can: a proxy in front that reads requests within a time limit is what stops those (docs/security.md).
"""

from __future__ import annotations

import functools
import ipaddress
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

UNFINISHED_MAX = 16
"""Of one address; a quarter of the threads. A body that arrives at once is finished within a millisecond."""


class TooManySlowBodiesError(Exception):
    """This address has enough unfinished requests."""


class BodyReaders:
    """Counts who is sending; used from every thread of a bridge."""

    def __init__(self, limit: int = UNFINISHED_MAX) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._reading: Counter[str] = Counter()

    @contextmanager
    def one_more(self, address: str) -> Iterator[None]:
        """Hold a place while a body is read; raises `TooManySlowBodiesError`."""
        if not _is_public(address):
            # A proxy that was not named in QBD_TRUSTED_PROXIES: everybody would share its places.
            yield
            return
        with self._lock:
            if self._reading[address] >= self._limit:
                raise TooManySlowBodiesError(address)
            self._reading[address] += 1
        try:
            yield
        finally:
            with self._lock:
                self._reading[address] -= 1
                if not self._reading[address]:
                    del self._reading[address]


@functools.lru_cache(maxsize=4096)
def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
