"""Companies and API keys: look-ups and small changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

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
    query = select(Company).where(Company.id == company_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def company_by_username(session: Session, username: str) -> Company | None:
    """Find the company whose Web Connector signs in with this name."""
    return session.scalar(select(Company).where(Company.username == username))


def companies(session: Session, *, after: str = "", limit: int = 100) -> Sequence[Company]:
    """List companies by id, at most `limit`, those behind `after`."""
    return session.scalars(select(Company).where(Company.id > after).order_by(Company.id).limit(limit)).all()


def api_key(session: Session, key_hash: str) -> ApiKey | None:
    """Find a key that was not revoked, by its hash."""
    return session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None)))


def api_keys(session: Session) -> Sequence[ApiKey]:
    """List all keys, revoked ones too, oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at)).all()


def record_incident(session: Session, *, company_id: str | None, at: datetime, code: str, text: str) -> None:
    """Keep a sentence for the operator."""
    session.add(Incident(company_id=company_id, at=at, code=code, text=text[:INCIDENT_TEXT_MAX]))


def record_incident_once(
    session: Session, *, company_id: str, at: datetime, code: str, text: str, within: timedelta
) -> None:
    """Keep a sentence unless the same one was kept lately: what repeats at every session would bury the rest."""
    query = select(Incident.id).where(
        Incident.company_id == company_id, Incident.code == code, Incident.text == text, Incident.at > at - within
    )
    if session.scalar(query.limit(1)) is None:
        record_incident(session, company_id=company_id, at=at, code=code, text=text)


def incidents(session: Session, company_id: str, limit: int = 20) -> Sequence[Incident]:
    """List a company's incidents, newest first."""
    query = select(Incident).where(Incident.company_id == company_id).order_by(Incident.id.desc()).limit(limit)
    return session.scalars(query).all()


def mapping_sections(session: Session, section: str, *, besides: str, limit: int) -> list[dict[str, Any]]:
    """Give one section of the mappings of the companies that were connected last, without reading the rest."""
    query = select(Company.mapping[section]).where(Company.id != besides).order_by(Company.created_at.desc())
    return [part for part in session.scalars(query.limit(limit)) if isinstance(part, dict)]
