"""How the Web Connector of a company fares: the state, why it is so, and what somebody does next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from store.connection_watch import NEXT_STEP as STALE_NEXT_STEP
from store.figures import STALE_AFTER_INTERVALS
from store.quiet_hours import quiet_until
from store.tables import Company


class ConnectionState(StrEnum):
    """How the Web Connector of a company fares."""

    WAITING = "waiting_for_first_contact"
    CONNECTED = "connected"
    STALE = "stale"
    REFUSED = "refused"
    PAUSED = "paused"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A state in words."""

    state: ConnectionState
    reason: str
    next_step: str | None
    """None: nobody has to do anything."""


def connection_state(company: Company, now: datetime) -> ConnectionState:
    """Say how the connection fares; a pause and a refusal count before the clock. `figures.standing` is the same."""
    if company.paused:
        return ConnectionState.PAUSED
    if company.problem is not None:
        return ConnectionState.REFUSED
    if company.last_seen_at is None:
        return ConnectionState.WAITING
    if now - company.last_seen_at > STALE_AFTER_INTERVALS * timedelta(minutes=company.run_every_minutes):
        return ConnectionState.STALE
    return ConnectionState.CONNECTED


def diagnose(company: Company, now: datetime, *, soap_url: str, wrong_password_at: datetime | None) -> Diagnosis:
    """Say how the connection fares and why; `wrong_password_at` is the last sign-in that was refused."""
    state = connection_state(company, now)
    seen = f"The Web Connector last called at {company.last_seen_at:%Y-%m-%d %H:%M} UTC" if company.last_seen_at else ""
    is_locked_out = wrong_password_at is not None and (
        company.last_seen_at is None or wrong_password_at > company.last_seen_at
    )
    if is_locked_out and state in (ConnectionState.WAITING, ConnectionState.STALE):
        return Diagnosis(
            state=state,
            reason=f"A Web Connector called at {wrong_password_at:%Y-%m-%d %H:%M} UTC with a wrong password.",
            next_step="Enter the password again in the Web Connector, or have a new one made.",
        )
    match state:
        case ConnectionState.PAUSED:
            reason, step = "The company is paused: the Web Connector gets no work.", "Resume it when exports may go on."
        case ConnectionState.REFUSED:
            problem = company.problem or {}
            reason = str(problem.get("explanation") or problem.get("cause") or "The connection was refused.")
            step = str(problem.get("next_step") or "Look at the company's `problem`.")
        case ConnectionState.WAITING:
            reason = "The Web Connector of this company has never called."
            step = (
                "Add the .qwc file on the QuickBooks PC, enter the password and tick Auto-Run. "
                f"The PC must reach {soap_url}."
            )
        case ConnectionState.STALE:
            reason = f"{seen}, though it is set to call every {company.run_every_minutes} minutes."
            step = STALE_NEXT_STEP
        case ConnectionState.CONNECTED if quiet_until(company.quiet_hours, now) is not None:
            hours = company.quiet_hours or {}
            reason = f"{seen}. It is in its quiet hours: nothing is sent until {hours['until']} ({hours['time_zone']})."
            return Diagnosis(state=state, reason=reason, next_step=None)
        case ConnectionState.CONNECTED:
            return Diagnosis(state=state, reason=f"{seen}.", next_step=None)
    return Diagnosis(state=state, reason=reason, next_step=step)
