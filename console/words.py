"""How states and owners are said and shown on pages."""

from __future__ import annotations

from typing import NamedTuple

from tms_api.company_models import CompanyView
from tms_api.connection import ConnectionState

OWNERS = {
    "bookkeeper": "you, the bookkeeper",
    "tms_user": "whoever works in TMS.ai",
    "it": "your IT",
    "us": "us; we were told",
}


class Standing(NamedTuple):
    """A connection's state as a chip: kind, words, icon, and how bad it is (0 is worst)."""

    kind: str
    text: str
    icon: str
    rank: int


_STANDINGS = {
    ConnectionState.REFUSED: Standing("bad", "Needs a hand", "warn", 0),
    ConnectionState.STALE: Standing("warn", "Not seen lately", "clock", 1),
    ConnectionState.WAITING: Standing("wait", "Waiting for the first contact", "clock", 2),
    ConnectionState.PAUSED: Standing("off", "Paused", "pause", 3),
    ConnectionState.CONNECTED: Standing("ok", "Connected", "check", 4),
}


def standing(company: CompanyView) -> Standing:
    """Give how a company's connection stands."""
    if company.quiet_until is not None and company.connection.state is ConnectionState.CONNECTED:
        return Standing("off", "Quiet hours", "moon", 4)
    return _STANDINGS[company.connection.state]


def rank(state: ConnectionState) -> int:
    """Give how bad a state is; 0 is worst."""
    return _STANDINGS[state].rank


def owner(name: object) -> str:
    """Say whose turn it is."""
    return OWNERS.get(str(name), str(name))


def file_name(path: str | None) -> str:
    """Give the name of a file from its path on a Windows PC."""
    return (path or "").replace("/", "\\").rpartition("\\")[2]
