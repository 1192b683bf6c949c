"""Where webhooks may lead: never into our own network.

A name is resolved once, every address is judged, and the connection is made to a judged address: a name that
resolves otherwise a moment later leads nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from activities.special_addresses import Address, is_public

URL_LENGTH_MAX = 2000
LOCAL = ("localhost", "127.0.0.1", "::1")
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host; raises OSError when it has none."""


class AddressRefusedError(ValueError):
    """A webhook may not lead there; the text is a sentence for people, without the addresses that were found."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The parts of an address that a connection needs."""

    scheme: str
    host: str
    port: int


def read_target(url: str, *, allow_private: bool) -> Target:
    """Check the form of an address, and a literal IP address; raises `AddressRefusedError`."""
    if len(url) > URL_LENGTH_MAX or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise AddressRefusedError(f"it must be plain ASCII of at most {URL_LENGTH_MAX} characters, without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefusedError("it is no web address") from None
    host = (parts.hostname or "").rstrip(".")
    if not host or parts.scheme not in ("https", "http"):
        raise AddressRefusedError("it must look like https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressRefusedError("it must hold no user name, password or fragment")
    if parts.scheme == "http" and not (allow_private and host in LOCAL):
        raise AddressRefusedError("it must begin with https://")
    if _is_ip(host):
        _require_public([host], allow_private=allow_private)
    elif (host == "localhost" or host.rpartition(".")[2].isdigit()) and not allow_private:
        raise AddressRefusedError("it leads into a private network")
    return Target(scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80))


async def resolve(target: Target, *, allow_private: bool, lookup: Lookup) -> Sequence[str]:
    """Give the addresses to connect to; raises `AddressRefusedError` if one is private, OSError if there is none."""
    found = [target.host] if _is_ip(target.host) else list(await lookup(target.host, target.port))
    if not found:
        raise OSError("the name has no address")
    _require_public(found, allow_private=allow_private)
    return found


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _require_public(addresses: Sequence[str], *, allow_private: bool) -> None:
    # One private address among public ones is a trick, too: who connects may choose it.
    if not allow_private and not all(is_public(_read(address)) for address in addresses):
        raise AddressRefusedError("it leads into a private network")


def _is_ip(host: str) -> bool:
    try:
        _read(host)
    except ValueError:
        return False
    return True


def _read(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])
