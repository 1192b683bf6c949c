"""Postal addresses in the block of short lines that QuickBooks has for them."""

from __future__ import annotations

import textwrap

from mapping.documents import Address
from mapping.findings import Findings
from qbxml import values

LINE_LENGTH = 41
MAX_LINES = 5
_REASON = "The address has at most five lines of 41 characters in QuickBooks."


def map_address(address: Address | None, path: str, field: str, findings: Findings) -> values.Address | None:
    """Lay an address out; lines that do not fit are wrapped, then joined, then cut, and each of that is reported."""
    if address is None:
        return None
    given = [address.name, *address.street]
    paths = [f"{path}.name", *(f"{path}.street[{i}]" for i in range(len(address.street)))]
    cleaned = [findings.text(where, field, text) for where, text in zip(paths, given, strict=True)]
    lines = [line for line in cleaned if line]
    block = _block(lines)
    if block != lines:
        findings.change(path, field, "\n".join(lines), "\n".join(block), _REASON)
    city = findings.text(f"{path}.city", f"{field}.City", address.city, 31)
    state = findings.text(f"{path}.state", f"{field}.State", address.state, 21)
    postal_code = findings.text(f"{path}.postal_code", f"{field}.PostalCode", address.postal_code, 13)
    country = findings.text(f"{path}.country", f"{field}.Country", address.country, 31)
    if not (block or city or state or postal_code or country):
        # An address of nothing would erase the one that QuickBooks has.
        return None
    padded: list[str | None] = [*block, *[None] * MAX_LINES]
    addr1, addr2, addr3, addr4, addr5 = padded[:MAX_LINES]
    return values.Address(
        addr1=addr1,
        addr2=addr2,
        addr3=addr3,
        addr4=addr4,
        addr5=addr5,
        city=city,
        state=state,
        postal_code=postal_code,
        country=country,
    )


def _block(lines: list[str]) -> list[str]:
    pieces = [piece for line in lines for piece in textwrap.wrap(line, LINE_LENGTH)]
    if len(pieces) <= MAX_LINES:
        return pieces
    # Joined with commas, short street lines share a line; only what then still remains is lost.
    joined = textwrap.wrap(", ".join(lines[1:]), LINE_LENGTH)
    return [*textwrap.wrap(lines[0], LINE_LENGTH), *joined][:MAX_LINES]
