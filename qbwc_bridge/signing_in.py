"""authenticate: who signs in, is there anything to do, and who is held off.

Most calls of a day end here with nothing to do, after one look (`store/polls.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from qbwc_bridge import wrong_passwords
from qbwc_bridge.list_answers import ListSyncs
from qbwc_bridge.observing import Observation
from qbwc_bridge.session import Limits
from store import queue, secrets, sightings, sign_ins
from store.companies import company, signs_in
from store.engine import Database
from store.polls import Glance, Polls
from store.quiet_hours import quiet_until
from store.sightings import Sighting, Sightings
from store.tables import WebConnectorSession
from store.within import connection_of, take_back

log = structlog.get_logger(__name__)


class SigningIn:
    """Answers sign-ins, and opens sessions for those with work."""

    def __init__(
        self,
        database: Database,
        *,
        limits: Limits,
        clock: Callable[[], datetime],
        new_ticket: Callable[[], str],
        lists: ListSyncs,
        observe: Observation,
        gathered: Sightings | None,
    ) -> None:
        """Notes of polls that find nothing to do go to `gathered`; without it they are written at once."""
        self._database = database
        self._limits = limits
        self._clock = clock
        self._new_ticket = new_ticket
        self._lists = lists
        self._observe = observe
        self._gathered = gathered
        self._polls = Polls()

    def answer(self, username: str, password: str, *, address: str, version: str) -> list[str]:
        """Give what authenticate answers: a ticket and a company file, or why there is none."""
        now = self._clock()
        with self._database.glance() as connection:
            seen = self._polls.look(connection, username, address=address, now=now)
            is_right = signs_in(seen, password, now=now)  # also for nobody, who shall not be told by the time it takes
            if seen is not None and is_right and not seen.is_held and not self._needs_hold(seen, now):
                self._note(connection, Sighting(company_id=seen.company_id, address=address, version=version, at=now))
                self._observe.had_nothing(seen.company_id)
                return ["", "none"]
        if seen is None or not is_right or seen.is_held:
            return self._refuse(username, password, address, now)
        sighting = Sighting(company_id=seen.company_id, address=address, version=version, at=now)
        if not (seen.has_open_session or seen.is_unresolved or _is_about_passwords(seen.problem)):
            with suppress(StaleDataError):  # somebody was faster: it is looked at again
                return self._open_at_once(sighting, seen)
        with self._database.transaction("authenticate", waits=False) as session:
            # The note holds the company, as `lock_company` does: what is read after it stays true.
            sightings.note(connection_of(session), sighting)
            seen = self._polls.look(connection_of(session), username, address=address, now=now)
            if seen is None or seen.is_held or not signs_in(seen, password, now=now):
                take_back(session)  # the note, too: this address is not the company's own
                return ["", "busy"]  # changed in this moment: the next call finds out
            return self._begin(session, seen, now)

    def _open_at_once(self, sighting: Sighting, seen: Glance) -> list[str]:
        """Open a session for a company with work and without an open session, as long as both stay so.

        Only who signs in opens a session, and each of them leaves a note; only an open session hands anything out.
        """

        def open_session(session: Session) -> list[str]:
            sightings.note_if_nothing_came(session, sighting, seen)
            return self._open(session, seen, sighting.at)

        # Nothing rests on a session that a loss of power takes back: its ticket is unknown then, and QBWC comes again.
        # Each set that leaves is waited for, and its session with it.
        return self._database.at_once("authenticate", open_session)

    def _begin(self, session: Session, seen: Glance, now: datetime) -> list[str]:
        """Answer a good sign-in; the caller holds the company."""
        company_id = seen.company_id
        if _is_about_passwords(seen.problem):
            owner = company(session, company_id)
            if owner is not None:
                owner.problem = None
        if not self._has_work(seen, now):
            self._observe.signed_in(session, "none", company_id=company_id)
            return ["", "none"]
        if seen.is_unresolved and self._is_being_worked_on(session, company_id, now):
            self._observe.signed_in(session, "busy", company_id=company_id)
            return ["", "busy"]
        for other in queue.open_sessions(session, company_id) if seen.has_open_session else ():
            other.state = "superseded"
            other.last_error = "A newer session of this company took over."
            self._observe.moved(session, other, "open")
        return self._open(session, seen, now)

    def _open(self, session: Session, seen: Glance, now: datetime) -> list[str]:
        company_id = seen.company_id
        ticket = self._new_ticket()
        self._observe.signed_in(session, "session", company_id=company_id, ticket_hash=secrets.fingerprint(ticket))
        queue.open_session(session, secrets.fingerprint(ticket), company_id, now=now)
        return [ticket, seen.company_file]

    def _refuse(self, username: str, password: str, address: str, now: datetime) -> list[str]:
        """Count a wrong password, and hold off who guesses."""
        with self._database.transaction("authenticate", waits=False) as session:
            signing_in = sign_ins.look_up(session, username, address=address, now=now)
            owner = signing_in.company
            company_id = owner.id if owner is not None else None
            if signing_in.is_held or signs_in(owner, password, now=now):
                # The same for a right password and a wrong one: a guesser learns nothing, and an owner is not told
                # that the password is wrong. (Right it is, too, when it was changed in this moment.)
                log.info("sign-in held", known_user=owner is not None)
                self._observe.signed_in(session, "held", company_id=company_id)
                return ["", "busy"]
            log.info("sign-in refused", known_user=owner is not None)
            wrong_passwords.note(session, owner, address=address, now=now)
            self._observe.signed_in(session, "refused", company_id=company_id)
            return ["", "nvu"]

    def _note(self, connection: Connection, seen: Sighting) -> None:
        if self._gathered is not None:
            self._gathered.keep(seen)
        else:
            sightings.note(connection, seen)

    def _needs_hold(self, seen: Glance, now: datetime) -> bool:
        """Say whether more is to be written of a good sign-in than that it was seen: most calls need no more."""
        return _is_about_passwords(seen.problem) or self._has_work(seen, now)

    def _has_work(self, seen: Glance, now: datetime) -> bool:
        if seen.paused or quiet_until(seen.quiet_hours, now) is not None:
            return False
        return seen.is_waiting or seen.is_unresolved or self._lists.is_due(seen)

    def _is_being_worked_on(self, session: Session, company_id: str, now: datetime) -> bool:
        """Say whether another open session fetched a set so lately that QuickBooks may be at work on it.

        Looking for its transactions now could miss those that are about to be written.
        """
        unresolved = queue.unresolved_write_set(session, company_id)
        if unresolved is None or now - unresolved.sent_at >= timedelta(seconds=self._limits.settle_s):
            return False
        holder = session.get(WebConnectorSession, unresolved.ticket_hash)
        return holder is not None and holder.state == "open"


def _is_about_passwords(problem: dict[str, Any] | None) -> bool:
    """Say whether a connection's problem ends with a good sign-in."""
    return problem is not None and problem.get("code") in wrong_passwords.CODES
