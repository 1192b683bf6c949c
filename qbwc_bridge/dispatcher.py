"""The Web Connector's calls over the store: loads facts, lets the pure parts decide, writes it in one transaction.

All state is in the database, so any process can serve any call of any ticket (design.md 3.3). What leaves is stored
before the reply; what Temporal must hear goes to the outbox in the same transaction (design.md 3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from qbwc_bridge import answers, recovery
from qbwc_bridge import session as machine
from qbwc_bridge.answers import Answers
from qbwc_bridge.list_answers import ListSyncs
from qbwc_bridge.meeting import meet, note_twin
from qbwc_bridge.session import Limits, Recovery, Step, Waiting
from qbwc_bridge.twins import clone_notice
from qbxml.company import HostQuery
from qbxml.envelope import build_message_set, build_request_element
from qbxml.outcomes import classify_hresult
from store import outbox, queue, secrets, webhooks
from store.companies import (
    company,
    company_by_username,
    lock_company,
    record_incident,
    record_incident_once,
    signs_in,
)
from store.engine import Database
from store.quiet_hours import quiet_until
from store.tables import Company, MessageSet, Request, WebConnectorSession
from workflows import contracts

SERVER_VERSION = "TMS.ai for QuickBooks Desktop 0.1"
OLDEST_CLIENT = (2, 1)
"""The oldest Web Connector that libraries still support (web-connector.md 1.6)."""
EXPIRED = "This session is not known here any more. Nothing is lost: run the update again."
NO_COMPANY_DATA = "The Web Connector did not say which company file is open. Run the update again."
NOT_LOOKED_UP = "QuickBooks did not say whether earlier documents arrived. Restart QuickBooks and run the update again."
SIGN_IN_REFUSED = "wrong_password"
SIGN_IN_REFUSED_TEXT = "A Web Connector signed in with a wrong password. Enter the password again in its list."
ASKS_MAX = 2

log = structlog.get_logger(__name__)


class Dispatcher:
    """Implements `service.WebConnectorService`."""

    def __init__(
        self,
        database: Database,
        *,
        limits: Limits,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        new_ticket: Callable[[], str] = secrets.new_ticket,
    ) -> None:
        """`new_id` gives unused ids of at most 22 characters [A-Za-z0-9]: they travel as newMessageSetID."""
        self._database = database
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._new_ticket = new_ticket
        self._answers = Answers(limits=limits, clock=clock)
        self._lists = ListSyncs(limits=limits, clock=clock, lower_version=self._answers.lower_version)

    def server_version(self) -> str:
        """Give our name and version."""
        return SERVER_VERSION

    def client_version(self, version: str) -> str:
        """Refuse only what is too old to work; compared as numbers (web-connector.md 1.4)."""
        numbers = tuple(int(part) for part in version.strip().split(".") if part.isdigit())
        if numbers and numbers < OLDEST_CLIENT:
            return "O:2.1"
        return ""

    def authenticate(self, username: str, password: str) -> list[str]:
        """Open a session when there is work; the newest one wins (design.md 3.3)."""
        now = self._clock()
        with self._database.transaction("authenticate") as session:
            owner = company_by_username(session, username)
            if not signs_in(owner, password, now=now) or owner is None:
                log.info("sign-in refused", known_user=owner is not None)
                if owner is not None:
                    _note_wrong_password(session, owner, now)
                return ["", "nvu"]
            lock_company(session, owner.id)
            owner.last_seen_at = now
            if owner.problem is not None and owner.problem.get("code") == SIGN_IN_REFUSED:
                owner.problem = None
            if owner.paused or quiet_until(owner.quiet_hours, now) is not None:
                return ["", "none"]
            if not (queue.has_work(session, owner.id, now=now) or self._lists.is_due(session, owner)):
                return ["", "none"]
            if self._is_being_worked_on(session, owner, now):
                return ["", "busy"]
            for other in queue.open_sessions(session, owner.id):
                other.state = "superseded"
                other.last_error = "A newer session of this company took over."
            ticket = self._new_ticket()
            session.add(
                WebConnectorSession(
                    ticket_hash=secrets.fingerprint(ticket),
                    company_id=owner.id,
                    state="open",
                    started_at=now,
                    last_call_at=now,
                )
            )
            return [ticket, owner.company_file]

    def send_request_xml(
        self, ticket: str, hcp_response: str, company_file: str, country: str, major: str, minor: str
    ) -> str:
        """Hand out the next document; "" when getLastError says why not."""
        with self._database.transaction("sendRequestXML") as session:
            wc = queue.wc_session(session, secrets.fingerprint(ticket))
            if wc is None:
                return ""
            owner = _company_of(session, wc)
            now = wc.last_call_at = self._clock()
            if wc.state == "superseded" and queue.has_newer_at_work(session, wc):
                note_twin(session, owner, clone_notice(wc.host), now)
            if hcp_response and wc.state == "open":
                judgement = meet(session, owner, wc, hcp_response=hcp_response, company_file=company_file, now=now)
                unresolved = queue.unresolved_write_set(session, owner.id)
                if judgement.binds_anew:
                    self._lists.forget_file(session, owner)
                if judgement.binds_anew and unresolved is not None:
                    why = "It was sent to the company file that this connection was bound to before"
                    self._answers.give_up(session, owner, wc, unresolved, why=why)
            return self._hand_out(session, owner, wc)

    def receive_response_xml(self, ticket: str, response: str, hresult: str, message: str) -> int:
        """Record the answer to the document that is out; a repeated one gets the same reply and changes nothing."""
        now = self._clock()
        with self._database.transaction("receiveResponseXML") as session:
            wc = queue.wc_session(session, secrets.fingerprint(ticket))
            if wc is None:
                text = "An answer came with a ticket that was never given out, or was forgotten. It was not used."
                record_incident(session, company_id=None, at=now, code="unknown_ticket", text=text)
                return -1
            owner = _company_of(session, wc)
            wc.last_call_at = now
            repeated = queue.exchange_answered_with(session, wc.ticket_hash, response) if response else None
            if repeated is not None and repeated.progress is not None:
                return repeated.progress
            newest = queue.newest_exchange(session, wc.ticket_hash)
            exchange = answers.exchange_of(queue.open_exchanges(session, wc.ticket_hash), newest, response)
            if exchange is None:
                self._answers.record_late(session, owner, response)
                return newest.progress if newest is not None and newest.progress is not None else -1
            recorder = self._lists if exchange.kind == "list" else self._answers
            ends = recorder.record(session, owner, wc, exchange, answers.Answer(response, hresult, message))
            if not ends:
                owner.problem = None  # QuickBooks works, and with the right file
            exchange.progress = -1 if ends else self._progress(session, owner, wc)
            return exchange.progress

    def connection_error(self, ticket: str, hresult: str, message: str) -> str:
        """Note why QuickBooks could not be opened. Always `done`: any other text would be taken as a path."""
        with self._database.transaction("connectionError") as session:
            wc = queue.wc_session(session, secrets.fingerprint(ticket))
            if wc is None:
                return "done"
            if wc.state != "open":
                return "done"  # another session took over; this one says nothing of the connection any more
            verdict = classify_hresult(hresult, message, after_write=False)
            owner = _company_of(session, wc)
            wc.state = "refused"
            wc.last_error = f"{verdict.explanation} {verdict.next_step}"
            problem = answers.problem_of(verdict, message, self._clock())
            owner.problem = webhooks.noted_problem(session, owner, problem, at=self._clock())
            return "done"

    def get_last_error(self, ticket: str) -> str:
        """Give the real reason, on one line; also for a session that is over."""
        with self._database.transaction() as session:
            wc = queue.wc_session(session, secrets.fingerprint(ticket))
            if wc is None:
                return EXPIRED
            return " ".join(wc.last_error.split()) or "Nothing was left to do."

    def close_connection(self, ticket: str) -> str:
        """End the session and say what it did."""
        with self._database.transaction("closeConnection") as session:
            wc = queue.wc_session(session, secrets.fingerprint(ticket))
            if wc is None:
                return "OK"
            wc.last_call_at = self._clock()
            if wc.state == "open":
                wc.state = "finished"
            if wc.last_error:
                return " ".join(wc.last_error.split())
            attention = f", {wc.failed} need attention" if wc.failed else ""
            return f"{wc.done} exported{attention}"

    def interactive_url(self, ticket: str, session_id: str) -> str:
        """Interactive mode is not offered."""
        return ""

    def interactive_done(self, ticket: str) -> str:
        """Interactive mode is not offered."""
        return "DONE"

    def interactive_rejected(self, ticket: str, reason: str) -> str:
        """Interactive mode is not offered."""
        return ""

    def _is_being_worked_on(self, session: Session, owner: Company, now: datetime) -> bool:
        """Say whether another open session fetched a set so lately that QuickBooks may be at work on it.

        Looking for its transactions now could miss those that are about to be written.
        """
        unresolved = queue.unresolved_write_set(session, owner.id)
        if unresolved is None or now - unresolved.sent_at >= timedelta(seconds=self._limits.settle_s):
            return False
        holder = session.get(WebConnectorSession, unresolved.ticket_hash)
        return holder is not None and holder.state == "open"

    def _hand_out(self, session: Session, owner: Company, wc: WebConnectorSession) -> str:
        now = self._clock()
        unresolved = queue.unresolved_write_set(session, owner.id)
        if unresolved is not None and _failed_steps(session, unresolved, "lookup") >= self._limits.lookups_max:
            why = "Looking for it in QuickBooks failed again and again"
            self._answers.give_up(session, owner, wc, unresolved, why=why)
            unresolved = None
        waiting = (
            []
            if _is_held(owner, now)
            else queue.next_requests(session, owner.id, now=now, limit=self._limits.batch_size)
        )
        step = machine.next_step(
            is_open=wc.state == "open",
            guard_passed=wc.guard_passed,
            unresolved=_how_far(session, unresolved, wc) if unresolved is not None else None,
            waiting=len(waiting),
            lists_due=not _is_held(owner, now) and self._lists.is_due(session, owner),
        )
        if step is Step.REFUSE:
            if not wc.last_error:
                wc.last_error = NO_COMPANY_DATA if not wc.guard_passed else NOT_LOOKED_UP
            if wc.state == "open":
                wc.state = "refused"
            return ""
        if unresolved is not None:
            return self._ask_about(session, owner, wc, unresolved, step)
        if step is Step.LIST:
            set_id = self._new_id()
            text = self._lists.hand_out(session, owner, wc, set_id=set_id)
            return self._store(session, owner, wc, kind="list", text=text, set_id=set_id)
        if step is Step.PROBE:
            text = build_message_set([build_request_element(HostQuery(), "probe")], version=wc.qbxml_version)
            return self._store(session, owner, wc, kind="probe", text=text)
        return self._write(session, owner, wc, {request.id: request for request in waiting})

    def _ask_about(
        self, session: Session, owner: Company, wc: WebConnectorSession, unresolved: MessageSet, step: Step
    ) -> str:
        set_id = unresolved.id
        if step is Step.CHECK_FILE:
            text = recovery.activity_document(wc.qbxml_version)
            return self._store(session, owner, wc, kind="activity", text=text, about=set_id)
        if step is Step.ASK:
            text = recovery.ask_document(set_id, wc.qbxml_version)
            return self._store(session, owner, wc, kind="ask", text=text, about=set_id)
        sent = [answers.sent_request(request) for request in queue.requests_of_set(session, set_id)]
        since = (unresolved.sent_at - recovery.CLOCKS_MAY_DIFFER).date()
        text = recovery.lookup_document(sent, since=since, version=wc.qbxml_version)
        return self._store(session, owner, wc, kind="lookup", text=text, about=set_id)

    def _write(self, session: Session, owner: Company, wc: WebConnectorSession, waiting: dict[str, Request]) -> str:
        now = self._clock()
        heads = [Waiting(id=r.id, size=len(r.body), batch_max=r.batch_max) for r in waiting.values()]
        chosen = [waiting[request_id] for request_id in machine.choose_batch(heads, self._limits)]
        set_id = self._new_id()
        bodies: list[str] = []
        for request in chosen:
            request.attempt += 1
            request.state = queue.IN_FLIGHT
            request.message_set_id = set_id
            bodies.append(answers.body_on_the_wire(request))
            event = contracts.Sent(request_id=request.id, message_set_id=set_id)
            outbox.add_signal(
                session,
                workflow_id=request.workflow_id,
                signal=contracts.SIGNAL_SENT,
                payload=event.model_dump(mode="json"),
                at=now,
            )
        settled = queue.last_settled_write_set(session, owner.id)
        text = build_message_set(
            bodies,
            version=wc.qbxml_version,
            new_message_set_id=set_id,
            old_message_set_id=settled.id if settled is not None else None,
        )
        return self._store(session, owner, wc, kind="write", text=text, set_id=set_id)

    def _store(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        *,
        kind: str,
        text: str,
        about: str | None = None,
        set_id: str | None = None,
    ) -> str:
        newest = queue.newest_exchange(session, wc.ticket_hash)
        for other in queue.open_exchanges(session, wc.ticket_hash):
            if other.kind != "write":
                other.state = queue.ABANDONED  # a question whose answer never came is simply asked again
        session.add(
            MessageSet(
                id=set_id or self._new_id(),
                company_id=owner.id,
                ticket_hash=wc.ticket_hash,
                kind=kind,
                state=queue.SENT,
                about_set_id=about,
                text=text,
                seq=newest.seq + 1 if newest is not None else 1,
                sent_at=self._clock(),
            )
        )
        return text

    def _progress(self, session: Session, owner: Company, wc: WebConnectorSession) -> int:
        now = self._clock()
        left = 0 if _is_held(owner, now) else queue.count_waiting(session, owner.id, now=now)
        if queue.unresolved_write_set(session, owner.id) is not None:
            left += 1
        elif now - wc.started_at > timedelta(seconds=self._limits.session_budget_s):
            left = 0  # the rest goes in the next session
        elif not left and not _is_held(owner, now) and self._lists.is_due(session, owner):
            return self._lists.percent(session, owner)
        result = machine.progress(done=wc.done + wc.failed, left=left)
        if result == machine.DONE:
            wc.state = "finished"
        return result


def _is_held(owner: Company, now: datetime) -> bool:
    """Say whether nothing new may leave: paused, quiet hours, or the books move and the new file was not met yet."""
    if owner.paused or quiet_until(owner.quiet_hours, now) is not None:
        return True
    return owner.rebind_requested_at is not None and owner.bound_company_name is not None


def _note_wrong_password(session: Session, owner: Company, now: datetime) -> None:
    problem = {
        "code": SIGN_IN_REFUSED,
        "cause": SIGN_IN_REFUSED_TEXT,
        "owner": "bookkeeper",
        "next_step": "Enter the password in the Web Connector's list again; if it is lost, make a new one.",
        "at": now.isoformat(),
    }
    owner.problem = webhooks.noted_problem(session, owner, problem, at=now)
    record_incident_once(
        session,
        company_id=owner.id,
        at=now,
        code=SIGN_IN_REFUSED,
        text=SIGN_IN_REFUSED_TEXT,
        within=timedelta(hours=1),
    )


def _company_of(session: Session, wc: WebConnectorSession) -> Company:
    owner = company(session, wc.company_id)
    if owner is None:
        raise LookupError(f"session without its company {wc.company_id}")
    return owner


def _how_far(session: Session, unresolved: MessageSet, wc: WebConnectorSession) -> Recovery:
    answered = [step for step in queue.recovery_steps(session, unresolved.id) if step.state == queue.ANSWERED]
    if any(step.kind == "lookup" and step.ticket_hash == wc.ticket_hash for step in answered):
        return Recovery.LOOKED_UP
    if queue.answered_in_session(session, wc.ticket_hash, "activity") is None:
        return Recovery.NOT_CHECKED
    if any(step.kind == "activity" and step.message for step in answered):
        return Recovery.ASKED
    # A QuickBooks that cannot answer an empty set is not asked for ever.
    asked_enough = _failed_steps(session, unresolved, "ask") >= ASKS_MAX
    is_asked = asked_enough or any(step.kind == "ask" for step in answered)
    return Recovery.ASKED if is_asked else Recovery.NOTHING_ASKED


def _failed_steps(session: Session, unresolved: MessageSet, kind: str) -> int:
    """Count the questions of a kind that QuickBooks answered with nothing that decides."""
    steps = queue.recovery_steps(session, unresolved.id)
    return sum(step.kind == kind and step.state != queue.SENT and step.answered_at is not None for step in steps)
