"""What is new each time: ids and the time. Apart from what uses them, so that a process loads only its own part."""

from __future__ import annotations

import base64
import secrets as randomness
from datetime import UTC, datetime


def new_id() -> str:
    """Give a random id of 20 characters [A-Z2-7]: 96 bits, short enough for message sets (qbxml.md 1.2)."""
    return base64.b32encode(randomness.token_bytes(12)).decode().rstrip("=")


def now() -> datetime:
    """Give the current time, aware, in UTC."""
    return datetime.now(UTC)
