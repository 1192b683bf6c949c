"""Signatures of webhook messages, as Standard Webhooks 1.0 writes them: `v1,` and the base64 of an HMAC-SHA256."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
SECRET_BYTES = 24


def new_secret(randomness: bytes) -> str:
    """Write `SECRET_BYTES` random bytes as a secret."""
    return PREFIX + base64.b64encode(randomness).decode("ascii")


def signed_headers(message_id: str, body: bytes, *, at: datetime, secrets: Sequence[str]) -> Mapping[str, str]:
    """Give the header fields of one try; with several secrets, while one replaces another, a signature of each."""
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_sign(secret, content)}" for secret in secrets),
    }


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")
