"""Carrying out what books_check.py decides: what a session asks of the books, and what follows from the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from qbwc_bridge import books_check
from qbwc_bridge.answers import RESPONSE_MAX
from qbwc_bridge.books_check import Books, Checked, Fate, Known, Question, Scan, Unproven, Written
from qbwc_bridge.guard import Code, OpenFile, is_same_place, moved_text, remember_spelling
from qbwc_bridge.matching import Answer
from qbwc_bridge.meeting import ask, is_unconfirmed, refuse
from qbxml.envelope import MessageSetResponse, UnreadableResponse
from store import books as rows
from store import exports, queue, states, webhooks
from store.changes import write_changes
from store.companies import record_incident
from store.tables import Company, Export, MessageSet, WebConnectorSession

QUESTIONS_MAX = 6
"""A session: one about the newest, and five while all are read; the rest is read by the sessions after it."""
RESTORED = "file_restored"
MISSING = "exports_missing"
NOT_TOLD = "QuickBooks did not say what the books hold. Restart QuickBooks and run the update again."
GONE_TEXT = "It is not in QuickBooks any more"
BACK_TEXT = "It is in QuickBooks again"


class BooksChecks:
    """The books' side of the Web Connector's calls."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def question(self, session: Session, owner: Company, wc: WebConnectorSession) -> Question | None:
        """Give what to ask next, before anything is concluded or written; None when nothing is to be asked.

        A session that asked in vain ends as refused.
        """
        if wc.state != "open" or not wc.guard_passed or is_unconfirmed(owner):
            return None
        books = self._known(session, owner)
        if not books.is_known:
            if wc.is_elsewhere:
                self._hold(session, owner, wc)
            wc.books_seen = not wc.is_elsewhere  # what this session writes itself need not be looked for
            return None
        if wc.books_asked >= QUESTIONS_MAX:
            if not wc.books_seen:
                wc.state, wc.last_error = "refused", NOT_TOLD
            return None
        asked: list[Written] = [*(books.newest or ()), *books.gone]
        if wc.books_seen:
            if books.scan is None:
                return None
            asked = self._read_on(session, owner, books, books.scan)
        wc.books_asked += 1
        unproven = _unproven(session, owner) if wc.is_elsewhere else ()
        return books_check.check_question(asked, wc.qbxml_version, turn=wc.books_asked, unproven=unproven)

    def record(
        self, session: Session, owner: Company, wc: WebConnectorSession, exchange: MessageSet, answer: Answer
    ) -> bool:
        """Store the answer and what follows from it; True when the session must end with its error."""
        exchange.response = answer.response[:RESPONSE_MAX]
        exchange.hresult = answer.hresult.strip()[:40] or None
        exchange.message = answer.message[:1000] or None
        exchange.answered_at = self._clock()
        exchange.state = states.ANSWERED
        if wc.state != "open":
            return True
        try:
            parsed = None if answer.hresult.strip() else answer.parsed
        except UnreadableResponse:
            parsed = None
        if wc.books_seen:
            self._take_chunk(session, owner, wc, parsed)
            return False
        return self._judge(session, owner, wc, parsed)

    def goes_on(self, owner: Company, wc: WebConnectorSession) -> bool:
        """Say whether this session has more to ask of the books."""
        is_asking = wc.state == "open" and wc.guard_passed and wc.books_asked < QUESTIONS_MAX
        return is_asking and wc.books_seen and books_check.read_books(owner.books).scan is not None

    def _known(self, session: Session, owner: Company) -> Books:
        """Give what is known; of a connection that is older than this knowledge it is read from its exports, once."""
        books = books_check.read_books(owner.books)
        if books.newest is not None:
            return books
        newest = rows.newest_written(session, owner.id, limit=books_check.NEWEST) if owner.last_success_at else ()
        books = replace(books, newest=tuple(_written(row) for row in newest))
        owner.books = books_check.keep_books(books)
        return books

    def _judge(
        self, session: Session, owner: Company, wc: WebConnectorSession, parsed: MessageSetResponse | None
    ) -> bool:
        now = self._clock()
        books = books_check.read_books(owner.books)
        checked = books_check.judge_books(
            books,
            parsed,
            turn=wc.books_asked,
            restored=owner.last_restore_time,
            is_elsewhere=wc.is_elsewhere,
            unproven=_unproven(session, owner) if wc.is_elsewhere else (),
        )
        match checked.fate:
            case Fate.HOLD:
                self._hold(session, owner, wc)
                return True
            case Fate.NOT_TOLD:
                if wc.is_elsewhere:
                    wc.state, wc.last_error = "refused", NOT_TOLD
                    return True
            case Fate.MOVED:
                self._accept_place(session, owner, wc, books, now)
            case Fate.READ_ALL | Fate.SAME:
                pass
        wc.books_seen = True
        books = books_check.read_books(owner.books)
        if checked.fate is Fate.READ_ALL or checked.is_restored:
            self._begin_reading(session, owner, books, checked, now)
        owner.last_restore_time = checked.restored
        return False

    def _hold(self, session: Session, owner: Company, wc: WebConnectorSession) -> None:
        """Let nothing be concluded and nothing be written in what may be a copy, until a person has answered."""
        now = self._clock()
        seen = OpenFile(file_id=None, company_name=owner.bound_company_name, company_file=wc.company_file)
        ask(owner, Code.MOVED, name=owner.bound_company_name or "", path=wc.company_file, at=now)
        refuse(session, owner, wc, Code.MOVED, moved_text(owner.bound_company_file or "", seen), now)
        wc.state = "refused"

    def _accept_place(
        self, session: Session, owner: Company, wc: WebConnectorSession, books: Books, now: datetime
    ) -> None:
        before, known = owner.bound_company_file or "", books.spellings
        spellings = remember_spelling(remember_spelling(known, before), wc.company_file)
        if not any(is_same_place(one, wc.company_file) for one in known):
            text = f"The company file is open from {wc.company_file}, before it was {before}. It holds what we sent "
            text += "last, so it is the same one."
            record_incident(session, company_id=owner.id, at=now, code="company_file", text=text)
        owner.books = books_check.keep_books(replace(books, spellings=spellings))
        owner.bound_company_file = wc.company_file
        owner.file_question = None
        wc.is_elsewhere = False

    def _begin_reading(self, session: Session, owner: Company, books: Books, checked: Checked, now: datetime) -> None:
        is_first = owner.last_restore_time is None and checked.missing == 0
        why = "Somebody deleted them there, or put an older state of the company file in its place."
        if checked.is_restored and checked.restored:
            why = f"The company file was put back from a backup at {checked.restored}."
            if not is_first:
                text = f"The company file was restored from a backup at {checked.restored}. What was exported before "
                text += "is being looked for in it."
                record_incident(session, company_id=owner.id, at=now, code=RESTORED, text=text)
        if books.scan is not None and not checked.is_restored:
            return  # it is under way
        owner.books = books_check.keep_books(replace(books, scan=Scan(why=why, since=now.isoformat())))

    def _read_on(self, session: Session, owner: Company, books: Books, scan: Scan) -> list[Written]:
        before = None if scan.before is None else (datetime.fromisoformat(scan.before[0]), scan.before[1])
        found = rows.written_before(session, owner.id, before=before, limit=books_check.CHUNK)
        owner.books = books_check.keep_books(replace(books, scan=replace(scan, asked=tuple(row.id for row in found))))
        return [_written(row) for row in found if (row.quickbooks or {}).get("txn_id")]

    def _take_chunk(
        self, session: Session, owner: Company, wc: WebConnectorSession, parsed: MessageSetResponse | None
    ) -> None:
        now = self._clock()
        books = books_check.read_books(owner.books)
        scan = books.scan
        if scan is None:
            return
        asked = rows.exports_by_id(session, scan.asked)
        known = [_known(row) for row in asked if (row.quickbooks or {}).get("txn_id") and row.state == rows.SUCCESSFUL]
        kinds = {one.written.kind for one in known}
        there = books_check.found_in(parsed, kinds, turn=wc.books_asked) if parsed is not None else None
        if there is None:
            wc.books_asked = QUESTIONS_MAX  # QuickBooks did not answer: a later session asks again
            return
        is_last = len(scan.asked) < books_check.CHUNK
        read = books_check.judge_chunk(scan, known, there, is_last=is_last)
        by_id = {row.id: row for row in asked}
        last = asked[-1] if asked else None
        before = (last.updated_at.isoformat(), last.id) if last is not None else scan.before
        for export_id in read.missing:
            _mark(session, by_id[export_id], since=now, text=f"{GONE_TEXT}. {scan.why}", at=now)
        for export_id in read.found:
            _mark(session, by_id[export_id], since=None, text=BACK_TEXT, at=now)
        scan = replace(read.scan, before=before)
        if not read.is_over:
            owner.books = books_check.keep_books(replace(books, scan=scan))
            return
        self._end_reading(session, owner, books, scan, now)

    def _end_reading(self, session: Session, owner: Company, books: Books, scan: Scan, now: datetime) -> None:
        write_changes(session)
        newest = rows.newest_written(session, owner.id, limit=books_check.NEWEST)
        gone = rows.missing_exports(session, owner.id, limit=books_check.GONE)
        books = replace(books, newest=tuple(map(_written, newest)), gone=tuple(map(_written, gone)), scan=None)
        owner.books = books_check.keep_books(books)
        if scan.missing:
            text = books_check.missing_text(scan)
            record_incident(session, company_id=owner.id, at=now, code=MISSING, text=text)
            data = {"company_id": owner.id, "count": scan.missing, "owner": "bookkeeper", "next_step": webhooks.SEE_API}
            webhooks.tell(session, owner.id, webhooks.EVENT_MISSING, data, at=now, key=f"missing/{scan.since}")
        if scan.found:
            is_one = scan.found == 1
            what = "1 document that was missing is" if is_one else f"{scan.found} documents that were missing are"
            record_incident(
                session, company_id=owner.id, at=now, code="exports_found", text=f"{what} in QuickBooks again."
            )


def _unproven(session: Session, owner: Company) -> list[Unproven]:
    """Give the documents of the set whose answer is not known."""
    unresolved = queue.unresolved_write_set(session, owner.id)
    return [
        Unproven(
            kind="carrier_bill" if request.operation.startswith("Bill") else "invoice",
            ref_number=request.facts["ref_number"],
            external_guid=request.facts["external_guid"],
        )
        for request in (queue.requests_of_set(session, unresolved.id) if unresolved is not None else ())
    ]


def _written(row: Export) -> Written:
    quickbooks = row.quickbooks or {}
    kind: books_check.Kind = "carrier_bill" if row.kind == "carrier_bill" else "invoice"
    return Written(kind=kind, txn_id=str(quickbooks["txn_id"]), edit_sequence=quickbooks.get("edit_sequence"))


def _known(row: Export) -> Known:
    return Known(
        id=row.id,
        number=row.ref_number or row.number,
        written=_written(row),
        is_missing=row.missing_since is not None,
        is_left=row.missing_answer is not None,
    )


def _mark(session: Session, row: Export, *, since: datetime | None, text: str, at: datetime) -> None:
    row.missing_since = since
    row.missing_answer = None
    row.updated_at = at
    exports.add_timeline(session, row.id, at=at, state=row.state, text=text, key=f"books/{row.id}/{at.isoformat()}")
