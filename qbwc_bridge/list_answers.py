"""The sync of lists over the store: hands out the questions of `list_sync.py`, and stores their answers page by page.

Each page and everything that follows from it is one transaction, the caller's. What fails here is noted at its list and
tried again in a later session; exports never wait for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from mapping.lists import CompanyFacts, ListKind
from qbwc_bridge import list_questions, list_sync
from qbwc_bridge.answers import problem_of
from qbwc_bridge.list_entries import page_of
from qbwc_bridge.list_sync import ACTIVITY, DELETED, KINDS, Mode, Pass, Phase, Skipped, Worth
from qbwc_bridge.list_times import day_before
from qbwc_bridge.matching import Answer
from qbwc_bridge.observing import Observation
from qbwc_bridge.rulings import SetFate, judge_hresult
from qbwc_bridge.session import Limits, pause_after
from qbxml.company import CompanyActivityRet
from qbxml.deleted_lists import ListDeletedRet
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse
from qbxml.outcomes import classify_status
from qbxml.verdicts import Retry
from store import list_syncs, list_writes, outbox, queue, states, webhooks
from store.companies import record_incident_once
from store.polls import Glance
from store.queue import Left
from store.sync_tables import CompanySync, ListSync
from store.tables import Company, MessageSet, WebConnectorSession
from workflows import contracts

DELETED_MARGIN_DAYS = 2
"""The day of the QuickBooks computer is not ours, and its clock may have been set back by as much as `LOOKBACK`."""
NO_ANSWER = "QuickBooks did not answer the question about this list. It is asked again later."
NOT_WHOLE = (
    "QuickBooks sent this list with the warning {code}, so it may not be complete. What came is here, nothing was "
    "marked as deleted, and the list is asked for again later."
)
NO_TEMPLATES = "QuickBooks sent no form templates although it had some before. They are kept and asked for again later."
UNCONFIRMED = (
    "QuickBooks left {count} entries out of its {list} list without saying that they were deleted. "
    "They stay as they were."
)
FEATURE_OFF = 3250
"""QuickBooks has this feature switched off, or not at all (qbxml.md 6.2)."""
TOLD_AGAIN = timedelta(days=7)
"""What stays as it is is told the operator once a week."""
FIELDS = tuple(field.name for field in dataclasses.fields(Pass) if field.name != "skipped")

log = structlog.get_logger(__name__)


class ListSyncs:
    """The lists' side of the Web Connector's calls."""

    def __init__(
        self,
        *,
        limits: Limits,
        clock: Callable[[], datetime],
        lower_version: Callable[[WebConnectorSession, Answer], bool],
        observe: Observation,
    ) -> None:
        """`lower_version` takes a session one qbXML version down; False when none is left."""
        self._observe = observe
        self._limits = limits
        self._clock = clock
        self._lower_version = lower_version

    def is_due(self, seen: Glance | Left) -> bool:
        """Say whether the lists alone are worth a session of a company that is not paused."""
        return list_sync.is_due(
            state=seen.sync_state,
            last_sync_at=seen.last_sync_at,
            retry_at=seen.retry_at,
            now=self._clock(),
            limits=self._limits,
        )

    def hand_out(self, session: Session, owner: Company, wc: WebConnectorSession, *, set_id: str) -> str:
        """Give the next message set about lists; begins a sync when none is under way."""
        now = self._clock()
        sync = list_syncs.company_sync(session, owner.id)
        if sync is None or sync.state != list_syncs.RUNNING or sync.file_key != _file_key(owner):
            sync = self._begin(session, owner, sync)
        passes = _passes(session, owner.id)
        if passes[ACTIVITY].iterator_of != wc.ticket_hash:
            # In each session anew: the file may have been put back from a backup between two of them.
            passes[ACTIVITY] = Pass(kind=ACTIVITY, mode=Mode.CHANGES, iterator_of=wc.ticket_hash)
        questions = []
        for chosen in list_sync.choose(passes.values()):
            asked, question = list_sync.ask(
                chosen, set_id=set_id, ticket_hash=wc.ticket_hash, now=now, limits=self._limits
            )
            if chosen.phase is Phase.CONFIRMING:
                question = dataclasses.replace(question, list_ids=tuple(_unseen(session, chosen, owner.id)))
            if chosen.kind == DELETED and sync.last_sync_at is not None:
                question = dataclasses.replace(question, since=day_before(sync.last_sync_at, DELETED_MARGIN_DAYS))
            questions.append(question)
            _save(session, owner.id, asked)
        if ACTIVITY not in {question.kind for question in questions}:
            _save(session, owner.id, passes[ACTIVITY])
        return list_questions.document(questions, set_id=set_id, version=wc.qbxml_version)

    def record(
        self, session: Session, owner: Company, wc: WebConnectorSession, exchange: MessageSet, answer: Answer
    ) -> bool:
        """Store an answer; True when the session must end with its error.

        The text itself is not kept, only what recognises it when it comes again.
        """
        now = self._clock()
        exchange.response = queue.digest(answer.response)
        exchange.hresult = answer.hresult[:40] or None
        exchange.message = answer.message[:1000] or None
        exchange.answered_at = now
        exchange.state = states.ANSWERED
        asked = [one for one in _passes(session, owner.id).values() if one.asked_in == exchange.id]
        if wc.state != "open":
            exchange.state = states.ABANDONED  # a newer session asks for itself; an old page would undo its work
            return True
        if answer.hresult.strip():
            return self._record_hresult(session, owner, wc, asked, answer)
        try:
            parsed = answer.parsed
        except UnreadableResponse as error:
            self._fail(session, owner, asked, f"The answer of QuickBooks could not be read: {error}")
        else:
            self._take_all(session, owner, wc, exchange, asked, parsed)
        self._end_if_done(session, owner)
        return False

    def forget_file(self, session: Session, owner: Company) -> None:
        """Begin anew with everything: the connection was bound to another company file."""
        sync = list_syncs.request_sync(session, owner.id, at=self._clock(), full=True)
        sync.file_key = ""

    def percent(self, session: Session, owner: Company) -> int:
        """Give how far the sync under way is, 1 to 99."""
        return list_sync.percent(_passes(session, owner.id).values())

    def _begin(self, session: Session, owner: Company, sync: CompanySync | None) -> CompanySync:
        now = self._clock()
        if sync is None:
            sync = list_syncs.request_sync(session, owner.id, at=now, full=False)
        other_file = sync.file_key != _file_key(owner)
        last = sync.last_sync_at
        look_back = sync.last_lookback_at is None or now - sync.last_lookback_at >= list_sync.LOOKBACK_EVERY
        kept = list_sync.DELETED_KEPT - timedelta(days=DELETED_MARGIN_DAYS)
        begun = list_sync.begin(
            _passes(session, owner.id, fresh=True),
            now=now,
            everything=sync.wants_full or other_file,
            look_back=look_back,
            was_long_ago=last is None or now - last >= kept,
        )
        for one in begun:
            _save(session, owner.id, one)
        sync.run += 1
        sync.state = list_syncs.RUNNING
        sync.wants_full = False
        sync.started_at = now
        sync.finished_at = None
        sync.file_key = _file_key(owner)
        if look_back:
            sync.last_lookback_at = now
        self._tell(session, sync)
        log.info("list sync begins", company=owner.id, run=sync.run)
        return sync

    def _take_all(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        exchange: MessageSet,
        asked: Sequence[Pass],
        parsed: MessageSetResponse,
    ) -> None:
        """Deletions and a restore come first: they say whether the rest counts."""
        for kind in (one.kind for one in sorted(asked, key=lambda one: list_sync.ORDER.index(one.kind))):
            one = _pass(session, owner.id, kind)
            if one.asked_in != exchange.id:
                continue  # the file was restored: this list begins anew
            wire_id = list_questions.request_id(kind, exchange.id)
            response = parsed.by_request_id(wire_id)
            if response is None:
                self._fail(session, owner, [one], NO_ANSWER)
                continue
            is_confirming = one.phase is Phase.CONFIRMING
            worth = list_sync.worth(
                status_code=response.status_code, severity=response.severity, by_list_id=is_confirming
            )
            if list_sync.is_iterator_gone(one, status_code=response.status_code, ticket_hash=wc.ticket_hash):
                log.info("list is begun again", company=owner.id, kind=kind, code=response.status_code)
                _save(session, owner.id, list_sync.begin_iterator_again(one, _refusal(response)))
            elif response.status_code == FEATURE_OFF and _is_switched_off(owner, kind):
                # There is nothing to read, which is no failure; what came when it was on is kept.
                _save(session, owner.id, dataclasses.replace(one, phase=Phase.DONE, asked_in="", failures=0, note=""))
            elif worth is Worth.NOTHING or (worth is Worth.ROWS_ONLY and kind in (ACTIVITY, DELETED)):
                self._fail(session, owner, [one], _refusal(response))
            elif kind == ACTIVITY:
                self._take_activity(session, owner, one, response)
            elif kind == DELETED:
                _save(session, owner.id, dataclasses.replace(one, phase=Phase.DONE, asked_in=""))
                self._take_deleted(session, owner, response)
            elif worth is Worth.ROWS_ONLY:
                self._fail(session, owner, [self._store_rows(session, owner, one, response)], _refusal(response))
            elif is_confirming:
                asked_ids = list_questions.asked_list_ids(queue.text_of_set(session, exchange.id), wire_id)
                _save(session, owner.id, self._confirm(session, owner, one, response, asked_ids))
            else:
                count = parsed.by_request_id(wire_id + list_questions.COUNT)
                self._take(session, owner, wc, one, response, count)

    def _take(
        self,
        session: Session,
        owner: Company,
        wc: WebConnectorSession,
        one: Pass,
        response: Response,
        count: Response | None,
    ) -> None:
        page = page_of(one.kind, response)
        if one.kind == ListKind.TEMPLATE and not page.seen and self._has_any(session, owner, one.kind):
            # No question by ListID could prove it, and no company file is without the forms that come with it.
            self._fail(session, owner, [one], NO_TEMPLATES)
            return
        one = self._store_rows(session, owner, one, response)
        if count is not None and count.is_complete and count.ret_count is not None:
            one = list_sync.counted(one, count.ret_count)
        after = list_sync.take(
            one,
            page.seen,
            remaining=response.iterator_remaining,
            iterator=response.iterator_id,
            ticket_hash=wc.ticket_hash,
            now=self._clock(),
        )
        if after.phase is Phase.DONE:
            after = self._complete(session, owner, after)
        _save(session, owner.id, after)

    def _complete(self, session: Session, owner: Company, one: Pass) -> Pass:
        now = self._clock()
        if one.mode is Mode.FULL:
            seen = list_writes.count_seen(session, owner.id, one.kind, one.generation)
            anew = list_sync.came_short(one, seen)
            if anew is not None:
                return anew
            if one.kind == ListKind.TEMPLATE:
                list_writes.mark_unseen(session, owner.id, one.kind, generation=one.generation, at=now)
            elif _unseen(session, one, owner.id):
                return dataclasses.replace(one, phase=Phase.CONFIRMING)
            one = dataclasses.replace(one, phase=Phase.DONE, last_full_at=now)
        return dataclasses.replace(one, last_sync_at=now)

    def _confirm(self, session: Session, owner: Company, one: Pass, response: Response, asked: Sequence[str]) -> Pass:
        """Take the answer about entries that a full pass did not bring: each is found, gone for certain, or kept."""
        now = self._clock()
        page = page_of(one.kind, response)
        one = dataclasses.replace(self._store_rows(session, owner, one, response), asked_in="")
        gone = list_sync.proven_gone(
            asked,
            page.named,
            status_code=response.status_code,
            is_readable=all(row.list_id for row in page.skipped),
        )
        list_writes.mark_gone(session, owner.id, one.kind, gone, at=now)
        unproven = [list_id for list_id in asked if list_id not in page.named and list_id not in set(gone)]
        if unproven:
            list_writes.keep(session, owner.id, one.kind, unproven, generation=one.generation)
            text = UNCONFIRMED.format(count=len(unproven), list=one.kind.replace("_", " "))
            record_incident_once(
                session, company_id=owner.id, at=now, code="list_entries_unconfirmed", text=text, within=TOLD_AGAIN
            )
        anew = list_sync.left_out(one) if page.named else None
        return anew or self._complete(session, owner, one)

    def _store_rows(self, session: Session, owner: Company, one: Pass, response: Response) -> Pass:
        """Write what could be read; an entry whose row could not be counts as seen and stays as it was."""
        page = page_of(one.kind, response)
        list_writes.upsert_page(session, owner.id, one.kind, page.rows, generation=one.generation, at=self._clock())
        kept = [row.list_id for row in page.skipped if row.list_id]
        list_writes.keep(session, owner.id, one.kind, kept, generation=one.generation)
        self._observe.rows_came(session, len(page.rows))
        for row in page.skipped:
            log.warning("list row could not be read", company=owner.id, kind=one.kind, reason=row.reason)
        return list_sync.note_skipped(one, read={row.list_id for row in page.rows}, skipped=page.skipped)

    def _has_any(self, session: Session, owner: Company, kind: str) -> bool:
        return list_writes.count_entries(session, owner.id, kind).entries > 0

    def _take_activity(self, session: Session, owner: Company, one: Pass, response: Response) -> None:
        rets = [ret for ret in response.rows_of(CompanyActivityRet) if isinstance(ret, CompanyActivityRet)]
        if not rets:
            self._fail(session, owner, [one], NO_ANSWER)  # silence does not say that nothing was ever restored
            return
        _save(session, owner.id, dataclasses.replace(one, phase=Phase.DONE, asked_in=""))
        self._notice_restore(session, owner, rets[0].last_restore_time or "")

    def _notice_restore(self, session: Session, owner: Company, restore_time: str) -> None:
        sync = list_syncs.company_sync(session, owner.id)
        if sync is None or sync.restore_time == restore_time:
            return
        sync.restore_time = restore_time
        for kind in KINDS:
            _save(session, owner.id, list_sync.begin_full(_pass(session, owner.id, kind)))

    def _take_deleted(self, session: Session, owner: Company, response: Response) -> None:
        now = self._clock()
        deleted = [ret for ret in response.rows_of(ListDeletedRet) if isinstance(ret, ListDeletedRet)]
        for kind in KINDS:
            ids = [ret.list_id for ret in deleted if list_questions.DELETED_TYPES.get(ret.type) == kind]
            gone = list_writes.mark_gone(session, owner.id, kind, ids, at=now)
            if not gone:
                continue
            one = list_sync.note_skipped(_pass(session, owner.id, kind), read=set(gone), skipped=())
            if one.phase is Phase.CONFIRMING and not _unseen(session, one, owner.id):
                one = self._complete(session, owner, one)
            _save(session, owner.id, one)
            stale: set[str] = {kind} if list_writes.has_orphans(session, owner.id, kind, gone) else set()
            if kind in (ListKind.ACCOUNT, ListKind.TERMS):
                stale |= list_writes.kinds_that_mention(session, owner.id, gone)
            for name in stale:
                _save(session, owner.id, dataclasses.replace(_pass(session, owner.id, name), needs_full=True))

    def _record_hresult(
        self, session: Session, owner: Company, wc: WebConnectorSession, asked: Sequence[Pass], answer: Answer
    ) -> bool:
        ruled = judge_hresult([], answer.hresult, answer.message, can_lower=self._lower_version(wc, answer))
        log.warning("question about lists failed", company=owner.id, hresult=answer.hresult)
        if ruled.fate is SetFate.LOWER_VERSION:
            for one in asked:
                _save(session, owner.id, list_sync.again(one))
            return False
        if ruled.verdict.retry is Retry.LOWER_VERSION:
            # None is left: exports would not be understood either. Other failures of lists never hurt exports.
            problem = problem_of(ruled.verdict, answer.message, self._clock())
            owner.problem = webhooks.noted_problem(session, owner, problem, at=self._clock())
        text = f"{ruled.verdict.explanation} {ruled.verdict.next_step}"
        self._fail(session, owner, asked, text)
        self._end_if_done(session, owner)
        if ruled.fate is SetFate.GO_ON:
            return False
        self._give_up(session, owner, text)
        wc.state = "refused"
        wc.last_error = text
        return True

    def _give_up(self, session: Session, owner: Company, text: str) -> None:
        """QuickBooks itself is in trouble: the rest waits as well, so that sessions for exports come first."""
        left = [one for one in _passes(session, owner.id).values() if one.is_open]
        for one in left:
            _save(session, owner.id, dataclasses.replace(list_sync.again(one), phase=Phase.FAILED, note=text))
        if left:
            self._end_if_done(session, owner)

    def _fail(self, session: Session, owner: Company, passes: Sequence[Pass], note: str) -> None:
        for one in passes:
            log.warning("list could not be synced", company=owner.id, kind=one.kind)
            _save(session, owner.id, list_sync.fail(one, note))

    def _end_if_done(self, session: Session, owner: Company) -> None:
        passes = _passes(session, owner.id)
        sync = list_syncs.company_sync(session, owner.id)
        if sync is None or sync.state != list_syncs.RUNNING or any(one.is_open for one in passes.values()):
            return
        stale = [one for one in passes.values() if one.needs_full and one.phase is Phase.DONE]
        for one in stale:
            _save(session, owner.id, list_sync.begin_full(one))
        if stale:
            return
        now = self._clock()
        owner.mapping_version += 1  # what waits may point to an entry that was merged, deleted or made inactive
        failed = [one for one in passes.values() if one.phase is Phase.FAILED]
        sync.finished_at = now
        if failed:
            sync.state = list_syncs.FAILED
            sync.failures += 1
            sync.note = failed[0].note
            sync.retry_at = now + min(pause_after(sync.failures, self._limits), self._limits.list_interval)
        else:
            sync.state = list_syncs.DONE
            sync.failures = 0
            sync.note = next((note for kind in KINDS if (note := list_sync.skipped_note(passes[kind]))), "")
            if sync.note:
                record_incident_once(
                    session, company_id=owner.id, at=now, code="list_rows_unreadable", text=sync.note, within=TOLD_AGAIN
                )
            sync.retry_at = None
            sync.last_sync_at = sync.started_at
            full = [passes[kind].last_full_at for kind in KINDS]
            sync.last_full_at = min((at for at in full if at is not None), default=None)
        if sync.requested_at is not None and sync.started_at is not None and sync.requested_at > sync.started_at:
            sync.state = list_syncs.REQUESTED
            sync.retry_at = None
        for kind in KINDS:
            counts = list_writes.count_entries(session, owner.id, kind)
            row = session.get(ListSync, (owner.id, kind))
            if row is not None:
                row.entries, row.inactive, row.gone = counts.entries, counts.inactive, counts.gone
        self._tell(session, sync)
        self._observe.sync_ended(session, owner, run=sync.run, state=list_syncs.FAILED if failed else list_syncs.DONE)

    def _tell(self, session: Session, sync: CompanySync) -> None:
        """Let the workflow know that there is something new to read."""
        event = contracts.SyncMoved(company_id=sync.company_id, run=sync.run, state=sync.state)
        outbox.add_start(
            session,
            workflow_id=contracts.sync_workflow_id(sync.company_id),
            start=contracts.sync_start(event).model_dump(mode="json"),
            at=self._clock(),
        )


def _unseen(session: Session, one: Pass, company_id: str) -> list[str]:
    """Give the next entries to ask for by ListID: those that this full pass did not bring."""
    return list_writes.unseen(session, company_id, one.kind, generation=one.generation, limit=list_sync.CONFIRM_MAX)


def _refusal(response: Response) -> str:
    """Say why an answer cannot be used as it is, and what to do."""
    verdict = classify_status(response.status_code, response.severity, response.message)
    if verdict.retry is Retry.DONE:
        return NOT_WHOLE.format(code=response.status_code)
    return f"{verdict.explanation} {verdict.next_step}"


def _is_switched_off(owner: Company, kind: str) -> bool:
    """Say whether a list belongs to a preference that is off in the company file."""
    facts = CompanyFacts.model_validate(owner.preferences or {})
    return (kind == ListKind.CLASS and facts.class_tracking is False) or (
        kind == ListKind.SALES_TAX_CODE and facts.sales_tax is False
    )


def _file_key(owner: Company) -> str:
    """What tells the file that the entries are from. Its path may differ from PC to PC; a restore is asked for."""
    return owner.bound_company_name or str((owner.file_question or {}).get("name", ""))


def _passes(session: Session, company_id: str, *, fresh: bool = False) -> dict[str, Pass]:
    """Give the state of all lists; `fresh` leaves out those that were never begun."""
    found = {row.kind: _pass_of(row) for row in list_syncs.list_syncs(session, company_id)}
    return found if fresh else {kind: found.get(kind) or Pass(kind=kind) for kind in list_sync.ORDER}


def _pass(session: Session, company_id: str, kind: str) -> Pass:
    row = session.get(ListSync, (company_id, kind))
    return _pass_of(row) if row is not None else Pass(kind=kind)


def _pass_of(row: ListSync) -> Pass:
    values = {name: getattr(row, name) for name in FIELDS}
    skipped = tuple(Skipped(**one) for one in row.skipped)
    return Pass(**{**values, "phase": Phase(row.phase), "mode": Mode(row.mode), "skipped": skipped})


def _save(session: Session, company_id: str, one: Pass) -> None:
    row = session.get(ListSync, (company_id, one.kind))
    if row is None:
        row = ListSync(company_id=company_id, kind=one.kind, entries=0, inactive=0, gone=0, skipped=[])
        session.add(row)
    for name in FIELDS:
        setattr(row, name, getattr(one, name))
    row.skipped = [dataclasses.asdict(each) for each in one.skipped]
    session.flush()
