"""The keys that encrypt what is stored: reading the setting, making a new one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KEY_BYTES = 32
"""AES-256."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")


@dataclass(frozen=True, kw_only=True)
class KeyRing:
    """Keys by id. With none, nothing is encrypted, and nothing encrypted can be read."""

    current: str | None = None
    """The id of the key that encrypts."""
    by_id: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def read_key_ring(text: str) -> KeyRing:
    """Read `id:base64,id:base64`; the first encrypts, all decrypt. Raises `ValueError`, whose text holds no key."""
    by_id: dict[str, bytes] = {}
    for number, part in enumerate(filter(None, (one.strip() for one in text.split(","))), 1):
        key_id, colon, encoded = part.partition(":")
        if not colon or not _ID.fullmatch(key_id):
            raise ValueError(f"entry {number} must look like ID:BASE64; make one with ./qbd keys payload")
        if key_id in by_id:
            raise ValueError(f"the id {key_id} stands there twice; each key needs its own")
        by_id[key_id] = _key(key_id, encoded)
    return KeyRing(current=next(iter(by_id), None), by_id=by_id)


def new_key(key_id: str, randomness: Callable[[int], bytes]) -> str:
    """Make an entry of the setting. Raises `ValueError` when the id cannot be one."""
    if not _ID.fullmatch(key_id):
        raise ValueError("a key's id has 1 to 20 characters A-Z a-z 0-9 _ -")
    return f"{key_id}:{base64.b64encode(randomness(KEY_BYTES)).decode('ascii')}"


def _key(key_id: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the key {key_id} is not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key {key_id} has {len(key)} bytes instead of {KEY_BYTES}")
    return key
