"""The words for where a request and a message set stand, as the tables hold them."""

from __future__ import annotations

WAITING = "waiting"
IN_FLIGHT = "in_flight"
DONE = "done"
CANCELLED = "cancelled"

SENT = "sent"
ANSWERED = "answered"
ABANDONED = "abandoned"
