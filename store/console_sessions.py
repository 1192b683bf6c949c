"""Sessions of the console and used links: opening, finding, ending. Ids are random; only their hashes are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from store import secrets
from store.console_tables import ConsoleSession, UsedConsoleLink
from store.tables import ApiKey


def open_session(
    session: Session, *, key_id: str | None, company_id: str | None, now: datetime, expires_at: datetime
) -> str:
    """Start a session, forget those that ran out, and give its id: 192 random bits."""
    session.execute(delete(ConsoleSession).where(ConsoleSession.expires_at <= now))
    session_id = secrets.new_ticket()
    session.add(
        ConsoleSession(
            id_hash=secrets.fingerprint(session_id),
            key_id=key_id,
            company_id=company_id,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return session_id


def find_session(session: Session, session_id: str, *, now: datetime) -> ConsoleSession | None:
    """Find a session that was not ended and has not run out."""
    found = session.get(ConsoleSession, secrets.fingerprint(session_id))
    return found if found is not None and found.expires_at > now else None


def live_key(session: Session, key_id: str, *, now: datetime) -> ApiKey | None:
    """Find a key by its id unless it was revoked or has run out."""
    found = session.get(ApiKey, key_id)
    if found is None or found.revoked_at is not None or (found.expires_at is not None and found.expires_at <= now):
        return None
    return found


def end_session(session: Session, session_id: str) -> None:
    """End a session; a second time changes nothing."""
    session.execute(delete(ConsoleSession).where(ConsoleSession.id_hash == secrets.fingerprint(session_id)))


def use_link(session: Session, nonce: str, *, now: datetime, expires_at: datetime) -> bool:
    """Mark a link as used; False when it was used before, by whichever process."""
    session.execute(delete(UsedConsoleLink).where(UsedConsoleLink.expires_at <= now))
    try:
        with session.begin_nested():
            session.add(UsedConsoleLink(id_hash=secrets.fingerprint(nonce), used_at=now, expires_at=expires_at))
    except IntegrityError:
        return False
    return True


def is_link_used(session: Session, nonce: str) -> bool:
    """Say whether a link signed somebody in before."""
    return session.get(UsedConsoleLink, secrets.fingerprint(nonce)) is not None
