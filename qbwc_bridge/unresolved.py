"""Pure: which question about an unresolved set comes next, and when a person must decide (design.md 3.4).

Was the company file restored? What does QuickBooks remember of the set? May another computer still write it? Then a
fence is put up first. Last comes the look-up, and only what it does not find is absent.

The fence is QuickBooks' own record of the set: a run that comes late finds its id in use and writes nothing
(qbxml.md 1.4, 9001). Whether an empty set leaves a record, and whether QuickBooks keeps more than the newest one, is
not confirmed by any source. So a harmless query is sent under the id, then a set with another id, as the next write
will be, and only then it is asked whether the record is still there. No fence stops a run that has begun: what the
fenced set may have written is looked up when any such run must be over, and the fence still stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qbwc_bridge.session import Limits, Step

ASKS_MAX = 2
"""A QuickBooks that cannot answer an empty set is not asked for ever."""
SESSIONS_PER_LOOKUP = 3
"""So many times the look-ups that decide nothing may be the sessions that get to no look-up at all."""
RECORD_IS_THERE = (0, 9001)
"""What messageSetStatusCode says of an id that is in use: here is its answer, or its content was another."""
QUESTIONS_MAX = 250
"""Questions about one set in a session: more than twenty documents need of which none can be looked up."""
PLANT_ID = "fence.plant"
TRY_ID = "fence.try"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question about an unresolved set, or one about the company file in the same session."""

    kind: str
    """activity | ask | fence | lookup"""
    session: str
    is_mine: bool
    """Asked in the session that is at work now."""
    ids: tuple[str, ...] = ()
    """The requestIDs that left; not kept of an activity and an ask."""
    is_answered: bool = False
    has_failed: bool = False
    """QuickBooks could not answer it, or not so that it can be read; without either, no answer came."""
    set_status: int | None = None
    is_old: bool = False
    """It was answered so long ago that a run which had begun by then is over."""
    has_doubt: bool = False
    """The company file was restored, so what QuickBooks remembers proves nothing."""


def may_be_elsewhere(*, fetched_by: str | None, here: str | None, seen: Sequence[str]) -> bool:
    """Say whether another computer than the one at work now may still be writing a set.

    One computer runs one update at a time, and its QuickBooks takes one application's document after the other
    (web-connector.md 2.4): a new session there means that the earlier run is over. Another computer proves nothing
    about it, however long ago it was. Without a name on either side, a second Web Connector counts when any computer
    was named of late: `seen`.
    """
    if fetched_by is not None and here is not None:
        return fetched_by.casefold() != here.casefold()
    known = (fetched_by or here or "").casefold()
    return any(name.casefold() != known for name in seen)


def next_question(asked: Sequence[Asked], *, is_elsewhere: bool, is_left: bool) -> Step:
    """Decide what is asked next; `is_left` says that this session can still look something up.

    `asked` is in the order of asking. REFUSE: this session can learn no more.
    """
    mine = [one for one in asked if one.is_mine]
    if len(mine) >= QUESTIONS_MAX:
        return Step.REFUSE
    is_starved = _gets_no_further(asked)
    if not is_starved and not any(one.kind == "activity" and one.is_answered for one in mine):
        return Step.CHECK_FILE
    asks = [one for one in asked if one.kind == "ask"]
    is_asked = any(one.is_answered for one in asks) or sum(one.has_failed for one in asks) >= ASKS_MAX
    if not is_asked and not is_starved and not any(one.has_doubt for one in asked):
        return Step.ASK
    fence = _next_for_fence(asked) if is_elsewhere and not _cannot_be_fenced(asked) else None
    return fence or (Step.LOOK_UP if is_left else Step.REFUSE)


def is_fenced(asked: Sequence[Asked]) -> bool:
    """Say whether no run of the set can write any more: none has begun, and this session saw that none can begin."""
    since = _standing_since(asked)
    return since is not None and asked[since].is_old and any(map(_is_mine_and_sees_it, asked[since:]))


def is_maturing(asked: Sequence[Asked]) -> bool:
    """Say whether the set is fenced off, and a run that had begun before may still go on."""
    since = _standing_since(asked)
    return since is not None and not asked[since].is_old


def is_hopeless(asked: Sequence[Asked], limits: Limits, *, is_at_end: bool) -> bool:
    """Say whether so many sessions decided nothing that a person must look.

    A session looks itself before it gives up (`is_at_end`), unless far too many never got so far.
    """
    last: dict[str, Asked] = {one.session: one for one in asked}
    undecided = sum(one.kind == "lookup" and one.is_answered for one in last.values())
    is_over = len({one.session for one in asked if not one.is_mine}) >= limits.lookups_max * SESSIONS_PER_LOOKUP
    return is_over or (is_at_end and undecided >= limits.lookups_max)


def _standing_since(asked: Sequence[Asked]) -> int | None:
    """Give the ask that first saw a record outlive another set, if every later one saw it, too."""
    since, is_tried = None, False
    for number, one in enumerate(asked):
        is_tried = is_tried or (one.is_answered and TRY_ID in one.ids)
        if one.kind == "ask" and one.is_answered:
            is_there = one.set_status in RECORD_IS_THERE
            since = (number if since is None else since) if is_there and is_tried else None
            is_tried = is_tried and is_there
    return since


def _next_for_fence(asked: Sequence[Asked]) -> Step | None:
    since = _standing_since(asked)
    if since is not None:
        return None if any(map(_is_mine_and_sees_it, asked[since:])) else Step.ASK
    steps = [one for one in asked if one.is_answered and one.kind in ("ask", "fence")]
    failed = [n for n, one in enumerate(steps) if one.kind == "ask" and one.set_status not in RECORD_IS_THERE]
    if failed and steps[failed[-1]].is_mine and any(TRY_ID in one.ids and one.is_mine for one in steps[: failed[-1]]):
        return None  # in this session the fence was put up, and did not hold
    latest = steps[failed[-1] + 1 :] if failed else steps
    if any(TRY_ID in one.ids for one in latest):
        return Step.ASK
    return Step.TRY_FENCE if latest else Step.PLANT_FENCE


def _is_mine_and_sees_it(one: Asked) -> bool:
    return one.is_mine and one.kind == "ask" and one.is_answered and one.set_status in RECORD_IS_THERE


def _cannot_be_fenced(asked: Sequence[Asked]) -> bool:
    return sum(one.kind in ("fence", "ask") and one.has_failed for one in asked) >= ASKS_MAX


def _gets_no_further(asked: Sequence[Asked]) -> bool:
    """Say whether two sessions used up their time with the first question: the look-up is right without it."""
    others = [one for one in asked if not one.is_mine and one.is_answered]
    further = {one.session for one in others if one.kind != "activity"}
    return len({one.session for one in others} - further) >= ASKS_MAX
