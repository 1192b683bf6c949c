"""Encryption of the few secrets that have to be read again, such as those that sign webhook messages.

AES-256-GCM under the keys of `QBD_PAYLOAD_KEYS`, bound to the place where the secret belongs: one that is copied into
another row cannot be opened. Without a key a secret is stored as it is, and what was stored so stays readable.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.key_ring import KeyRing

NONCE_BYTES = 12
_MARK = "aes:"
_SECRET_PREFIX = "whsec_"  # noqa: S105 the word before each secret of Standard Webhooks


class SecretLockedError(Exception):
    """A secret cannot be opened; the message says why and what to do."""


class SecretBox:
    """Seals `whsec_` secrets into texts of at most 100 characters, and opens them."""

    def __init__(self, keys: KeyRing, *, randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = keys
        self._randomness = randomness

    def seal(self, secret: str, place: str) -> str:
        """Encrypt under the current key, if there is one."""
        key_id = self._keys.current
        if key_id is None:
            return secret
        nonce = self._randomness(NONCE_BYTES)
        plain = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
        sealed = AESGCM(self._keys.by_id[key_id]).encrypt(nonce, plain, _bound(key_id, place))
        return f"{_MARK}{key_id}:{base64.b64encode(nonce + sealed).decode('ascii')}"

    def open(self, stored: str, place: str) -> str:
        """Give the secret; raises `SecretLockedError`."""
        if not stored.startswith(_MARK):
            return stored
        key_id, _, text = stored.removeprefix(_MARK).partition(":")
        key = self._keys.by_id.get(key_id)
        if key is None:
            raise SecretLockedError(f"A secret is encrypted with the key {key_id!r}, which QBD_PAYLOAD_KEYS lacks.")
        data = base64.b64decode(text)
        try:
            plain = AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _bound(key_id, place))
        except (InvalidTag, ValueError):
            raise SecretLockedError(f"A secret does not fit the key {key_id!r} of QBD_PAYLOAD_KEYS.") from None
        return _SECRET_PREFIX + base64.b64encode(plain).decode("ascii")

    def needs_sealing(self, stored: str) -> bool:
        """Say whether it is in clear or under another key than the current one."""
        return self._keys.current is not None and not stored.startswith(f"{_MARK}{self._keys.current}:")


NO_KEYS = SecretBox(KeyRing())
"""Leaves secrets as they are; refuses sealed ones."""


def _bound(key_id: str, place: str) -> bytes:
    return f"{_MARK}{key_id}\n{place}".encode()
