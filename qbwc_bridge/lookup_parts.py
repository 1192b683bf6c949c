"""Pure: what is looked up together. A question that QuickBooks cannot read must not take its neighbours down.

A look-up that fails as a whole is asked again in halves, down to one document, and then each of its questions alone;
all of it in the same session, as with writes (design.md 3.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qbwc_bridge.rulings import SentRequest
from qbwc_bridge.unresolved import Asked

NUMBER, CHANGED, DATED = "n", "e", "d"
"""What a question asks for: a number; what changed of a customer or vendor; what is dated so of one."""
FAILURES_MAX = 2
"""So often a question must fail alone: an HRESULT names no document, and one may be delivered twice."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """The documents to look up next, and the ids of the questions about them."""

    sent: tuple[SentRequest, ...]
    ids: tuple[str, ...]


def question_ids(sent: Sequence[SentRequest], request: SentRequest) -> tuple[str, str, str]:
    """Give the ids of the questions about a document: by number, by changes, by date.

    Documents of one customer or vendor share the question about changes, and those of one date the one about dates.
    """
    of_entity = [one for one in sent if entity_key(one) == entity_key(request)]
    of_date = [one for one in of_entity if one.facts.txn_date == request.facts.txn_date]
    return _id(request, NUMBER), _id(of_entity[0], CHANGED), _id(of_date[0], DATED)


def entity_key(request: SentRequest) -> tuple[str, str]:
    """Tell customers and vendors apart."""
    return request.operation, request.facts.entity_list_id or request.facts.entity_full_name or ""


def next_part(sent: Sequence[SentRequest], asked: Sequence[Asked]) -> Part | None:
    """Give what is looked up next; None when this session has asked everything about all of `sent`.

    `sent` are the documents of a set that are not decided, `asked` what was asked about the set, oldest first.
    """
    lookups = [one for one in asked if one.kind == "lookup"]
    open_ones = [request for request in sent if not is_through(request, lookups)]
    if not open_ones:
        return None
    head = open_ones[0]
    if any(one.has_failed and set(one.ids) <= set(_own_ids(head)) for one in lookups):
        answered = _answered(lookups)
        alone = next(one for one in _own_ids(head) if one not in answered and not is_dead(one, lookups))
        return Part(sent=(head,), ids=(alone,))
    failed = [_of(sent, one.ids) for one in lookups if one.has_failed and not _is_explained(one, sent, lookups)]
    smallest = min((part for part in failed if head in part), key=len, default=None)
    if smallest is None:
        return _whole([one for one in open_ones if not any(one in part for part in failed)])
    middle = (len(smallest) + 1) // 2
    half = smallest[:middle] if head in smallest[:middle] else smallest[middle:]
    return _whole([one for one in half if one in open_ones])


def is_through(request: SentRequest, asked: Sequence[Asked]) -> bool:
    """Say whether this session has asked everything about a document, so that it can be ruled on."""
    lookups = [one for one in asked if one.kind == "lookup"]
    own = _own_ids(request)
    for one in lookups:
        if one.is_mine and one.is_answered and own[0] in one.ids and not set(one.ids) < set(own):
            return True  # it was asked for with its neighbours, or alone with all of its questions
    answered = _answered(lookups)
    return all(one in answered or is_dead(one, lookups) for one in own)


def is_dead(question: str, asked: Sequence[Asked]) -> bool:
    """Say whether a question failed alone so often that it is the culprit."""
    alone = sum(one.kind == "lookup" and one.has_failed and one.ids == (question,) for one in asked)
    return alone >= FAILURES_MAX


def _whole(sent: Sequence[SentRequest]) -> Part:
    ids = dict.fromkeys(one for request in sent for one in question_ids(sent, request))
    return Part(sent=tuple(sent), ids=tuple(ids))


def _is_explained(failed: Asked, sent: Sequence[SentRequest], lookups: Sequence[Asked]) -> bool:
    """Say whether a part failed over a document that was found to be the culprit, and is decided."""
    open_ids = {one for request in sent for one in _own_ids(request)}
    culprits = {one.ids[0] for one in lookups if one.has_failed and len(one.ids) == 1} - open_ids
    return any(_prefix(one) in {_prefix(culprit) for culprit in culprits} for one in failed.ids)


def _of(sent: Sequence[SentRequest], ids: Sequence[str]) -> list[SentRequest]:
    """Give the documents that were looked up together."""
    return [request for request in sent if _id(request, NUMBER) in ids]


def _own_ids(request: SentRequest) -> tuple[str, str, str]:
    return question_ids((request,), request)


def _prefix(question: str) -> str:
    return question.rpartition(".")[0]


def _answered(lookups: Sequence[Asked]) -> set[str]:
    return {question for one in lookups if one.is_mine and one.is_answered for question in one.ids}


def _id(request: SentRequest, question: str) -> str:
    return f"{request.wire_id}.{question}"
