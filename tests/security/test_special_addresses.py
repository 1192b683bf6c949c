"""Each block of IANA's registries of special-purpose addresses, at its ends and beside them, on every Python alike."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from activities.special_addresses import IPV4, IPV6, is_public
from activities.webhook_addresses import AddressRefusedError, read_target, resolve

PROJECT = Path(__file__).resolve().parents[2]
PUBLIC = [
    *("1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0"),
    *("192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0"),
    *("198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"),
    *("2001:200::", "2001:4860:4860::8888", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:2800:220:1::1", "3ffe::1"),
    "::ffff:8.8.8.8",
]
"""Public ones, most of them just outside a block."""
SPECIAL = [
    # IPv4: the ends of each block of the registry, and the smaller blocks and single addresses inside.
    *("0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255"),
    *("127.0.0.0", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0"),
    *("172.31.255.255", "192.0.0.0", "192.0.0.7", "192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170"),
    *("192.0.0.171", "192.0.0.192", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.31.196.1", "192.52.193.1"),
    *("192.88.99.0", "192.88.99.255", "192.168.0.0", "192.168.255.255", "192.175.48.1", "198.18.0.0"),
    *("198.19.255.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0"),
    *("239.255.255.255", "240.0.0.0", "255.255.255.255"),
    # IPv6: this host, IPv4 in its old and its mapped form, NAT64, discard only, protocol assignments with Teredo,
    # benchmarks, ORCHID and drone ids, documentation, 6to4, AS112, segment routing, local ones, multicast, the rest.
    *("::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:0.0.0.0", "::ffff:10.0.0.1", "::ffff:192.0.0.192"),
    *("::ffff:0:808:808", "64:ff9b::808:808", "64:ff9b::a00:1", "64:ff9b:1::1", "100::", "100::ffff", "100:0:0:1::1"),
    *("2001::", "2001:0:808:808::1", "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1"),
    *("2001:20::1", "2001:30::1", "2001:1ff:ffff::1", "2001:db8::", "2001:db8:ffff::1", "2002::", "2002:808:808::1"),
    *("2002:a00:1::1", "2620:4f:8000::1", "3fff::", "3fff:fff:ffff::1", "4000::1", "5f00::1", "fbff::1"),
    *("fc00::1", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "feff::1", "ff00::", "ff02::1", "ff0e::1"),
]


def _url(address: str) -> str:
    return f"https://[{address}]/" if ":" in address else f"https://{address}/"


def _lookup(*addresses: str):  # type: ignore[no-untyped-def]
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return lookup


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_are_reached(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    target = read_target(_url(address), allow_private=False)
    assert await resolve(target, allow_private=False, lookup=_lookup()) == [target.host]


@pytest.mark.parametrize("address", SPECIAL)
async def test_special_addresses_are_refused_as_literals_and_behind_names(address: str) -> None:
    """As a literal, as the only address of a name, and as one among public ones, first or last."""
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(AddressRefusedError):
        read_target(_url(address), allow_private=False)
    named = read_target("https://tms.example.com/", allow_private=False)
    for found in ((address,), ("8.8.8.8", address), (address, "2606:2800:220:1::1")):
        with pytest.raises(AddressRefusedError):
            await resolve(named, allow_private=False, lookup=_lookup(*found))


@pytest.mark.parametrize("block", [*IPV4, *IPV6], ids=lambda one: one.network)
def test_each_block_of_the_table_has_its_rows(block: tuple[str, str]) -> None:
    """A block that is added needs an address above; none is written with host bits, and none twice."""
    network = ipaddress.ip_network(block[0])
    assert any(address in network for address in map(ipaddress.ip_address, SPECIAL))
    assert [one.network for one in (*IPV4, *IPV6)].count(block[0]) == 1


def test_no_guard_asks_python_which_addresses_are_public() -> None:
    """`is_global` and `is_private` answer otherwise in each release: 192.0.0.0/24 was public in 3.11.7."""
    asks = re.compile(r"\.is_(global|private|reserved|link_local|site_local)\b")
    packages = ("activities", "console", "ops", "qbwc_bridge", "store", "tms_api")
    files = [path for package in packages for path in (PROJECT / package).rglob("*.py")]
    assert len(files) > 50
    assert [str(path) for path in files if asks.search(path.read_text("utf-8"))] == []
