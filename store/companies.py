"""Companies and API keys: look-ups and small changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from store import secrets, step_queries
from store.tables import ApiKey, Company, Incident

INCIDENT_TEXT_MAX = 2000


def company(session: Session, company_id: str) -> Company | None:
    """Find a company by id."""
    return session.get(Company, company_id)


def lock_company(session: Session, company_id: str) -> Company | None:
    """Find a company and hold its row to the end of the transaction.

    Everything that moves a request takes this lock first, so no two processes decide on one request at a time. SQLite
    holds the whole database anyway.
    """
    return session.scalar(step_queries.lock_company(), {"company": company_id})


class Passwords(Protocol):
    """The passwords of a connection, as `Company` and `polls.Glance` have them."""

    @property
    def password_hash(self) -> str: ...  # noqa: D102
    @property
    def previous_password_hash(self) -> str | None: ...  # noqa: D102
    @property
    def previous_password_until(self) -> datetime | None: ...  # noqa: D102


def signs_in(owner: Passwords | None, password: str, *, now: datetime) -> bool:
    """Say whether the password is this company's, or the one before it within its grace time.

    Both are always compared, so the time of the answer tells nothing; an unknown user takes as long as a known one.
    """
    current = secrets.password_matches(password, owner.password_hash if owner else None)
    previous = secrets.password_matches(password, owner.previous_password_hash if owner else None)
    is_in_grace = owner is not None and (owner.previous_password_until or now) > now
    return current | (previous & is_in_grace)


def renew_password(owner: Company, password_hash: str, *, old_until: datetime | None) -> None:
    """Put a new password in place; the old one goes on until `old_until`, or ends now when that is None."""
    owner.previous_password_hash = owner.password_hash if old_until is not None else None
    owner.previous_password_until = old_until
    owner.password_hash = password_hash


def companies(session: Session, *, after: str = "", limit: int = 100, only: str | None = None) -> Sequence[Company]:
    """List companies by id, at most `limit`, those behind `after`; with `only`, at most that one."""
    query = select(Company).where(Company.id > after)
    if only is not None:
        query = query.where(Company.id == only)
    return session.scalars(query.order_by(Company.id).limit(limit)).all()


def api_key(session: Session, key_hash: str, *, now: datetime) -> ApiKey | None:
    """Find a key that was neither revoked nor has run out, by its hash."""
    found = session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None)))
    if found is None or (found.expires_at is not None and found.expires_at <= now):
        return None
    return found


def api_keys(session: Session) -> Sequence[ApiKey]:
    """List all keys, revoked ones too, oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at)).all()


def record_incident(session: Session, *, company_id: str | None, at: datetime, code: str, text: str) -> None:
    """Keep a sentence for the operator."""
    session.add(Incident(company_id=company_id, at=at, code=code, text=text[:INCIDENT_TEXT_MAX]))


def record_incident_once(
    session: Session, *, company_id: str | None, at: datetime, code: str, text: str, within: timedelta
) -> None:
    """Keep a sentence unless the same one was kept lately: what repeats at every session would bury the rest."""
    query = select(Incident.id).where(
        Incident.company_id == company_id, Incident.code == code, Incident.text == text, Incident.at > at - within
    )
    if session.scalar(query.limit(1)) is None:
        record_incident(session, company_id=company_id, at=at, code=code, text=text)


def incidents(session: Session, company_id: str, limit: int = 20) -> Sequence[Incident]:
    """List a company's incidents, newest first."""
    query = select(Incident).where(Incident.company_id == company_id)
    return session.scalars(query.order_by(Incident.at.desc(), Incident.id.desc()).limit(limit)).all()


def mapping_sections(session: Session, section: str, *, besides: str, limit: int) -> list[dict[str, Any]]:
    """Give one section of the mappings of the companies that were connected last, without reading the rest."""
    query = select(Company.mapping[section]).where(Company.id != besides).order_by(Company.created_at.desc())
    return [part for part in session.scalars(query.limit(limit)) if isinstance(part, dict)]


def last_incident_at(session: Session, company_id: str, code: str) -> datetime | None:
    """Give when an incident of this kind happened last."""
    query = select(Incident.at).where(Incident.company_id == company_id, Incident.code == code)
    return session.scalar(query.order_by(Incident.at.desc()).limit(1))
