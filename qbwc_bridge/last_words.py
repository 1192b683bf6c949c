"""What sessions that ended here have to say when they are closed: closeConnection follows at once, mostly here.

Only to save a question: what is not kept, the database knows. A bridge that is asked by a session that is over may note
another word, which no Web Connector does; then the earlier one may be given, and it is a text for people.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from store.queue import LastWord

MOST = 1000
"""Sessions that ended and were not closed yet; the oldest are forgotten."""


class LastWords:
    """By the ticket's hash; used from every thread of a bridge."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, LastWord] = OrderedDict()
        self._lock = Lock()

    def keep(self, ticket_hash: str, word: LastWord) -> None:
        """Keep the newest word of a session."""
        with self._lock:
            self._kept[ticket_hash] = word
            self._kept.move_to_end(ticket_hash)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def take(self, ticket_hash: str) -> LastWord | None:
        """Give the word of a session and forget it; None when it is not kept."""
        with self._lock:
            return self._kept.pop(ticket_hash, None)
