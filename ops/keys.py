"""Keys of the HTTP API: making, listing, revoking."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from ops.database import open_database
from ops.problems import ProblemError
from ops.settings import Settings
from store import companies
from store.engine import Database
from store.secrets import fingerprint, new_api_key
from store.tables import ApiKey

NAME_MAX = 100


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


def create_key(settings: Settings, name: str) -> NewKey:
    """Make a key and store its hash."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX:
        raise ProblemError(f"A key's name has 1 to {NAME_MAX} characters.")
    made = NewKey(f"key_{secrets.token_hex(5)}", new_api_key())
    with checked_database(settings) as database, database.transaction() as session:
        session.add(ApiKey(id=made.id, name=name, key_hash=fingerprint(made.key), created_at=datetime.now(UTC)))
    return made


def list_keys(settings: Settings) -> list[str]:
    """Give one line per key, oldest first."""
    with checked_database(settings) as database, database.transaction() as session:
        found = companies.api_keys(session)
        if not found:
            return ["There are no keys yet; make one with: ./qbd keys create NAME"]
        return [
            f"{key.id}  {key.created_at:%Y-%m-%d %H:%M}Z  "
            + (f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active".ljust(18))
            + f"  {key.name}"
            for key in found
        ]


def revoke_key(settings: Settings, key_id: str) -> None:
    """Mark a key as revoked; a second time changes nothing."""
    with checked_database(settings) as database, database.transaction() as session:
        key = session.get(ApiKey, key_id)
        if key is None:
            raise ProblemError(f"There is no key {key_id}; see: ./qbd keys list")
        key.revoked_at = key.revoked_at or datetime.now(UTC)
