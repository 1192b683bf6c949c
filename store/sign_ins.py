"""Limits on guessing the passwords of Web Connectors, in the database, so that all bridges count together.

A sign-in that is allowed costs no statement of its own (the look rides on the one that finds the company) and writes
nothing here; only a wrong password writes. A limit that is reached holds until its window ends, a quarter of an hour
after the first failure in it: a Web Connector calls about as often, so its owner misses one run at most. What a
stranger does elsewhere never shuts out the address from which the company signed in last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Exists,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, defer

from store.sign_in_tables import SignInFailures
from store.tables import Company, UtcDateTime

WINDOW = timedelta(minutes=15)
BOTH_MAX = 20
"""Wrong passwords of one company from one address: a PC that polls each minute with an old one stays below."""
COMPANY_MAX = 60
"""Of one company from everywhere."""
ADDRESS_MAX = 200
"""From one address for any company: a hosting provider has many PCs behind one address, some with an old password."""
KEPT = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class SigningIn:
    """The company that a user name belongs to, and whether the limits let it try."""

    company: Company | None
    is_held: bool


def look_up(session: Session, username: str, *, address: str, now: datetime) -> SigningIn:
    """Find the company of a user name and lock it as `lock_company` does. One statement.

    `is_held`: no password is looked at now, right or wrong.
    """
    row = session.execute(_look_up(), {"username": username, "address": address, "since": now - WINDOW}).first()
    if row is None:
        # Unknown names are counted by address only, and an unknown address has no failures yet.
        return SigningIn(company=None, is_held=is_address_held(session, address, now=now))
    return SigningIn(company=row[0], is_held=bool(row[1]))


@cache
def _look_up() -> Select[Company, bool]:
    """Built once: every sign-in with work asks it."""
    held = is_held(bindparam("address", type_=String()), bindparam("since", type_=UtcDateTime()))
    query = select(Company, held).where(Company.username == bindparam("username"))
    return query.options(defer(Company.mapping)).with_for_update(key_share=True, of=Company)


def is_address_held(session: Session, address: str, *, now: datetime) -> bool:
    """Say whether an address has reached its limit."""
    found = session.get(SignInFailures, f"address {address}") if address else None
    return found is not None and found.since > now - WINDOW and found.count >= ADDRESS_MAX


def note_failure(session: Session, company_id: str | None, *, address: str, now: datetime) -> bool:
    """Count a wrong password; says whether this was the one that reached a limit of the company's."""
    reached = False
    # In one order, so that two bridges never wait for each other.
    for subject, limit in sorted(_subjects(company_id, address)):
        reached |= _count(session, subject, now=now) == limit and not subject.startswith("address")
    return reached


def forget_old(session: Session, *, now: datetime) -> None:
    """Drop what no window needs any more."""
    session.execute(delete(SignInFailures).where(SignInFailures.since < now - KEPT))


def is_held(address: ColumnElement[str], since: ColumnElement[datetime]) -> Exists:
    """Say, beside a row of `Company`, whether a limit of it is reached for an address, by failures after `since`."""
    row = SignInFailures
    both, company, anybody = (
        "both " + Company.id + " " + address,
        "company " + Company.id,
        literal("address ") + address,
    )
    elsewhere = or_(
        and_(row.subject == company, row.count >= COMPANY_MAX), and_(row.subject == anybody, row.count >= ADDRESS_MAX)
    )
    is_stranger = or_(Company.last_address.is_(None), Company.last_address != address)
    # The list first: each is a look into the primary key.
    query = select(row.subject).where(
        row.subject.in_([both, company, anybody]),
        row.since > since,
        or_(and_(row.subject == both, row.count >= BOTH_MAX), and_(is_stranger, elsewhere)),
    )
    return query.correlate(Company).exists()


def _subjects(company_id: str | None, address: str) -> Iterator[tuple[str, int]]:
    if address:
        yield f"address {address}", ADDRESS_MAX
    if company_id is not None:
        yield f"company {company_id}", COMPANY_MAX
        yield f"both {company_id} {address}", BOTH_MAX


def _count(session: Session, subject: str, *, now: datetime) -> int:
    row = SignInFailures
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    is_over = row.since <= now - WINDOW
    statement = insert(row).values(subject=subject, since=now, count=1)
    statement = statement.on_conflict_do_update(
        index_elements=[row.subject],
        set_={"since": case((is_over, now), else_=row.since), "count": case((is_over, 1), else_=row.count + 1)},
    )
    return int(session.scalars(statement.returning(row.count)).one())
