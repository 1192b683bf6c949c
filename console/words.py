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
    """A connection's state as a chip: kind, words, icon."""

    kind: str
    text: str
    icon: str


_STANDINGS = {
    ConnectionState.REFUSED: Standing("bad", "Needs a hand", "warn"),
    ConnectionState.STALE: Standing("warn", "Not seen lately", "clock"),
    ConnectionState.WAITING: Standing("wait", "Waiting for the first contact", "clock"),
    ConnectionState.PAUSED: Standing("off", "Paused", "pause"),
    ConnectionState.CONNECTED: Standing("ok", "Connected", "check"),
}


def standing(company: CompanyView) -> Standing:
    """Give how a company's connection stands."""
    if company.quiet_until is not None and company.connection.state is ConnectionState.CONNECTED:
        return Standing("off", "Quiet hours", "moon")
    return _STANDINGS[company.connection.state]


def owner(name: object) -> str:
    """Say whose turn it is."""
    return OWNERS.get(str(name), str(name))


def file_name(path: str | None) -> str:
    """Give the name of a file from its path on a Windows PC."""
    return (path or "").replace("/", "\\").rpartition("\\")[2]
