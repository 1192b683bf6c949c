"""Keys of the HTTP API: making, listing, revoking."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from ops.database import open_database
from ops.problems import ProblemError
from ops.settings import Settings
from store import companies
from store.engine import Database
from store.secret_box import SecretBox
from store.secrets import fingerprint, new_api_key
from store.tables import ApiKey
from store.webhook_tables import Webhook
from store.webhooks import secret_place

NAME_MAX = 100
ADMIN = "admin"
SCOPES = ("read", "export", "configure", ADMIN)
"""As `tms_api.access.Scope`, which a command line should not have to load."""


class NewKey(NamedTuple):
    """A fresh key; its text is kept nowhere."""

    id: str
    key: str


@contextmanager
def checked_database(settings: Settings) -> Iterator[Database]:
    """Open the database for one command; raise when it does not answer or is not migrated."""
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


def create_key(
    settings: Settings,
    name: str,
    *,
    company: str | None = None,
    scopes: Sequence[str] = (ADMIN,),
    days: int | None = None,
) -> NewKey:
    """Make a key and store its hash; for one company or all, with these scopes, for ever or some days."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX:
        raise ProblemError(f"A key's name has 1 to {NAME_MAX} characters.")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise ProblemError(f"There is no scope {unknown[0]!r}; choose from {', '.join(SCOPES)}.")
    made = NewKey(f"key_{secrets.token_hex(5)}", new_api_key())
    now = datetime.now(UTC)
    with checked_database(settings) as database, database.transaction() as session:
        if company is not None and companies.company(session, company) is None:
            raise ProblemError(f"There is no company {company}; connect it first.")
        session.add(
            ApiKey(
                id=made.id,
                name=name,
                key_hash=fingerprint(made.key),
                company_id=company,
                scopes=" ".join(one for one in SCOPES if one in scopes),
                created_at=now,
                expires_at=now + timedelta(days=days) if days is not None else None,
            )
        )
    return made


def list_keys(settings: Settings) -> list[str]:
    """Give one line per key, oldest first."""
    with checked_database(settings) as database, database.transaction() as session:
        found = companies.api_keys(session)
        if not found:
            return ["There are no keys yet; make one with: ./qbd keys create NAME"]
        return [
            f"{key.id}  {key.created_at:%Y-%m-%d %H:%M}Z  {_state(key, datetime.now(UTC)):18}  "
            f"{key.company_id or 'all companies'}  {key.scopes.replace(' ', ',')}  {key.name}"
            for key in found
        ]


def revoke_key(settings: Settings, key_id: str) -> None:
    """Mark a key as revoked; a second time changes nothing."""
    with checked_database(settings) as database, database.transaction() as session:
        key = session.get(ApiKey, key_id)
        if key is None:
            raise ProblemError(f"There is no key {key_id}; see: ./qbd keys list")
        key.revoked_at = key.revoked_at or datetime.now(UTC)


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "active"
    return f"{'until' if key.expires_at > now else 'ran out'} {key.expires_at:%Y-%m-%d}"


def reseal_secrets(settings: Settings) -> int:
    """Encrypt the webhooks' secrets under the first key of QBD_PAYLOAD_KEYS; gives how many were changed.

    Raises `ProblemError` without a key, `SecretLockedError` when one is under a key that the setting lacks.
    """
    ring = settings.payload_key_ring
    if ring.current is None:
        raise ProblemError("QBD_PAYLOAD_KEYS is not set; make a key with: ./qbd keys payload ID")
    box = SecretBox(ring)
    changed = 0
    with checked_database(settings) as database, database.transaction() as session:
        for row in session.scalars(select(Webhook).with_for_update()):
            place = secret_place(row.id)
            for name in ("secret", "previous_secret"):
                stored = getattr(row, name)
                if stored is not None and box.needs_sealing(stored):
                    setattr(row, name, box.seal(box.open(stored, place), place))
                    changed += 1
    return changed
