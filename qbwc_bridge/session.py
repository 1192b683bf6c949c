"""Pure: what a session does next, and how far it is. Facts in, a decision out; `dispatcher.py` carries it out.

The order is the promise (design.md 3.4, 3.5): first the right company file, then whatever is unresolved, then new work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MAX_PROGRESS_BEFORE_END = 99
DONE = 100


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a set and a session may take."""

    batch_size: int = 20
    """Requests a set. Services use 20-25 (qbxml.md 5.7)."""
    batch_bytes: int = 500_000
    """Characters a set; requests stay well under 1 MB (web-connector.md 2.2)."""
    session_budget_s: int = 240
    """Long sessions freeze the Web Connector's scheduler (web-connector.md 5.1, 27). Nothing makes one longer."""
    sets_max: int = 1000
    """Documents a session, should the clock stand still; ten thousands of list rows need some hundreds."""
    postpone_max: int = 8
    """Sessions that a locked record may cost an export before a person must look."""
    settle_s: int = 180
    """So long after a set was fetched another session is told to come back: QuickBooks may be writing it."""
    elsewhere_s: int = 1800
    """So long after a fence was put up a set that another computer fetched may still be written: no fence stops a run
    that has begun."""
    abandon_s: int = 3600
    """A session that was silent for so long is over. A dialog in QuickBooks can hold up an answer for many minutes, so
    its late answer still counts (web-connector.md 2.2)."""
    lookups_max: int = 6
    """Sessions that looked a set up and decided nothing before a person must look."""
    losses_max: int = 10
    """Sets that QuickBooks died over with the same document in them; halving the sets leaves it alone after five."""
    attempts_max: int = 40
    """Times that a document is sent for whatever reasons; each reason alone has had its limit long before."""
    postpone_first: timedelta = timedelta(minutes=5)
    postpone_longest: timedelta = timedelta(hours=6)
    list_page: int = 200
    """Rows a page of a list; services use 25-300 (qbxml.md 4.3)."""
    list_interval: timedelta = timedelta(minutes=60)
    """Lists older than this are asked for what changed."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A request at the head of the queue."""

    id: str
    size: int
    batch_max: int


class Step(StrEnum):
    """What sendRequestXML hands out."""

    REFUSE = "refuse"
    CHECK_FILE = "check_file"
    """Was the company file restored from a backup?"""
    ASK = "ask"
    """What does QuickBooks remember of the unresolved set?"""
    PLANT_FENCE = "plant_fence"
    """A harmless query under the unresolved set's id: a late run of the set finds the id in use."""
    TRY_FENCE = "try_fence"
    """A harmless query as the next write will be sent; the ask that follows tells whether the fence outlives it."""
    LOOK_UP = "look_up"
    VERIFY = "verify"
    """Is it in QuickBooks as a person says?"""
    LOOK = "look"
    """Is it there already? Asked before the first Add of a document."""
    WRITE = "write"
    LIST = "list"
    PROBE = "probe"


def next_step(
    *,
    is_open: bool,
    guard_passed: bool,
    unresolved: Step | None,
    waiting: int,
    claimed: int = 0,
    unlooked: int = 0,
    lists_due: bool = False,
    is_spent: bool = False,
) -> Step:
    """Decide what leaves next. Nothing new leaves while a set is unresolved, on any ticket; exports before lists.

    `waiting` counts what may be written, `claimed` what a person says is there, `unlooked` what must be looked for.
    `unresolved` is what is to be asked about an unresolved set (unresolved.py); None: there is none. A session that
    `is_spent` hands nothing out, whatever is left to do.
    """
    if not is_open or not guard_passed or is_spent:
        return Step.REFUSE
    if unresolved is not None:
        return unresolved
    if claimed:
        return Step.VERIFY
    if waiting:
        return Step.WRITE
    if unlooked:
        return Step.LOOK
    return Step.LIST if lists_due else Step.PROBE


def is_spent(*, working: timedelta, handed_out: int, limits: Limits) -> bool:
    """Say whether a session has used up what it may take, after so long and so many documents."""
    return working > timedelta(seconds=limits.session_budget_s) or handed_out >= limits.sets_max


def choose_batch(waiting: Sequence[Waiting], limits: Limits) -> list[str]:
    """Take requests from the head of the queue until a limit is reached; at least one, however large it is."""
    chosen: list[str] = []
    size = 0
    count_max = limits.batch_size
    for request in waiting:
        count_max = min(count_max, request.batch_max)
        size += request.size
        if chosen and (len(chosen) >= count_max or size > limits.batch_bytes):
            break
        chosen.append(request.id)
    return chosen


def progress(*, done: int, left: int) -> int:
    """Give the percentage: 100 only when nothing is left, for it ends the session (web-connector.md 1.4)."""
    if left <= 0:
        return DONE
    return min(MAX_PROGRESS_BEFORE_END, done * DONE // (done + left))


def pause_after(postponed: int, limits: Limits) -> timedelta:
    """Give the growing pause before an export that met a lock is tried again; `postponed` counts from 1."""
    doubled: int = 2 ** min(postponed - 1, 20)
    return min(limits.postpone_longest, limits.postpone_first * doubled)
