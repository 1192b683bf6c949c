"""Notes of when and from where the Web Connectors of companies were heard of last.

A poll that finds nothing to do leaves nothing else behind, so a bridge gathers its notes and writes them together.
Nothing rests on one that a crash takes along: the next poll brings the next.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, String, Update, bindparam, func, or_, update
from sqlalchemy.orm import Session

from store.changes import change_row
from store.engine import Database
from store.polls import Glance
from store.tables import Company, UtcDateTime
from store.within import connection_of

VERSION_MAX = 40
AT_ONCE = 100
"""Notes that one statement writes at most: sessions wait for the rows meanwhile, on SQLite for all of them."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A Web Connector signed in with the right password."""

    company_id: str
    address: str
    version: str
    """The Web Connector's; "" where it is not known, and what was known before stays."""
    at: datetime


def note(connection: Connection, seen: Sighting) -> None:
    """Write one at once. In a transaction it holds the company's row, as `lock_company` does."""
    connection.execute(_note(), _values(seen))


def note_if_nothing_came(session: Session, seen: Sighting, glance: Glance) -> None:
    """Write one with the other changes, which then fail with `StaleDataError` if anybody signed in since that glance.

    So do they if the company's passwords are not the same any more.
    """
    version = seen.version[:VERSION_MAX] or glance.web_connector_version
    change_row(
        session,
        Company,
        known={
            "id": glance.company_id,
            "last_seen_at": glance.last_seen_at,
            "password_hash": glance.password_hash,
            "previous_password_hash": glance.previous_password_hash,
            "previous_password_until": glance.previous_password_until,
        },
        values={"last_seen_at": seen.at, "last_address": seen.address, "web_connector_version": version},
    )


class Sightings:
    """Keeps what was seen until it is written; used from every thread of a bridge."""

    def __init__(self) -> None:
        self._kept: dict[str, Sighting] = {}
        self._lock = threading.Lock()

    def keep(self, seen: Sighting) -> None:
        """Keep the newest of each company, with the newest version that is known."""
        with self._lock:
            older, newer = sorted((self._kept.get(seen.company_id, seen), seen), key=lambda one: one.at)
            self._kept[seen.company_id] = newer if newer.version else replace(newer, version=older.version)

    def write(self, database: Database) -> int:
        """Write what is kept; gives how many. What could not be written is kept, and the error passed on."""
        with self._lock:
            kept, self._kept = self._kept, {}
        left = [kept[company_id] for company_id in sorted(kept)]  # in one order: two bridges never block each other
        count = len(left)
        try:
            while left:
                with database.transaction(waits=False) as session:
                    connection_of(session).execute(_note_later(), [_values(seen) for seen in left[:AT_ONCE]])
                del left[:AT_ONCE]
        finally:
            for seen in left:
                self.keep(seen)
        return count


def _values(seen: Sighting) -> dict[str, object]:
    version = seen.version[:VERSION_MAX]
    return {"company": seen.company_id, "address": seen.address, "version": version, "now": seen.at}


@cache
def _note() -> Update:
    """Built once, as is the next one: building takes longer than running."""
    now = bindparam("now", type_=UtcDateTime())
    version = func.coalesce(func.nullif(bindparam("version", type_=String()), ""), Company.web_connector_version)
    return (
        update(Company.__table__)  # type: ignore[arg-type]
        .where(Company.id == bindparam("company"))
        .values(last_seen_at=now, last_address=bindparam("address", type_=String()), web_connector_version=version)
    )


@cache
def _note_later() -> Update:
    """Leave what somebody else saw later."""
    is_older = Company.last_seen_at < bindparam("now", type_=UtcDateTime())
    return _note().where(or_(Company.last_seen_at.is_(None), is_older))
