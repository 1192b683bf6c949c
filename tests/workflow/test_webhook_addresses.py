"""Where webhooks may lead: the tricks with which a server is made to call into its own network."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.webhook_addresses import AddressRefusedError, read_target, resolve
from activities.webhook_signing import signed_headers
from tests.support.stores import Clock


def _lookup(*addresses: str):  # type: ignore[no-untyped-def]
    async def lookup(host: str, port: int) -> Sequence[str]:
        return addresses

    return lookup


@pytest.mark.parametrize(
    "url",
    [
        "http://tms.example.com/",
        "http://localhost/",
        "https://localhost/",
        "https://localhost./",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://10.0.0.5/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fc00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://[::7f00:1]/",
        "https://[fec0::1]/",
        "https://[5f00::1]/",
        "https://192.88.99.1/",
        "https://[::ffff:192.88.99.1]/",
        "https://user:pass@tms.example.com/",
        "https://tms.example.com/#part",
        "https://tms.example.com:99999/",
        "https://",
        "https:///path",
        "ftp://tms.example.com/",
        "file:///etc/passwd",
        "gopher://tms.example.com/",
        "https://tms.example.com/a b",
        "https://tms.example.com\\@127.0.0.1/",
        "https://tms.example.com/\r\nX: y",
        "https://t\u00e4st.example/",
        "https://tms.example.com/" + "a" * 2000,
        "",
        "tms.example.com",
    ],
)
async def test_refused_addresses(url: str) -> None:
    """Each is refused by its form, or by what a resolver makes of it."""
    with pytest.raises(AddressRefusedError):
        # What the C library reads as an address of this machine, a resolver gives as one.
        await resolve(read_target(url, allow_private=False), allow_private=False, lookup=_lookup("127.0.0.1"))


@pytest.mark.parametrize(
    "url", ["https://tms.example.com/hook?a=b", "https://tms.example.com:8443/", "https://8.8.8.8/"]
)
async def test_public_addresses(url: str) -> None:
    """Names and literal addresses of the public network are fine."""
    target = read_target(url, allow_private=False)
    assert await resolve(target, allow_private=False, lookup=_lookup("93.184.216.34", "2606:2800:220:1::1"))


async def test_one_private_address_among_public_ones_is_enough() -> None:
    """Whoever answers for the name could choose which one is used."""
    target = read_target("https://tms.example.com/", allow_private=False)
    for private in ("10.0.0.1", "::1", "::ffff:192.168.0.1", "169.254.169.254"):
        with pytest.raises(AddressRefusedError):
            await resolve(target, allow_private=False, lookup=_lookup("93.184.216.34", private))


def test_localhost_is_for_development_only() -> None:
    """With the setting http works, too, but only there."""
    assert read_target("http://localhost:9000/", allow_private=True).port == 9000
    with pytest.raises(AddressRefusedError, match="https"):
        read_target("http://tms.example.com/", allow_private=True)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """No text makes it stumble."""
    try:
        target = read_target("https://" + text, allow_private=False)
    except AddressRefusedError:
        return
    assert target.host
    assert target.scheme == "https"


def test_the_example_of_the_standard() -> None:
    """Standard Webhooks' own test vector."""
    clock = Clock()
    clock.now = clock.now.fromtimestamp(1614265330, clock.now.tzinfo)
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        at=clock(),
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
