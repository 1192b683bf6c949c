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
from qbwc_bridge.guard import Binding, OpenFile, judge_file
from qbwc_bridge.session import Limits, Recovery, Step, Waiting
from qbxml.company import HostQuery
from qbxml.envelope import HostAndCompany, build_message_set, build_request_element, choose_version, parse_hcp
from qbxml.outcomes import classify_hresult
from store import outbox, queue, secrets, webhooks
from store.companies import company, company_by_username, lock_company, record_incident, signs_in
from store.engine import Database
from store.tables import Company, MessageSet, Request, WebConnectorSession
from workflows import contracts

SERVER_VERSION = "TMS.ai for QuickBooks Desktop 0.1"
OLDEST_CLIENT = (2, 1)
"""The oldest Web Connector that libraries still support (web-connector.md 1.6)."""
EXPIRED = "This session is not known here any more. Nothing is lost: run the update again."
NO_COMPANY_DATA = "The Web Connector did not say which company file is open. Run the update again."
NOT_LOOKED_UP = "QuickBooks did not say whether earlier documents arrived. Restart QuickBooks and run the update again."
ASKS_MAX = 2
LOOKUP_MARGIN_DAYS = 1
"""The clock and the zone of the QuickBooks computer are not ours."""

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
        with self._database.transaction() as session:
            owner = company_by_username(session, username)
            if not signs_in(owner, password, now=now) or owner is None:
                log.info("sign-in refused", known_user=owner is not None)
                if owner is not None:
                    record_incident(
                        session,
                        company_id=owner.id,
                        at=now,
                        code="wrong_password",
                        text="A Web Connector signed in with a wrong password. Enter the password again in its list.",
                    )
                return ["", "nvu"]
            lock_company(session, owner.id)
            owner.last_seen_at = now
            if owner.paused or not queue.has_work(session, owner.id, now=now):
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
        with self._database.transaction() as session:
            wc = queue.wc_session(session, secrets.fingerprint(ticket))
            if wc is None:
                return ""
            owner = _company_of(session, wc)
            wc.last_call_at = self._clock()
            if hcp_response and wc.state == "open":
                self._meet_company(session, owner, wc, hcp_response, company_file)
            return self._hand_out(session, owner, wc)

    def receive_response_xml(self, ticket: str, response: str, hresult: str, message: str) -> int:
        """Record the answer to the document that is out; a repeated one gets the same reply and changes nothing."""
        now = self._clock()
        with self._database.transaction() as session:
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
            ends = self._answers.record(session, owner, wc, exchange, answers.Answer(response, hresult, message))
            exchange.progress = -1 if ends else self._progress(session, owner, wc)
            return exchange.progress

    def connection_error(self, ticket: str, hresult: str, message: str) -> str:
        """Note why QuickBooks could not be opened. Always `done`: any other text would be taken as a path."""
        with self._database.transaction() as session:
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
        with self._database.transaction() as session:
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

    def _meet_company(
        self, session: Session, owner: Company, wc: WebConnectorSession, hcp_response: str, company_file: str
    ) -> None:
        """Compare the open file with the binding, before anything of the business leaves."""
        seen = parse_hcp(hcp_response) or HostAndCompany(host=None, company=None, preferences=None)
        judgement = judge_file(
            Binding(
                file_id=owner.file_id, company_name=owner.bound_company_name, company_file=owner.bound_company_file
            ),
            OpenFile(file_id=seen.file_id(owner.owner_id), company_name=seen.company_name, company_file=company_file),
        )
        now = self._clock()
        if not judgement.allowed:
            wc.guard_passed = False
            wc.last_error = judgement.text
            problem = {
                "code": "wrong_company_file",
                "cause": judgement.text,
                "owner": "bookkeeper",
                "next_step": "Open the right company file. If the books really moved to another file, "
                "ask TMS.ai to bind the connection anew.",
                "at": now.isoformat(),
            }
            owner.problem = webhooks.noted_problem(session, owner, problem, at=now)
            record_incident(session, company_id=owner.id, at=now, code="wrong_company_file", text=judgement.text)
            return
        if judgement.text:
            record_incident(session, company_id=owner.id, at=now, code="company_file", text=judgement.text)
        wc.guard_passed = True
        wc.qbxml_version = choose_version(seen.supported_versions)
        owner.bound_company_name = seen.company_name
        owner.bound_company_file = company_file or owner.bound_company_file
        owner.qbxml_version = wc.qbxml_version
        owner.product = seen.host.product_name if seen.host else owner.product
        owner.problem = None

    def _hand_out(self, session: Session, owner: Company, wc: WebConnectorSession) -> str:
        now = self._clock()
        unresolved = queue.unresolved_write_set(session, owner.id)
        if unresolved is not None and _failed_steps(session, unresolved, "lookup") >= self._limits.lookups_max:
            self._answers.give_up(session, owner, wc, unresolved)
            unresolved = None
        waiting = [] if owner.paused else queue.next_requests(session, owner.id, now=now, limit=self._limits.batch_size)
        step = machine.next_step(
            is_open=wc.state == "open",
            guard_passed=wc.guard_passed,
            unresolved=_how_far(session, unresolved, wc) if unresolved is not None else None,
            waiting=len(waiting),
        )
        if step is Step.REFUSE:
            if not wc.last_error:
                wc.last_error = NO_COMPANY_DATA if not wc.guard_passed else NOT_LOOKED_UP
            if wc.state == "open":
                wc.state = "refused"
            return ""
        if unresolved is not None:
            set_id = unresolved.id
            if step is Step.ASK:
                text = recovery.ask_document(set_id, wc.qbxml_version)
                return self._store(session, owner, wc, kind="ask", text=text, about=set_id)
            sent = [answers.sent_request(request) for request in queue.requests_of_set(session, set_id)]
            since = (unresolved.sent_at - timedelta(days=LOOKUP_MARGIN_DAYS)).date()
            text = recovery.lookup_document(sent, since=since, version=wc.qbxml_version)
            return self._store(session, owner, wc, kind="lookup", text=text, about=set_id)
        if step is Step.PROBE:
            text = build_message_set([build_request_element(HostQuery(), "probe")], version=wc.qbxml_version)
            return self._store(session, owner, wc, kind="probe", text=text)
        return self._write(session, owner, wc, {request.id: request for request in waiting})

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
        left = 0 if owner.paused else queue.count_waiting(session, owner.id, now=now)
        if queue.unresolved_write_set(session, owner.id) is not None:
            left += 1
        elif now - wc.started_at > timedelta(seconds=self._limits.session_budget_s):
            left = 0  # the rest goes in the next session
        result = machine.progress(done=wc.done + wc.failed, left=left)
        if result == machine.DONE:
            wc.state = "finished"
        return result


def _company_of(session: Session, wc: WebConnectorSession) -> Company:
    owner = company(session, wc.company_id)
    if owner is None:
        raise LookupError(f"session without its company {wc.company_id}")
    return owner


def _how_far(session: Session, unresolved: MessageSet, wc: WebConnectorSession) -> Recovery:
    answered = [step for step in queue.recovery_steps(session, unresolved.id) if step.state == queue.ANSWERED]
    if any(step.kind == "lookup" and step.ticket_hash == wc.ticket_hash for step in answered):
        return Recovery.LOOKED_UP
    # A QuickBooks that cannot answer an empty set is not asked for ever.
    asked_enough = _failed_steps(session, unresolved, "ask") >= ASKS_MAX
    return Recovery.ASKED if answered or asked_enough else Recovery.NOTHING_ASKED


def _failed_steps(session: Session, unresolved: MessageSet, kind: str) -> int:
    """Count the questions of a kind that QuickBooks answered with nothing that decides."""
    steps = queue.recovery_steps(session, unresolved.id)
    return sum(step.kind == kind and step.state != queue.SENT and step.answered_at is not None for step in steps)
