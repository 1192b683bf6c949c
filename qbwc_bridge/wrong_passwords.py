"""What a wrong password leaves behind: a count, a sentence for the operator, and the connection's problem."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from store import sign_ins, webhooks
from store.companies import record_incident_once
from store.tables import Company

REFUSED = "wrong_password"
REFUSED_TEXT = "A Web Connector signed in with a wrong password. Enter the password again in its list."
TOO_MANY = "too_many_wrong_passwords"
TOO_MANY_TEXT = "So many wrong passwords came that sign-ins wait for up to 15 minutes."
STEP = "Enter the password in the Web Connector's list again; if it is lost, make a new one."
WAIT_STEP = f"{STEP} Then wait 15 minutes before the next update."
ELSEWHERE = "wrong_passwords_elsewhere"
ELSEWHERE_TEXT = (
    "Many wrong passwords came from another address than the company's own. They are held off; its own Web Connector "
    "goes on."
)
CODES = (REFUSED, TOO_MANY)
"""Problems that end with a good sign-in."""
INCIDENT_PAUSE = timedelta(hours=1)
MISSED_RUNS = 3


def note(session: Session, owner: Company | None, *, address: str, now: datetime) -> None:
    """Count it; tell of it unless it is a stranger's while the company's own Web Connector works."""
    reached = sign_ins.note_failure(session, owner.id if owner is not None else None, address=address, now=now)
    if owner is None:
        return
    if _works_from_elsewhere(owner, address, now):
        if reached:
            _incident(session, owner, ELSEWHERE, ELSEWHERE_TEXT, now)
        return
    cause = TOO_MANY_TEXT if reached else REFUSED_TEXT
    problem = {
        "code": TOO_MANY if reached else REFUSED,
        "cause": cause,
        "owner": "bookkeeper",
        "next_step": WAIT_STEP if reached else STEP,
        "at": now.isoformat(),
    }
    owner.problem = webhooks.noted_problem(session, owner, problem, at=now)
    _incident(session, owner, TOO_MANY if reached else REFUSED, cause, now)


def _works_from_elsewhere(owner: Company, address: str, now: datetime) -> bool:
    if not address or not owner.last_address or owner.last_address == address or owner.last_seen_at is None:
        return False
    return now - owner.last_seen_at <= MISSED_RUNS * timedelta(minutes=owner.run_every_minutes)


def _incident(session: Session, owner: Company, code: str, text: str, now: datetime) -> None:
    record_incident_once(session, company_id=owner.id, at=now, code=code, text=text, within=INCIDENT_PAUSE)
