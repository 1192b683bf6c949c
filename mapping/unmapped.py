"""What documents use and the mapping does not say, counted, with the names by which the TMS knows it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mapping.documents import CarrierBill, Invoice
from mapping.links import links_of
from mapping.roles import Role
from mapping.rules import CompanyMapping

Side = Literal["invoice", "carrier_bill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmapped:
    """One entry that the mapping lacks."""

    section: str
    key: str
    side: Side | None
    """Which side of a charge; None in the other sections."""
    role: Role
    name: str
    uses: int
    """In how many places of the documents it stands."""


def unmapped(documents: Iterable[Invoice | CarrierBill], mapping: CompanyMapping) -> list[Unmapped]:
    """Collect what is missing, what is used most first.

    A charge that only the company's default covers is not missing: somebody chose that on purpose.
    """
    uses: Counter[tuple[str, str, Side | None]] = Counter()
    names: dict[tuple[str, str, Side | None], Counter[str]] = defaultdict(Counter)
    roles: dict[tuple[str, str, Side | None], Role] = {}
    for document in documents:
        for link in links_of(document, mapping):
            if link.target is None:
                key = (link.section, link.key, document.kind if link.section == "charges" else None)
                uses[key] += 1
                names[key][link.name] += 1
                roles[key] = link.role
    order = sorted(uses, key=lambda key: (-uses[key], key[0], key[1], key[2] or ""))
    return [
        Unmapped(
            section=key[0],
            key=key[1],
            side=key[2],
            role=roles[key],
            name=names[key].most_common(1)[0][0],
            uses=uses[key],
        )
        for key in order
    ]
