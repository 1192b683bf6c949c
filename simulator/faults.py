"""What can go wrong on the QuickBooks side, on purpose and repeatably (qbxml.md 7.16)."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from .errors import (
    DISCONNECTED,
    ODD_TEXTS,
    PARSE_ERROR,
    PARSE_ERROR_TEXT,
    QuickBooksCrash,
    QuickBooksError,
    RequestProblem,
    Status,
)
from .odd_lists import OddLists

CrashPoint = Literal["before_commit", "after_commits", "before_record", "after_record"]
HangPoint = Literal["before_judged", "before_commit", "after_commits", "before_record", "after_record"]
OddCode = Literal["0", "510", "1000", "left_out"]


@dataclass(frozen=True)
class _Crash:
    point: CrashPoint
    commits: int
    hresult: str | None


@dataclass(frozen=True)
class _Hang:
    point: HangPoint
    commits: int
    meanwhile: Callable[[], None]


@dataclass(frozen=True)
class OddAnswer:
    """What QuickBooks says of one Add instead of the truth; without a status the answer is left out of the set."""

    status: Status | None
    is_written: bool


@dataclass(frozen=True)
class Otherwise:
    """What QuickBooks writes instead of what was sent; None: as sent. An entity is named in full."""

    txn_date: str | None = None
    ref_number: str | None = None
    entity: str | None = None


@dataclass
class _Refusal:
    times: int
    hresult: str
    message: str


@dataclass
class _Rejection:
    times: int
    status: Status


@dataclass
class Faults:
    """A queue of faults; each is used up by the event it is for. Message sets without a write never crash or hang."""

    _crashes: deque[_Crash] = field(default_factory=deque)
    _hangs: deque[_Hang] = field(default_factory=deque)
    _odd: dict[str, deque[OddAnswer]] = field(default_factory=dict)
    _otherwise: deque["Otherwise"] = field(default_factory=deque)
    _spoilt: dict[str, int] = field(default_factory=dict)
    _forgotten: dict[str, int] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    """How often a fault was really met, by the name of the function that orders it; not those that raise."""
    _openings: deque[_Refusal] = field(default_factory=deque)
    _rejections: dict[str, deque[_Rejection]] = field(default_factory=dict)
    _documents: dict[str, deque[_Refusal]] = field(default_factory=dict)
    _choking: dict[str, _Refusal] = field(default_factory=dict)
    _lost_records: int = 0
    lists: OddLists = field(default_factory=OddLists)
    """Answers to list queries that are not what they should be."""

    def crash_before_commit(self, hresult: str | None = DISCONNECTED) -> None:
        """The next set with a write kills QuickBooks before anything of it is written."""
        self._crashes.append(_Crash("before_commit", 0, hresult))

    def crash_after(self, commits: int, hresult: str | None = DISCONNECTED) -> None:
        """The next set with a write is written up to this many transactions, then QuickBooks dies."""
        self._crashes.append(_Crash("after_commits", commits, hresult))

    def crash_after_commit_before_record(self, hresult: str | None = DISCONNECTED) -> None:
        """All is written but no recovery record is kept: a status check says 9002 although it ran (qbxml.md 7.16)."""
        self._crashes.append(_Crash("before_record", 0, hresult))

    def crash_after_record(self, hresult: str | None = DISCONNECTED) -> None:
        """All is written and recorded; only the answer is lost."""
        self._crashes.append(_Crash("after_record", 0, hresult))

    def hang(self, meanwhile: Callable[[], None], point: HangPoint = "before_commit", commits: int = 0) -> None:
        """The next set with a write stands still at a point, `meanwhile` happens, and then it goes on.

        At `before_judged` the set has not even been compared with QuickBooks' memory of sets; later it has.
        """
        self._hangs.append(_Hang(point, commits, meanwhile))

    def odd_answer(self, code: OddCode, *, is_written: bool, ref_number: str = "", times: int = 1) -> None:
        """Answer the Add of this RefNumber, or the next of any, oddly: whether it is written is no part of the answer.

        0 comes without a transaction, 510 and 1000 say that something else went wrong, `left_out` is no answer at all.
        """
        status = None if code == "left_out" else Status(int(code), ODD_TEXTS[code])
        self._odd.setdefault(ref_number, deque()).extend([OddAnswer(status, is_written)] * times)

    def take_odd(self, ref_number: str | None) -> OddAnswer | None:
        """The odd answer meant for the Add of this RefNumber."""
        for name in (ref_number or "", ""):
            if self._odd.get(name):
                self.struck["odd_answer"] += 1
                return self._odd[name].popleft()
        return None

    def write_otherwise(
        self, *, txn_date: str | None = None, ref_number: str | None = None, entity: str | None = None
    ) -> None:
        """The next Add is written, and answered, with another date, number, or customer or vendor than was sent."""
        self._otherwise.append(Otherwise(txn_date, ref_number, entity))

    def take_otherwise(self) -> "Otherwise":
        """What the Add that is due is written with instead."""
        return self._otherwise.popleft() if self._otherwise else Otherwise()

    def spoil_row(self, name: str, times: int = 1) -> None:
        """The next answers to requests of this name with rows hold one that no schema allows."""
        self._spoilt[name] = self._spoilt.get(name, 0) + times

    def spoils_row(self, name: str) -> bool:
        """Whether the answer now due holds such a row."""
        due = self._spoilt.get(name, 0)
        self._spoilt[name] = max(due - 1, 0)
        self.struck["spoil_row"] += due > 0
        return due > 0

    def forget_iterator(self, name: str, times: int = 1) -> None:
        """The next questions of this name that go on with an iterator find it gone (qbxml.md 4.3)."""
        self._forgotten[name] = self._forgotten.get(name, 0) + times

    def forgets_iterator(self, name: str) -> bool:
        """Whether the iterator of the question now due is gone."""
        due = self._forgotten.get(name, 0)
        self._forgotten[name] = max(due - 1, 0)
        return due > 0

    def lose_record(self, times: int = 1) -> None:
        """The next recovery record cannot be stored: the set runs and says 9005 (qbxml.md 1.4)."""
        self._lost_records += times

    def lock(self, ref_number: str, times: int = 1) -> None:
        """A user has the transaction of this number open (qbxml.md 6.2, 3175)."""
        self.reject(
            ref_number,
            3175,
            "There was an error adding, modifying or deleting a transaction because it is already in use.  "
            "QuickBooks error message: The transaction could not be locked. It is in use by another user.",
            times,
        )

    def reject(self, ref_number: str, code: int, message: str, times: int = 1, *, severity: str | None = None) -> None:
        """Refuse the Add of this RefNumber with this status; `severity` when it calls itself another than usual."""
        self._rejections.setdefault(ref_number, deque()).append(_Rejection(times, Status(code, message, severity)))

    def refuse_opening(self, hresult: str, message: str, times: int = 1) -> None:
        """The next sessions cannot be opened (web-connector.md 4.1)."""
        self._openings.append(_Refusal(times, hresult, message))

    def modal_dialog(self, times: int = 1) -> None:
        """A dialog is showing in QuickBooks."""
        self.refuse_opening("0x80040414", "A modal dialog box is showing in the QuickBooks user interface.", times)

    def wrong_file_open(self, times: int = 1) -> None:
        """Somebody has another company file open."""
        self.refuse_opening(
            "0x8004040A",
            "A QuickBooks company data file is already open and it is different from the one requested.",
            times,
        )

    def single_user_conflict(self, times: int = 1) -> None:
        """The file is open in another mode."""
        self.refuse_opening(
            "0x80040410",
            "The QuickBooks company data file is currently open in a mode other than the one specified.",
            times,
        )

    def not_running(self, times: int = 1) -> None:
        """QuickBooks is closed and no file was named."""
        self.refuse_opening(
            "0x80040416", "If QuickBooks is not running, a call to BeginSession must name a company data file.", times
        )

    def on_opening(self) -> None:
        """Raise what the next session runs into."""
        if self._openings:
            refusal = self._openings[0]
            refusal.times -= 1
            if refusal.times <= 0:
                self._openings.popleft()
            raise QuickBooksError(refusal.hresult, refusal.message)

    def on_post(self, ref_number: str | None) -> None:
        """Raise the status that this RefNumber meets."""
        waiting = self._rejections.get(ref_number or "")
        if waiting:
            rejection = waiting[0]
            rejection.times -= 1
            self.struck["reject"] += 1
            if rejection.times <= 0:
                waiting.popleft()
            raise RequestProblem(rejection.status.code, rejection.status.message, rejection.status.said)

    def refuse_query(self, name: str, code: int, message: str, times: int = 1, *, severity: str | None = None) -> None:
        """Answer the next requests of this name with an error status, also one that calls itself Info."""
        self.reject(name, code, message, times, severity=severity)

    def fail_queries(self, name: str, hresult: str, message: str, times: int = 1) -> None:
        """The next documents that hold a request of this name fail as a whole."""
        self._documents.setdefault(name, deque()).append(_Refusal(times, hresult, message))

    def choke_on(self, text: str, hresult: str = PARSE_ERROR, message: str = PARSE_ERROR_TEXT) -> None:
        """Every document with a request that holds this text fails as a whole, until `swallow` is called."""
        self._choking[text] = _Refusal(1, hresult, message)

    def swallow(self) -> None:
        """Nothing makes documents fail for a text in them any more."""
        self._choking.clear()

    def on_document(self, names: Iterable[str], text: str = "") -> None:
        """Raise what a document with these requests runs into."""
        for part, refusal in self._choking.items():
            if part in text:
                raise QuickBooksError(refusal.hresult, refusal.message)
        for name in names:
            waiting = self._documents.get(name)
            if waiting:
                refusal = waiting[0]
                refusal.times -= 1
                if refusal.times <= 0:
                    waiting.popleft()
                raise QuickBooksError(refusal.hresult, refusal.message)

    def take_crash(self) -> "CrashPlan":
        """The crash meant for the message set that runs now."""
        return CrashPlan(self._crashes.popleft() if self._crashes else None)

    def take_hang(self) -> "_Hang | None":
        """The standstill meant for the message set that arrived now."""
        return self._hangs.popleft() if self._hangs else None

    def loses_record(self) -> bool:
        """Whether the record now due is lost."""
        if self._lost_records:
            self._lost_records -= 1
            return True
        return False


@dataclass(frozen=True)
class CrashPlan:
    """Where, if anywhere, QuickBooks stands still or dies during one message set."""

    crash: _Crash | None = None
    hang: _Hang | None = None

    def reach(self, point: HangPoint, commits: int = 0) -> None:
        """Stand still if that is meant for this point; die if the crash is."""
        if self.hang and self.hang.point == point and self.hang.commits == commits:
            self.hang.meanwhile()
        if self.crash and self.crash.point == point and self.crash.commits == commits:
            raise QuickBooksCrash(self.crash.hresult)


@dataclass
class Switches:
    """Behaviour that the references leave open; the default is the harder case for an exporter."""

    refuse_literal_non_ascii: bool = True
    refuse_inactive_references: bool = True
    refuse_class_when_tracking_is_off: bool = False
    refuse_lines_without_tax_code: bool = True
    """Abroad, while sales tax is on; no source says what QuickBooks does."""
    amounts_include_tax: bool = True
    """Abroad, where a document does not say it: a preference of the file decides."""
    line_without_code_takes_that_of_its_item: bool = False
    """For a taxable customer; one measurement says non-taxable (qbxml.md 0.9)."""
    home_account_serves_foreign_parties: bool = False
    """QuickBooks' words allow "home currency or the transaction currency"; receivables of each currency are apart."""
    account_of_last_document: bool = True
    """Without an A/R or A/P account the one of the newest document of this kind is taken, whatever its currency."""
    refuse_tax_code_when_sales_tax_is_off: bool = False
    """S9 says that QuickBooks then takes its non-taxable code; no source says that it never refuses."""
    refuse_billable_mark_on_other_accounts: bool = True
    """Where no cost is posted to, "Target is not reimbursable" answers either mark."""
    iterator_code: int = 3391
    """The status of an iteratorID that is no more; 3391 in a public report, others are possible."""
    refuse_negative_totals: bool = True
    refuse_empty_bills: bool = True
    refuse_adds_in_closed_period: bool = True
    refuse_repeated_external_guid: bool = False
    number_missing_ref: bool = True
    standard_time_offset_all_year: bool = True
    keep_only_latest_record: bool = False
    records_survive_restore: bool = False
    empty_ask_leaves_record: bool = False
    """A status check for an id that QuickBooks does not know leaves an empty record under it."""
    tells_marks_of_others: bool = True
    """The Web Connector tells the FileIDs of all its applications in the file, not only its own (web-connector.md 2.1).
    """
    items_by_type: bool = True
    """ItemQuery gives one type after the other instead of all by name (qbxml.md 4.2: do not rely on its order)."""
