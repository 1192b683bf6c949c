"""Which IP addresses belong to the public internet: our own table, because Python's differs between its versions.

Source: IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890 and the registries' later entries),
of multicast, and of global unicast addresses for IPv6 (RFC 4291: only 2000::/3 is given out).
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Special(NamedTuple):
    """A block that no public service has."""

    network: str
    name: str


IPV4 = (
    Special("0.0.0.0/8", "this network"),
    Special("10.0.0.0/8", "private use"),
    Special("100.64.0.0/10", "shared by a provider's customers"),
    Special("127.0.0.0/8", "loopback"),
    Special("169.254.0.0/16", "link local; metadata services of clouds"),
    Special("172.16.0.0/12", "private use"),
    # Holds DS-Lite, the dummy address 192.0.0.8, and discovery of NAT64; 192.0.0.9 and .10 are anycast inside networks.
    Special("192.0.0.0/24", "protocol assignments"),
    Special("192.0.2.0/24", "documentation"),
    Special("192.31.196.0/24", "AS112"),
    Special("192.52.193.0/24", "AMT relays"),
    Special("192.88.99.0/24", "6to4 relays, given up"),
    Special("192.168.0.0/16", "private use"),
    Special("192.175.48.0/24", "AS112"),
    Special("198.18.0.0/15", "benchmarks of devices"),
    Special("198.51.100.0/24", "documentation"),
    Special("203.0.113.0/24", "documentation"),
    Special("224.0.0.0/4", "multicast"),
    Special("240.0.0.0/4", "reserved, and broadcast"),
)
IPV6 = (
    # Holds Teredo 2001::/32, benchmarks 2001:2::/48, ORCHID 2001:10::/28 and 2001:20::/28, and drone ids 2001:30::/28.
    Special("2001::/23", "protocol assignments"),
    Special("2001:db8::/32", "documentation"),
    Special("2002::/16", "6to4: stands for an IPv4 address"),
    Special("2620:4f:8000::/48", "AS112"),
    Special("3fff::/20", "documentation"),
)
IPV6_GIVEN_OUT = "2000::/3"
"""Everything outside is special: ::1, ::, IPv4 in its old form, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard only
(100::/64), segment routing (5f00::/16), unique local (fc00::/7), link local (fe80::/10), site local (fec0::/10), and
multicast (ff00::/8). An IPv4-mapped address (::ffff:0:0/96) is judged as the IPv4 address that it stands for."""

_IPV4 = tuple(ipaddress.IPv4Network(one.network) for one in IPV4)
_IPV6 = tuple(ipaddress.IPv6Network(one.network) for one in IPV6)
_IPV6_GIVEN_OUT = ipaddress.IPv6Network(IPV6_GIVEN_OUT)


def is_public(address: Address) -> bool:
    """Say whether a service of the public internet may have this address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return address in _IPV6_GIVEN_OUT and not any(address in network for network in _IPV6)
        address = address.ipv4_mapped
    return not any(address in network for network in _IPV4)
