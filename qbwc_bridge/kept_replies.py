"""Replies to calls that depend on nothing but their own words, kept by the exact bytes of the request.

serverVersion and clientVersion begin every poll, and all Web Connectors of one version send the same bytes. Nothing is
kept of a call that names a company, and nothing of one whose handler failed.
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT = frozenset({"serverVersion", "clientVersion"})
LONGEST = 4096
MOST = 64
"""Versions of the Web Connector, times the ways in which they write; a flood of others finds the places taken."""


@dataclass(frozen=True)
class Kept:
    """A reply, the call that it answers, and the version that the call told."""

    method: str
    body: bytes
    version: str = ""


class KeptReplies:
    """A few replies in memory; used from every thread of a bridge."""

    def __init__(self) -> None:
        self._replies: dict[tuple[bytes, str], Kept] = {}

    def find(self, body: bytes, content_type: str) -> Kept | None:
        """Give the reply to exactly this request, if it is kept."""
        return self._replies.get((body, content_type))

    def keep(self, body: bytes, content_type: str, reply: Kept) -> None:
        """Keep a reply, if its method is one of those and there is room."""
        if reply.method in KEPT and len(body) + len(content_type) <= LONGEST and len(self._replies) < MOST:
            self._replies[body, content_type] = reply
