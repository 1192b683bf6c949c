"""Pure: do two Web Connectors work on one company? The same .qwc added on two computers, or twice on one.

Each of them polls and fetches documents by itself (web-connector.md 2.4, 3.3). Nothing is doubled by it, for one set
is under way at a time, but people see runs that end with "busy" and should remove one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

INTERVALS = 3
SHORTEST = timedelta(hours=1)
"""Who changes to a new PC needs longer than this between the last run on one and the first on the other."""

_NUMBER = re.compile(r"[0-9]+$")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """An earlier session: the computer that held the company file, and its last call."""

    host: str | None
    at: datetime


def twin_notice(host: str | None, earlier: Sequence[Visit], *, now: datetime, interval: timedelta) -> str:
    """Name two computers that both run this connection; "" when there is no sign of that.

    The servers of a farm take turns with one Web Connector, wherever its user was put today: names that differ in their
    number only are two of them when they come oftener than one schedule does.
    """
    if host is None:
        return ""
    since = now - max(SHORTEST, INTERVALS * interval)
    for visit in earlier:
        if visit.host is not None and visit.host.casefold() != host.casefold() and visit.at > since:
            if _stem(visit.host) == _stem(host) and now - visit.at >= interval / 2:
                continue
            first, second = sorted((visit.host, host))
            return (
                f"Two computers run this connection: {first} and {second}. "
                "Remove it from the Web Connector of one of them."
            )
    return ""


def _stem(host: str) -> str:
    """Give a computer's name without its number: RDS-01 and RDS-02 are of one farm."""
    return _NUMBER.sub("", host.casefold())


def clone_notice(host: str | None) -> str:
    """Say that an older session went on working after a newer one had taken over."""
    place = f" on {host}" if host else ""
    return (
        f"Two Web Connectors work on this company at the same time{place}: a session went on after a newer one had "
        "taken over. Look for this connection in the Web Connector of every computer, also as a copy with a 1 at the "
        "end of its name, and remove all but one."
    )
