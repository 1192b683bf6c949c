"""Making and checking secrets: passwords of Web Connectors, tickets, API keys.

They are long and random, so a salted fast hash is enough (design.md 3.9).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

PASSWORD_BYTES = 18
TICKET_BYTES = 24
KEY_BYTES = 32
_NOBODY = "sha256$00$" + "0" * 64


def new_password() -> str:
    """Give a random password of 24 URL-safe ASCII characters (144 bits)."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def new_ticket() -> str:
    """Give an unguessable session ticket of 192 bits (web-connector.md 5.1, 9)."""
    return secrets.token_urlsafe(TICKET_BYTES)


def new_api_key() -> str:
    """Give a key of 256 bits."""
    return "qbd_" + secrets.token_urlsafe(KEY_BYTES)


def hash_password(password: str) -> str:
    """Give the text to store."""
    salt = secrets.token_hex(16)
    return f"sha256${salt}${_digest(salt, password)}"


def password_matches(password: str, stored: str | None) -> bool:
    """Compare in constant time; an unknown user takes as long as a known one."""
    _, salt, digest = (stored or _NOBODY).split("$")
    return hmac.compare_digest(_digest(salt, password), digest) and stored is not None


def fingerprint(secret: str) -> str:
    """Give the look-up hash of a ticket or key."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(salt: str, password: str) -> str:
    return hashlib.sha256(f"{salt}:{password}".encode("utf-8", "surrogatepass")).hexdigest()
