"""The Web Connector's calls over the store: loads facts, lets the pure parts decide, writes it in one transaction.

All state is in the database, so any process can serve any call of any ticket (design.md 3.3). What leaves is stored
before the reply; what Temporal must hear goes to the outbox in the same transaction (design.md 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from qbwc_bridge import answers, asking, looking, looks, matching
from qbwc_bridge import session as machine
from qbwc_bridge.answers import Answers
from qbwc_bridge.books import BooksChecks
from qbwc_bridge.last_words import LastWords
from qbwc_bridge.late_answers import LateAnswers
from qbwc_bridge.list_answers import ListSyncs
from qbwc_bridge.looks import Line, Looks, line_up, questions_about, riders
from qbwc_bridge.lookup_answers import LookupAnswers
from qbwc_bridge.meeting import TWIN_WINDOW, is_unconfirmed, look_for_twins, meet, note_twin
from qbwc_bridge.observing import Observation, session_name
from qbwc_bridge.remapping import Remap, as_it_was, mapped_today
from qbwc_bridge.rulings import UNKNOWN_VERSION
from qbwc_bridge.session import Limits, Step, Waiting
from qbwc_bridge.settling import Settling
from qbwc_bridge.signing_in import SigningIn
from qbwc_bridge.twins import clone_notice
from qbxml.company import HostQuery
from qbxml.envelope import build_message_set, build_request_element
from qbxml.outcomes import classify_hresult, normalise_hresult
from store import outbox, queue, secrets, states, webhooks
from store.changes import write_changes
from store.companies import record_incident_once
from store.engine import Database
from store.quiet_hours import quiet_until
from store.sightings import Sightings
from store.tables import Company, MessageSet, Request, WebConnectorSession
from store.within import after_commit
from workflows import contracts

SERVER_VERSION = "TMS.ai for QuickBooks Desktop 0.1"
OLDEST_CLIENT = (2, 1)
"""The oldest Web Connector that libraries still support (web-connector.md 1.6)."""
EXPIRED = "This session is not known here any more. Nothing is lost: run the update again."
NO_COMPANY_DATA = "The Web Connector did not say which company file is open. Run the update again."
TIME_IS_UP = "The time of this update is used up. Nothing is lost: the rest follows with the next one."
COUNTED_MAX = 100
"""The progress bar needs no better number, and the count of a long queue would cost more than its next set."""

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
        observe: Observation | None = None,
        gathered: Sightings | None = None,
        remap: Remap = as_it_was,
    ) -> None:
        """`new_id` gives unused ids of at most 22 characters [A-Za-z0-9]: they travel as newMessageSetID.

        `remap` maps a waiting request again when the company's mapping or lists changed since it was mapped.

        Notes of polls that find nothing to do go to `gathered`, for its owner to write; without it they are written
        at once.
        """
        self._observe = observe or Observation()
        self._database = database
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._remap = remap
        self._last_words = LastWords()
        self._settling = Settling(limits=limits, clock=clock, observe=self._observe)
        self._late = LateAnswers(clock=clock, settling=self._settling)
        lookups = LookupAnswers(limits=limits, clock=clock, settling=self._settling)
        self._answers = Answers(clock=clock, settling=self._settling, lookups=lookups, late=self._late)
        self._books = BooksChecks(clock=clock)
        self._looks = Looks(self._settling)
        self._lists = ListSyncs(
            limits=limits, clock=clock, lower_version=self._answers.lower_version, observe=self._observe
        )
        self._signing_in = SigningIn(
            database,
            limits=limits,
            clock=clock,
            new_ticket=new_ticket,
            lists=self._lists,
            observe=self._observe,
            gathered=gathered,
        )

    def server_version(self) -> str:
        """Give our name and version."""
        return SERVER_VERSION

    def client_version(self, version: str) -> str:
        """Refuse only what is too old to work; compared as numbers (web-connector.md 1.4)."""
        numbers = tuple(int(part) for part in version.strip().split(".") if part.isdigit())
        if numbers and numbers < OLDEST_CLIENT:
            return "O:2.1"
        return ""

    def authenticate(self, username: str, password: str, address: str = "", version: str = "") -> list[str]:
        """Open a session when there is work; the newest one wins (design.md 3.3)."""
        return self._signing_in.answer(username, password, address=address, version=version)

    def send_request_xml(
        self, ticket: str, hcp_response: str, company_file: str, country: str, major: str, minor: str
    ) -> str:
        """Hand out the next document; "" when getLastError says why not."""
        with self._called("sendRequestXML", ticket) as (session, found):
            if found is None:
                return ""
            wc, owner = found
            now = wc.last_call_at = self._clock()
            if wc.state == "superseded" and queue.has_newer_at_work(session, wc):
                note_twin(session, owner, clone_notice(wc.host), now)
            if hcp_response and wc.state == "open":
                judgement = meet(session, owner, wc, hcp_response=hcp_response, company_file=company_file, now=now)
                if judgement.binds_anew:
                    self._lists.forget_file(session, owner)
                    self._give_up_old_file(session, owner, wc)
                    write_changes(session)
            return self._hand_out(session, owner, wc, is_first=bool(hcp_response))

    def _give_up_old_file(self, session: Session, owner: Company, wc: WebConnectorSession) -> None:
        unresolved = queue.unresolved_write_set(session, owner.id)
        if unresolved is not None:
            why = "It was sent to the company file that this connection was bound to before"
            self._settling.give_up(session, owner, wc, unresolved, why=why)

    def receive_response_xml(self, ticket: str, response: str, hresult: str, message: str) -> int:
        """Record the answer to the document that is out; a repeated one gets the same reply and changes nothing."""
        now = self._clock()
        with self._called("receiveResponseXML", ticket) as (session, found):
            if found is None:
                text = "An answer came with a ticket that was never given out, or was forgotten. It was not used."
                # Once in a while only: anybody can send such answers, and each row would be a gift to a flooder.
                record_incident_once(
                    session, company_id=None, at=now, code="unknown_ticket", text=text, within=timedelta(hours=1)
                )
                return -1
            wc, owner = found
            wc.last_call_at = now
            sets = queue.exchanges(session, wc, response, now=now, count_to=COUNTED_MAX)
            answer = matching.Answer(response, hresult, message)
            repeated = sets.repeated if sets.repeated is not None and sets.repeated.progress is not None else None
            exchange = matching.exchange_of(sets.open, sets.newest, repeated, answer)
            if exchange is None and repeated is not None and repeated.progress is not None:
                return repeated.progress
            if exchange is None:
                self._late.record(session, owner, answer)
                newest = sets.newest
                return newest.progress if newest is not None and newest.progress is not None else -1
            if exchange.kind == "list":
                ends = self._lists.record(session, owner, wc, exchange, answer)
            elif exchange.kind == "check":
                ends = self._books.record(session, owner, wc, exchange, answer)
            else:
                ends = self._answers.record(session, owner, wc, exchange, sets.requests_of(exchange), answer)
                if exchange.kind in looks.KINDS:
                    self._looks.record(session, owner, wc, exchange, answer, ends=ends)
                elif exchange.kind == "write":
                    self._looks.record_riders(session, owner, wc, exchange, answer)
            self._observe.answered(session, exchange)
            if not ends and normalise_hresult(hresult) != UNKNOWN_VERSION and not is_unconfirmed(owner):
                # QuickBooks works, and with the right file. Before it understands a version, nothing is known to work.
                owner.problem = None
            exchange.progress = -1 if ends else self._progress(session, owner, wc, exchange, sets)
            return exchange.progress

    def connection_error(self, ticket: str, hresult: str, message: str) -> str:
        """Note why QuickBooks could not be opened. Always `done`: any other text would be taken as a path."""
        with self._called("connectionError", ticket) as (session, found):
            if found is None:
                return "done"
            wc, owner = found
            if wc.state != "open":
                return "done"  # another session took over; this one says nothing of the connection any more
            verdict = classify_hresult(hresult, message, after_write=False)
            wc.state = "refused"
            wc.last_error = f"{verdict.explanation} {verdict.next_step}"
            problem = answers.problem_of(verdict, message, self._clock())
            owner.problem = webhooks.noted_problem(session, owner, problem, at=self._clock())
            return "done"

    def get_last_error(self, ticket: str) -> str:
        """Give the real reason, on one line; also for a session that is over."""
        with self._database.transaction() as session:
            found = queue.wc_session(session, secrets.fingerprint(ticket))
            if found is None:
                return EXPIRED
            wc, _ = found
            return " ".join(wc.last_error.split()) or "Nothing was left to do."

    def close_connection(self, ticket: str) -> str:
        """End the session and say what it did."""
        ticket_hash = secrets.fingerprint(ticket)
        over = self._last_words.take(ticket_hash)
        if over is None:
            with self._database.glance() as connection:
                over = queue.last_word(connection, ticket_hash)
        if over is not None:  # it ended with its last answer, and nothing is left to write
            return _last_word(over)
        with self._called("closeConnection", ticket, waits=False) as (_session, found):
            if found is None:
                return "OK"
            wc, _ = found
            wc.last_call_at = self._clock()
            if wc.state == "open":
                wc.state = "finished"
            return _last_word(queue.LastWord(wc.last_error, wc.done, wc.failed))

    def interactive_url(self, ticket: str, session_id: str) -> str:
        """Interactive mode is not offered."""
        return ""

    def interactive_done(self, ticket: str) -> str:
        """Interactive mode is not offered."""
        return "DONE"

    def interactive_rejected(self, ticket: str, reason: str) -> str:
        """Interactive mode is not offered."""
        return ""

    @contextmanager
    def _called(
        self, step: str, ticket: str, *, waits: bool = True
    ) -> Iterator[tuple[Session, tuple[WebConnectorSession, Company] | None]]:
        """One transaction of a call with its session and company; told when it ends the session.

        The second is None for an unknown ticket.
        """
        with self._database.transaction(step, waits=waits) as session:
            found = queue.wc_session(session, secrets.fingerprint(ticket))
            if found is None:
                yield session, None
                return
            wc, _ = found
            before = wc.state
            with structlog.contextvars.bound_contextvars(company=wc.company_id, session=session_name(wc.ticket_hash)):
                yield session, found
            self._observe.moved(session, wc, before)
            if wc.state != "open":
                word = queue.LastWord(wc.last_error, wc.done, wc.failed)
                after_commit(session, lambda: self._last_words.keep(wc.ticket_hash, word))

    def _hand_out(self, session: Session, owner: Company, wc: WebConnectorSession, *, is_first: bool) -> str:
        now = self._clock()
        is_held = _is_held(owner, now)
        sets, waiting = self._next_set(session, owner, wc, now, is_held=is_held)
        if is_first and sets.has_others and wc.guard_passed:
            look_for_twins(session, owner, wc, now)
        question = self._books.question(session, owner, wc)
        if question is not None:
            return self._store(session, owner, wc, sets, kind="check", text=question.text, asked=question.ids)
        stand = self._standing(session, wc, sets, now)
        is_at_work = wc.state == "open" and wc.guard_passed
        if stand is not None and is_at_work and stand.is_hopeless(self._limits):
            self._give_up(session, owner, wc, stand)
            (sets, waiting), stand = self._next_set(session, owner, wc, now, is_held=is_held), None
        line = line_up(owner, wc, waiting)
        step = machine.next_step(
            is_open=wc.state == "open",
            # What is unresolved is not looked for in a file of which nobody has said that it is the right one.
            guard_passed=wc.guard_passed and not (stand is not None and is_unconfirmed(owner)),
            unresolved=stand.step if stand is not None else None,
            waiting=len(line.ready),
            claimed=len(line.claimed),
            unlooked=len(line.unlooked),
            lists_due=not waiting
            and not _is_resting(owner, now)
            and self._lists.is_due(self._left(session, owner, now)),
            is_spent=self._is_spent(wc, sets.newest, sets.newest_at),
        )
        if step is Step.REFUSE:
            if not wc.last_error:
                wc.last_error = self._why_refused(wc, sets, stand)
            if wc.state == "open":
                wc.state = "refused"
            return ""
        if stand is not None:
            set_id = self._new_id()
            asked = asking.document(stand, step, version=wc.qbxml_version, set_id=set_id, released=sets.settled)
            return self._store(
                session,
                owner,
                wc,
                sets,
                kind=asked.kind,
                text=asked.text,
                set_id=set_id,
                about=stand.set_id,
                asked=asked.ids,
            )
        if step is Step.WRITE:
            return self._write(session, owner, wc, sets, line)
        return self._ask(session, owner, wc, sets, line, step)

    def _ask(
        self, session: Session, owner: Company, wc: WebConnectorSession, sets: queue.Sets, line: Line, step: Step
    ) -> str:
        """Hand out a question that is about no unresolved set."""
        if step is Step.LIST:
            set_id = self._new_id()
            text = self._lists.hand_out(session, owner, wc, set_id=set_id)
            return self._store(session, owner, wc, sets, kind="list", text=text, set_id=set_id)
        if step is Step.PROBE:
            text = build_message_set([build_request_element(HostQuery(), matching.PROBE_ID)], version=wc.qbxml_version)
            return self._store(session, owner, wc, sets, kind="probe", text=text)
        asked_of = line.claimed if step is Step.VERIFY else line.unlooked
        about = questions_about(asked_of, self._limits)
        text = looking.document(about.elements, wc.qbxml_version)
        return self._store(session, owner, wc, sets, kind=step.value, text=text, asked=about.ids)

    def _standing(
        self, session: Session, wc: WebConnectorSession, sets: queue.Sets, now: datetime
    ) -> asking.Standing | None:
        write_set = session.get(MessageSet, sets.unresolved) if sets.unresolved else None
        return asking.standing(session, wc, write_set, now=now, limits=self._limits) if write_set is not None else None

    def _give_up(self, session: Session, owner: Company, wc: WebConnectorSession, stand: asking.Standing) -> None:
        write_set = session.get_one(MessageSet, stand.set_id)
        self._settling.give_up(session, owner, wc, write_set, why=stand.why_undecided, verdict=stand.verdict)
        write_changes(session)

    def _why_refused(self, wc: WebConnectorSession, sets: queue.Sets, stand: asking.Standing | None) -> str:
        if not wc.guard_passed:
            return NO_COMPANY_DATA
        if stand is None or self._is_spent(wc, sets.newest, sets.newest_at):
            return TIME_IS_UP
        return stand.what_helps

    def _is_spent(self, wc: WebConnectorSession, handed_out: int, at: datetime | None) -> bool:
        """Say whether a session is over. One document may leave after its time, whose answer then ends it.

        What was asked of the books is no work yet: however slow that was, one set goes after it.
        """
        has_worked = at is not None and handed_out > wc.books_asked
        working = at - wc.started_at if at is not None and has_worked else timedelta(0)
        return machine.is_spent(working=working, handed_out=handed_out, limits=self._limits)

    def _write(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        sets: queue.Sets,
        line: Line,
    ) -> str:
        now = self._clock()
        waiting = {request.id: request for request in line.ready}
        heads = [Waiting(id=r.id, size=len(r.body), batch_max=r.batch_max) for r in line.ready]
        chosen = [waiting[request_id] for request_id in machine.choose_batch(heads, self._limits)]
        behind = riders(chosen, line.unlooked, self._limits)
        set_id = self._new_id()
        traced = self._observe.handed_out(session, wc, kind="write", set_id=set_id, requests=chosen)
        bodies: list[str] = []
        for request in chosen:
            request.attempt += 1
            request.state = states.IN_FLIGHT
            request.message_set_id = set_id
            bodies.append(answers.body_on_the_wire(request))
            event = contracts.Sent(request_id=request.id, message_set_id=set_id)
            outbox.add_signal(
                session,
                workflow_id=request.workflow_id,
                signal=contracts.SIGNAL_SENT,
                payload=event.model_dump(mode="json"),
                at=now,
                traceparent=traced.get(request.id),
            )
        text = build_message_set(
            [*bodies, *behind.elements],
            version=wc.qbxml_version,
            new_message_set_id=set_id,
            old_message_set_id=sets.settled,
        )
        return self._store(session, owner, wc, sets, kind="write", text=text, set_id=set_id, asked=behind.ids)

    def _store(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        sets: queue.Sets,
        *,
        kind: str,
        text: str,
        about: str | None = None,
        set_id: str | None = None,
        asked: Sequence[str] = (),
    ) -> str:
        set_id = set_id or self._new_id()
        if kind != "write":
            self._observe.handed_out(session, wc, kind=kind, set_id=set_id, requests=())
        for other in queue.open_questions(session, wc.ticket_hash) if sets.open_questions else ():
            other.state = states.ABANDONED  # a question whose answer never came is simply asked again
        queue.keep_set(
            session,
            id=set_id,
            company_id=owner.id,
            ticket_hash=wc.ticket_hash,
            kind=kind,
            about_set_id=about,
            text=text,
            seq=sets.newest + 1,
            sent_at=self._clock(),
            **({"asked": list(asked)} if asked else {}),
        )
        return text

    def _next_set(
        self, session: Session, owner: Company, wc: WebConnectorSession, now: datetime, *, is_held: bool
    ) -> tuple[queue.Sets, Sequence[Request]]:
        # While one batch is written, the next one is looked for.
        batches = 2 if looks.looks_first(owner) else 1
        limit = 0 if is_held else batches * self._limits.batch_size
        sets, waiting = queue.next_set(session, wc, now=now, limit=limit, others_since=now - TWIN_WINDOW)
        if wc.state != "open" or not wc.guard_passed or sets.unresolved is not None:
            return sets, waiting  # none of it leaves now

        def fail(request: Request, failure: contracts.Failure) -> None:
            self._settling.fail_unsent(session, wc, request, failure)

        return sets, mapped_today(session, owner, waiting, remap=self._remap, fail=fail)

    def _left(self, session: Session, owner: Company, now: datetime) -> queue.Left:
        return queue.left_to_do(session, owner.id, now=now, count_to=COUNTED_MAX)

    def _progress(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        sets: queue.Exchanges,
    ) -> int:
        now = self._clock()
        is_held = _is_held(owner, now)
        left, returned, is_unresolved = sets.left, sum(_may_go(one, now) for one in sets.requests), False
        # There is at most one write set out, so after its own answer nobody has to look for another one.
        if exchange.kind != "write" or exchange.state != states.ANSWERED or exchange.asked:
            write_changes(session)  # what is asked here depends on it
            left, returned = self._left(session, owner, now), 0
            is_unresolved = queue.unresolved_write_set(session, owner.id) is not None
        going = 0 if is_held else left.going + returned
        if self._is_spent(wc, sets.newest.seq if sets.newest is not None else exchange.seq, now):
            going = 0  # the rest goes in the next session, whatever it is
        elif is_unresolved or self._books.goes_on(owner, wc):
            going += 1
        elif not going and not _is_resting(owner, now) and self._lists.is_due(left):
            return self._lists.percent(session, owner)
        result = machine.progress(done=wc.done + wc.failed, left=going)
        if result == machine.DONE:
            wc.state = "finished"
        return result


def _last_word(over: queue.LastWord) -> str:
    if over.last_error:
        return " ".join(over.last_error.split())
    attention = f", {over.failed} need attention" if over.failed else ""
    return f"{over.done} exported{attention}"


def _may_go(request: Request, now: datetime) -> bool:
    return request.state == states.WAITING and request.available_at <= now


def _is_held(owner: Company, now: datetime) -> bool:
    """Say whether nothing of the business may leave.

    At rest, in a file that nobody has confirmed, or while our database may have lost what it wrote (store/epochs.py).
    """
    return _is_resting(owner, now) or is_unconfirmed(owner) or owner.doubt_since is not None


def _is_resting(owner: Company, now: datetime) -> bool:
    """Say whether nothing new is asked at all: paused, quiet hours, or the books move and the new file was not met."""
    if owner.paused or quiet_until(owner.quiet_hours, now) is not None:
        return True
    return owner.rebind_requested_at is not None and owner.bound_company_name is not None
