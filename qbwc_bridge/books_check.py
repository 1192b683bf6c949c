"""Pure: do the books that are open still hold what we last wrote into them? (design.md 3.5)

A copy of the company file bears our mark and name, and a backup that was put back bears them, too. What neither has is
our newest transactions. So each session with something of ours in the books asks for a few of the newest by TxnID, and
for LastRestoreTime, before anything is concluded or written. When something does not fit, all that we wrote is read by
TxnID, newest first, until `IN_A_ROW` older ones in a row are all there: a backup is the books of one moment, so what
was written before it is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from qbxml.bills import BillQuery
from qbxml.company import CompanyActivityQuery, CompanyActivityRet
from qbxml.envelope import MessageSetResponse, Response, UnreadableResponse, build_message_set, build_request_element
from qbxml.invoices import InvoiceQuery
from qbxml.queries import TxnQuery
from qbxml.values import same_guid

PREFIX = "check."
_ACTIVITY = f"{PREFIX}activity"
NEWEST = 5
"""Transactions that each session looks for."""
GONE = 3
"""And missing ones: they are there again when the right file was put back."""
CHUNK = 100
"""Transactions that one question asks for while all are read; their TxnIDs alone come back."""
IN_A_ROW = 200
NAMED_MAX = 20
"""Document numbers that are named in one sentence."""

Kind = Literal["invoice", "carrier_bill"]
_QUESTIONS: dict[Kind, tuple[str, type[TxnQuery]]] = {
    "invoice": (f"{PREFIX}invoices", InvoiceQuery),
    "carrier_bill": (f"{PREFIX}bills", BillQuery),
}
_FIELDS = ("TxnID", "EditSequence")
_MARKS = ("TxnID", "ExternalGUID")
_COMPLETE = (0, 1, 500)
"""All were found, none was, or some were not and those found are returned (qbxml.md 6.1)."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A transaction that we know to be in the books."""

    kind: Kind
    txn_id: str
    edit_sequence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How far reading everything of ours has come; it goes on in later sessions."""

    why: str
    since: str
    """When it was noticed, ISO 8601."""
    before: tuple[str, int] | None = None
    """Last change and id of the last export that was read; None at the beginning."""
    asked: tuple[int, ...] = ()
    """The exports of the question that is out."""
    in_a_row: int = 0
    missing: int = 0
    found: int = 0
    """Known as missing before, and there again."""
    named: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Books:
    """What is known of the books of a connection, as its row keeps it."""

    newest: tuple[Written, ...] | None = None
    """The last that we wrote, newest first, as far as it is not known as missing; None: not known yet."""
    gone: tuple[Written, ...] = ()
    spellings: tuple[str, ...] = ()
    scan: Scan | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is anything by which these books can be recognised."""
        return bool(self.newest or self.gone or self.scan)


def read_books(stored: Mapping[str, Any] | None) -> Books:
    """Read it from its row."""
    if not stored:
        return Books()
    newest, scan = stored.get("newest"), stored.get("scan")
    return Books(
        newest=None if newest is None else tuple(Written(**one) for one in newest),
        gone=tuple(Written(**one) for one in stored.get("gone", ())),
        spellings=tuple(stored.get("spellings", ())),
        scan=None if scan is None else _read_scan(scan),
    )


def _read_scan(stored: Mapping[str, Any]) -> Scan:
    before = stored.get("before")
    lists = {name: tuple(stored.get(name, ())) for name in ("asked", "named")}
    return Scan(**{**stored, **lists, "before": None if before is None else (before[0], before[1])})


def keep_books(books: Books) -> dict[str, Any]:
    """Give it as its row keeps it."""
    return asdict(books)


def with_written(books: Books, written: Written) -> Books:
    """Note a transaction that was just written."""
    others = tuple(one for one in books.newest or () if one.txn_id != written.txn_id)
    return replace(books, newest=(written, *others)[:NEWEST])


class Owner(Protocol):
    """What is asked of a company's row here."""

    books: dict[str, Any] | None
    last_success_at: datetime | None


def note_written(owner: Owner, operation: str, txn_id: str, edit_sequence: str | None) -> None:
    """Keep a transaction that QuickBooks just said it wrote, by the request's name, such as `BillAdd`."""
    books = read_books(owner.books)
    if books.newest is None and owner.last_success_at is not None:
        return  # of a connection that is older than this knowledge; its next session reads the newest of its exports
    kind: Kind = "carrier_bill" if operation.startswith("Bill") else "invoice"
    owner.books = keep_books(with_written(books, Written(kind=kind, txn_id=txn_id, edit_sequence=edit_sequence)))


class Fate(StrEnum):
    """What the answer means for the session."""

    SAME = "same"
    MOVED = "moved"
    """The same books at another place."""
    HOLD = "hold"
    """Another place, and not the books as we left them: a person decides."""
    READ_ALL = "read_all"
    """The right place, but something does not fit: all that we wrote is read."""
    NOT_TOLD = "not_told"
    """QuickBooks did not answer the question."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The judgement on an answer."""

    fate: Fate
    restored: str | None = None
    """When the file was last put back from a backup, as QuickBooks writes it."""
    is_restored: bool = False
    """That changed since it was told last."""
    missing: int = 0


@dataclass(frozen=True, kw_only=True)
class Unproven:
    """A document whose answer was lost: it may be in the books."""

    kind: Kind
    ref_number: str
    external_guid: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """A message set about the books, and the ids of its requests."""

    text: str
    ids: tuple[str, ...]


def check_question(asked: Sequence[Written], version: str, *, turn: int, unproven: Sequence[Unproven] = ()) -> Question:
    """Build the question for LastRestoreTime, these transactions, and documents by number (qbxml.md 1.4, 4.5).

    `turn` counts the questions of a session, so that no two answers of one are the same text.
    """
    ids = [f"{_ACTIVITY}.{turn}"]
    requests = [build_request_element(CompanyActivityQuery(), ids[0])]
    for kind, (name, query) in _QUESTIONS.items():
        txn_ids = tuple(one.txn_id for one in asked if one.kind == kind)
        if txn_ids:
            ids.append(f"{name}.{turn}")
            requests.append(build_request_element(query(txn_ids=txn_ids, include_ret_elements=_FIELDS), ids[-1]))
        numbers = tuple(one.ref_number for one in unproven if one.kind == kind)
        if numbers:
            ids.append(f"{name}.sent.{turn}")
            requests.append(build_request_element(query(ref_numbers=numbers, include_ret_elements=_MARKS), ids[-1]))
    return Question(text=build_message_set(requests, version=version), ids=tuple(ids))


def _holds_one(answer: MessageSetResponse, unproven: Sequence[Unproven], *, turn: int) -> bool:
    """Say whether one of these documents is there, by its own GUID."""
    for kind, (name, _) in _QUESTIONS.items():
        response = answer.by_request_id(f"{name}.sent.{turn}")
        rets = response.element.iterchildren("*") if response is not None and not response.is_error else ()
        guids = [ret.findtext("ExternalGUID") for ret in rets]
        if any(same_guid(guid, one.external_guid) for guid in guids for one in unproven if one.kind == kind):
            return True
    return False


def found_in(answer: MessageSetResponse, kinds: Collection[Kind], *, turn: int) -> dict[str, str | None] | None:
    """Give TxnID and EditSequence of what is there; None when one of these kinds was not answered."""
    found: dict[str, str | None] = {}
    for kind in kinds:
        response = answer.by_request_id(f"{_QUESTIONS[kind][0]}.{turn}")
        if response is None or response.status_code not in _COMPLETE:
            return None
        for ret in response.element.iterchildren("*"):
            txn_id = ret.findtext("TxnID")
            if txn_id:
                found[txn_id] = ret.findtext("EditSequence")
    return found


def judge_books(
    books: Books,
    answer: MessageSetResponse | None,
    *,
    turn: int,
    restored: str | None,
    is_elsewhere: bool,
    unproven: Sequence[Unproven] = (),
) -> Checked:
    """Compare what is there with what we left; `restored` is the LastRestoreTime known before.

    At another place older transactions prove only that a copy is younger than they are. So when an answer was lost, one
    of those documents must be there, too: what is absent from a copy would be sent into it, and be twice in the world.

    A newer EditSequence is somebody's edit; an older one, or none of a transaction, is an older state of the books.
    """
    newest = books.newest or ()
    found = found_in(answer, {one.kind for one in (*newest, *books.gone)}, turn=turn) if answer is not None else None
    told = _restored(answer.by_request_id(f"{_ACTIVITY}.{turn}")) if answer is not None else None
    if found is None or told is None:
        return Checked(fate=Fate.NOT_TOLD, restored=restored)
    now = told or None
    missing = sum(one.txn_id not in found for one in newest)
    went_back = missing > 0 or any(_is_older(found[one.txn_id], one.edit_sequence) for one in newest)
    came_back = any(one.txn_id in found for one in books.gone)
    is_restored = now != restored
    is_unproven = bool(unproven) and answer is not None and not _holds_one(answer, unproven, turn=turn)
    if is_elsewhere and (went_back or not newest or is_unproven):
        fate = Fate.HOLD
    elif is_elsewhere:
        fate = Fate.MOVED
    else:
        fate = Fate.READ_ALL if went_back or came_back or is_restored else Fate.SAME
    return Checked(fate=fate, restored=now, is_restored=is_restored, missing=missing)


def _restored(response: Response | None) -> str | None:
    """Give LastRestoreTime, "" for never; None when it was not told."""
    if response is None or response.is_error:
        return None
    try:
        rets = response.rets_of(CompanyActivityRet)
    except UnreadableResponse:
        return None
    return (rets[0].last_restore_time or "").strip() if rets else None


def _is_older(there: str | None, ours: str | None) -> bool:
    """Compare two EditSequences, Unix seconds of the last change (qbxml.md 5.3); what is no number tells nothing."""
    numbers = [int(text) for text in (there, ours) if text is not None and text.isdecimal()]
    return len(numbers) == 2 and numbers[0] < numbers[1]


@dataclass(frozen=True, kw_only=True)
class Known:
    """An export that is Successful, while all of them are read."""

    id: int
    number: str
    written: Written
    is_missing: bool
    """It is known as missing."""
    is_left: bool
    """A person said to leave it so: it counts for nothing."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What one answer to the reading of all says."""

    scan: Scan
    missing: tuple[int, ...] = ()
    """Exports that are not in the books, and were not known as missing."""
    found: tuple[int, ...] = ()
    is_over: bool = False


def judge_chunk(scan: Scan, asked: Sequence[Known], found: Mapping[str, str | None], *, is_last: bool) -> Read:
    """Say what is missing of one question's exports, and whether enough older ones in a row were there."""
    missing, back, in_a_row = [], [], scan.in_a_row
    named = list(scan.named)
    for one in asked:
        is_there = one.written.txn_id in found
        if one.is_left:
            continue
        in_a_row = in_a_row + 1 if is_there and not one.is_missing else 0
        if one.is_missing and is_there:
            back.append(one.id)
        elif not one.is_missing and not is_there:
            missing.append(one.id)
            named += [one.number] if len(named) < NAMED_MAX else []
    read = replace(
        scan,
        asked=(),
        in_a_row=in_a_row,
        missing=scan.missing + len(missing),
        found=scan.found + len(back),
        named=tuple(named),
    )
    return Read(scan=read, missing=tuple(missing), found=tuple(back), is_over=is_last or in_a_row >= IN_A_ROW)


def missing_text(scan: Scan) -> str:
    """Say what is not in QuickBooks any more, once all was read."""
    more = f" and {scan.missing - len(scan.named)} more" if scan.missing > len(scan.named) else ""
    is_one = scan.missing == 1
    what = "1 document that was exported is" if is_one else f"{scan.missing} documents that were exported are"
    return f"{what} not in QuickBooks any more: {', '.join(scan.named)}{more}. {scan.why}"
