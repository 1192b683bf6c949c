"""Which connections end when too many requests are half sent: the slowest of whoever holds the most. Pure.

A request that is not whole holds memory and no thread, so many may be under way, behind one proxy too. What bounds them
never refuses a newcomer, whose request may be whole in a moment: it ends the one that crept longest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

BODIES_OF_ADDRESS_MAX = 64
BODIES_MAX = 512
BYTES_MAX = 256 << 20
"""In memory, of all requests that are half sent."""
GRACE_S = 1.0
"""A younger request is slow only when all of its address are as young: it may just have been overtaken."""

Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Half(Generic[Key]):
    """A request whose header is here and whose body is not; `kept_bytes` of those that came are held in memory."""

    key: Key
    address: str
    age_s: float
    came_bytes: int
    kept_bytes: int


def who_ends(halves: Sequence[Half[Key]]) -> list[Key]:
    """Give those to end, so that the rest keeps within the bounds."""
    by_address: defaultdict[str, list[Half[Key]]] = defaultdict(list)
    for half in halves:
        by_address[half.address].append(half)
    count, held = len(halves), sum(half.kept_bytes for half in halves)
    ended: list[Key] = []
    while count:
        crowd = max(by_address.values(), key=len)
        if held > BYTES_MAX:
            crowd = max(by_address.values(), key=lambda those: sum(half.kept_bytes for half in those))
        elif len(crowd) <= BODIES_OF_ADDRESS_MAX and count <= BODIES_MAX:
            break
        slowest = _slowest(crowd)
        crowd.remove(slowest)
        count, held = count - 1, held - slowest.kept_bytes
        ended.append(slowest.key)
    return ended


def most_of_one(addresses: Sequence[str]) -> str:
    """Give the address that holds the most connections, to end one of them when there are too many of any kind."""
    return Counter(addresses).most_common(1)[0][0]


def _slowest(halves: Sequence[Half[Key]]) -> Half[Key]:
    old = [half for half in halves if half.age_s >= GRACE_S] or halves
    return min(old, key=lambda half: (half.came_bytes / max(half.age_s, GRACE_S), -half.age_s))
