"""Who calls: the address that limits count by. What a client says about itself counts only through a trusted proxy."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_PREFIX = 64
"""One customer of a provider has a whole network of this size to choose addresses from."""
_FORWARDED_MAX = 20
"""More proxies than any path has; the rest of a longer list is not looked at."""


def client_address(environ: Mapping[str, object], trusted: Sequence[Network]) -> str:
    """Give the caller's address, of IPv6 its network; "" when there is none.

    From the right, each entry of X-Forwarded-For was written by the proxy behind it: the first that is no trusted proxy
    is the client. Anything further left may be invented.
    """
    peer = _parse(str(environ.get("REMOTE_ADDR") or ""))
    if peer is None:
        return ""
    found = peer
    if _is_in(peer, trusted):
        for text in reversed(str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")[-_FORWARDED_MAX:]):
            hop = _parse(text.strip())
            if hop is None:
                break  # not written by a proxy that we trust to write addresses
            found = hop
            if not _is_in(hop, trusted):
                break
    return _shown(found)


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


@functools.lru_cache(maxsize=4096)  # the same few come again and again
def _shown(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False).network_address)
    return str(address)


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
