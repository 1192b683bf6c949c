"""Pure: what an answer of QuickBooks means for each request that was sent (qbxml.md 6, web-connector.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from qbwc_bridge.differences import differences
from qbwc_bridge.facts import Facts
from qbxml.bills import BillRet
from qbxml.envelope import MessageSetResponse, Response
from qbxml.invoices import InvoiceRet
from qbxml.outcomes import Retry, Verdict, classify_hresult, classify_status
from qbxml.written import Written
from workflows.contracts import Candidate, Difference

UNREADABLE = "0x80040400"
"""QuickBooks could not parse the document and ran nothing of it (qbxml.md 6.3)."""
UNKNOWN_VERSION = "0x80040423"
"""QuickBooks does not know this version of qbXML."""
MESSAGE_MAX = 1000
"""QuickBooks' own words are cut to this: they go into signals and rows."""
TEXT_MAX = 40
"""So are its numbers of a transaction; the schemas allow 36 characters for the longest."""


@dataclass(frozen=True, kw_only=True)
class SentRequest:
    """A request that left in a message set."""

    id: str
    operation: str
    attempt: int
    facts: Facts
    currency: str | None = None
    """Code of the currency that it is in; None: not known."""
    earlier_guids: tuple[str, ...] = ()
    """Of earlier exports of the same document: what bears one of them is ours, too."""
    ruled_out: tuple[str, ...] = ()
    """TxnIDs of which a person said that they are not this document."""

    @property
    def wire_id(self) -> str:
        """The requestID: unique for each attempt (web-connector.md 5.1, 16)."""
        return f"{self.id}.{self.attempt}"


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The transaction is in QuickBooks."""

    request_id: str
    txn_id: str
    edit_sequence: str | None
    ref_number: str | None
    txn_number: str | None
    differences: tuple[Difference, ...] = ()
    """In what it is otherwise there than it was meant."""
    confirmed_by: str | None = None
    """The person who said which transaction it is."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """QuickBooks refused it for good, or nobody can decide: here is whose turn it is."""

    request_id: str
    verdict: Verdict
    message: str
    candidates: tuple[Candidate, ...] = ()
    """What in QuickBooks may be it."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """Nothing was written and a later session may succeed. `passing` counts against the limit of tries."""

    request_id: str
    reason: str
    passing: bool
    batch_max: int | None = None
    lost: bool = False
    """Its set was lost and it was not written: too many of these and it is the document that kills QuickBooks."""
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """It may or may not be written: ask and look before anything else."""

    request_id: str


Ruling = Arrived | Rejected | Again | Unknown


class SetFate(StrEnum):
    """What a failure of the whole set means for the session."""

    GO_ON = "go_on"
    END_SESSION = "end_session"
    LOWER_VERSION = "lower_version"


@dataclass(frozen=True, kw_only=True)
class SetRuling:
    """The rulings after a whole set failed with an HRESULT, and what the session does."""

    rulings: tuple[Ruling, ...]
    fate: SetFate
    verdict: Verdict


def judge_answers(sent: Sequence[SentRequest], answer: MessageSetResponse) -> list[Ruling]:
    """Rule on each request by its requestID, never by position; a request without an answer is unknown."""
    rulings: list[Ruling] = []
    for request in sent:
        response = answer.by_request_id(request.wire_id)
        rulings.append(Unknown(request_id=request.id) if response is None else judge_write(request, response))
    return rulings


def judge_write(request: SentRequest, response: Response) -> Ruling:
    """Rule on the answer to one Add."""
    # The TxnID is the proof; whatever is odd beside it must not undo it, so everything else is only compared, as text.
    written = response.written()
    if written is not None:
        return arrived(request, written)
    verdict = classify_status(response.status_code, response.severity, response.message)
    message = response.message[:MESSAGE_MAX]
    match verdict.retry:
        case Retry.RETRY_LATER:
            return Again(request_id=request.id, reason=verdict.explanation, passing=True, verdict=verdict)
        case Retry.DONE | Retry.UNKNOWN_OUTCOME:
            # It says done but names no transaction: without a TxnID it is not Successful, so look for it.
            return Unknown(request_id=request.id)
        case _:
            return Rejected(request_id=request.id, verdict=verdict, message=message)


def transactions(response: Response) -> list[InvoiceRet | BillRet]:
    """Give the invoices and bills of an answer; raises UnreadableResponse."""
    return [ret for ret in response.rets() if isinstance(ret, InvoiceRet | BillRet)]


def judge_hresult(sent: Sequence[SentRequest], hresult: str, message: str, *, can_lower: bool = False) -> SetRuling:
    """Rule on a set that QuickBooks refused or died over; `can_lower` says that an older version is left to try."""
    verdict = classify_hresult(hresult, message, after_write=bool(sent))
    text = message[:MESSAGE_MAX] or hresult
    match verdict.retry:
        case Retry.OUR_BUG_SPLIT:
            return SetRuling(rulings=_split(sent, verdict, text), fate=SetFate.GO_ON, verdict=verdict)
        case Retry.LOWER_VERSION:
            if not can_lower:
                none_left = tuple(Rejected(request_id=r.id, verdict=verdict, message=text) for r in sent)
                return SetRuling(rulings=none_left, fate=SetFate.END_SESSION, verdict=verdict)
            again = tuple(Again(request_id=r.id, reason=verdict.explanation, passing=False) for r in sent)
            return SetRuling(rulings=again, fate=SetFate.LOWER_VERSION, verdict=verdict)
        case _:
            # An HRESULT comes after the document was handed over, so what the catalogue does not call
            # harmless for a write is treated as unknown; asking costs one round trip, doubling costs trust.
            unknown = tuple(Unknown(request_id=r.id) for r in sent)
            return SetRuling(rulings=unknown, fate=SetFate.END_SESSION, verdict=verdict)


def _split(sent: Sequence[SentRequest], verdict: Verdict, message: str) -> tuple[Ruling, ...]:
    """The whole set did not run: halve it until the culprit stands alone (design.md 3.6)."""
    if len(sent) == 1:
        return (Rejected(request_id=sent[0].id, verdict=verdict, message=message),)
    half = len(sent) // 2
    reason = "QuickBooks could not read the set it travelled in; it is sent again in a smaller one"
    return tuple(Again(request_id=r.id, reason=reason, passing=False, batch_max=half) for r in sent)


def arrived(request: SentRequest, written: Written) -> Arrived:
    """Rule that a request is in QuickBooks, however that was learned, and say what is otherwise there."""
    return Arrived(
        request_id=request.id,
        txn_id=written.txn_id,
        edit_sequence=_cut(written.edit_sequence),
        ref_number=_cut(written.ref_number),
        txn_number=_cut(written.txn_number),
        differences=differences(request.operation, request.facts, written, currency=request.currency),
    )


def _cut(text: str | None) -> str | None:
    return text[:TEXT_MAX] if text is not None else None
