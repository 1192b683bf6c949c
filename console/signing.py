"""What the console signs with QBD_SECRET_KEY: sessions, one-time links, messages for the next page, form tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets as randomness
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from itsdangerous import BadSignature, URLSafeSerializer

NONCE_BYTES = 18


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a one-time link says."""

    company_id: str
    nonce: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class ShownPassword:
    """A password of the Web Connector that the browser of whoever made it shows for a while."""

    session_id: str
    company_id: str
    username: str
    password: str
    grace_minutes: int
    old_password_valid_until: datetime | None
    until: datetime


class Signer:
    """Signs and reads; whatever was not signed here, or for another purpose, reads as None."""

    def __init__(self, secret_key: str) -> None:
        self._key = secret_key.encode()
        self._session = self._serializer("console session")
        self._link = self._serializer("console link")
        self._flash = self._serializer("console flash")
        key = hmac.new(self._key, b"console password", hashlib.sha256).digest()
        self._seal = Fernet(base64.urlsafe_b64encode(key))

    def session(self, session_id: str) -> str:
        """Give the value of the session's cookie."""
        return str(self._session.dumps(session_id))

    def read_session(self, cookie: str) -> str | None:
        """Give the id of the session."""
        found = _read(self._session, cookie)
        return found if isinstance(found, str) else None

    def link(self, company_id: str, expires_at: datetime) -> str:
        """Give the token of a link that signs in once, to one company."""
        nonce = randomness.token_urlsafe(NONCE_BYTES)
        return str(self._link.dumps([company_id, nonce, int(expires_at.timestamp())]))

    def read_link(self, token: str) -> Link | None:
        """Read a link's token, run out or not."""
        match _read(self._link, token):
            case [str(company_id), str(nonce), int(expires)]:
                return Link(company_id=company_id, nonce=nonce, expires_at=datetime.fromtimestamp(expires, UTC))
        return None

    def flash(self, messages: list[list[str]]) -> str:
        """Give the cookie with the messages of the next page."""
        return str(self._flash.dumps(messages))

    def read_flash(self, cookie: str) -> list[list[str]]:
        """Read the messages, pairs of kind and text; none when the cookie is not ours."""
        found = _read(self._flash, cookie)
        return found if isinstance(found, list) else []

    def seal(self, shown: ShownPassword) -> str:
        """Encrypt a password for the browser that shows it."""
        old = shown.old_password_valid_until
        plain = asdict(shown) | {
            "old_password_valid_until": old.isoformat() if old is not None else None,
            "until": shown.until.isoformat(),
        }
        return self._seal.encrypt(json.dumps(plain).encode()).decode()

    def unseal(self, cookie: str) -> ShownPassword | None:
        """Read it again; None when it was not sealed here."""
        try:
            plain = json.loads(self._seal.decrypt(cookie.encode()))
        except InvalidToken:
            return None
        old = plain.pop("old_password_valid_until")
        return ShownPassword(
            **plain | {"until": datetime.fromisoformat(plain["until"])},
            old_password_valid_until=datetime.fromisoformat(old) if old is not None else None,
        )

    def form_token(self, bound_to: str) -> str:
        """Give the token of every form of a session, or of a visitor before signing in."""
        return hmac.new(self._key, b"console form\0" + bound_to.encode(), hashlib.sha256).hexdigest()

    def form_token_fits(self, token: str, bound_to: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(token.encode(), self.form_token(bound_to).encode())

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._key, salt=purpose, signer_kwargs={"digest_method": hashlib.sha256})


def _read(serializer: URLSafeSerializer, text: str) -> Any:
    try:
        return serializer.loads(text)
    except BadSignature:
        return None
