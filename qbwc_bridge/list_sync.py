"""Pure: the passes over QuickBooks' lists. Facts in, the next questions out, and what an answer makes of them.

A pass is *full* or brings *changes*. Lists with an iterator come page by page within one session, the others by name
(qbxml.md 4.3). What a session could not finish goes on in a later one at the last name, if the names came in order.
A full pass of several questions *settles*: it asks once more for what changed meanwhile. What it did not bring is asked
for by ListID before it is called gone: only QuickBooks saying that there is no such entry proves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from mapping.lists import ListKind
from qbwc_bridge.list_times import earlier, is_of_the_future, later_of
from qbwc_bridge.session import Limits
from qbxml.status_codes import ERROR_FROM, SPECIFIC_FROM, WARNING_FROM

ACTIVITY = "activity"
"""CompanyActivityQuery: was the file put back from a backup."""
DELETED = "deleted"
"""ListDeletedQuery for all lists."""
KINDS = (
    ListKind.ACCOUNT,
    ListKind.TERMS,
    ListKind.CLASS,
    ListKind.SALES_TAX_CODE,
    ListKind.TEMPLATE,
    ListKind.ITEM,
    ListKind.VENDOR,
    ListKind.CUSTOMER,
)
"""The order of a first sync: what mapping needs first and is small comes first."""
ORDER = (ACTIVITY, DELETED, *KINDS)
WITH_ITERATOR = frozenset({ListKind.CUSTOMER, ListKind.VENDOR, ListKind.ITEM})
RESUMABLE = frozenset({ListKind.CUSTOMER, ListKind.VENDOR})
"""Items of several types come in an order of their own (qbxml.md 4.2): their iteration is begun anew."""
LOOKBACK = timedelta(hours=25)
"""Once a day changes are asked for from this much earlier: a clock that was set back, or the hour that the end of
summer time repeats, gives a change an earlier time than what we have."""
LOOKBACK_EVERY = timedelta(days=1)
DELETED_KEPT = timedelta(days=90)
"""So long QuickBooks remembers deletions (qbxml.md 4.4)."""
FULL_EVERY = timedelta(days=30)
"""Against a clock that was set back further than `LOOKBACK`."""
RESTARTS_MAX = 2
"""How often a full pass begins anew because entries were missing from it."""
CONFIRM_MAX = 100
"""Entries that one question asks for by ListID."""
SKIPPED_MAX = 100
"""Unreadable rows of a list that are remembered."""
NOT_FOUND = frozenset({1, 500})
"""How QuickBooks answers a question by ListID when an entry is not there (qbxml.md 0, 6.2)."""
ITERATOR_LOSSES_MAX = 3
"""How often in a row a list is begun again in the same session because QuickBooks forgot where it was."""
ITERATOR_MAX = 60
"""Characters of an iteratorID; QuickBooks writes a GUID of 38."""

STUCK = "QuickBooks gave the same page of this list again and again. It is asked again later."


class Phase(StrEnum):
    """How far a pass is."""

    WAITING = "waiting"
    PAGES = "pages"
    SETTLING = "settling"
    CONFIRMING = "confirming"
    """What a full pass did not bring is asked for by ListID."""
    DONE = "done"
    FAILED = "failed"


class Mode(StrEnum):
    """What a pass brings."""

    FULL = "full"
    CHANGES = "changes"


OPEN = frozenset({Phase.WAITING, Phase.PAGES, Phase.SETTLING, Phase.CONFIRMING})


class Worth(StrEnum):
    """What an answer about a list may be used for."""

    COMPLETE = "complete"
    ROWS_ONLY = "rows_only"
    """What is in it is so; what is not in it proves nothing."""
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A row that could not be read; its entry stays as it was."""

    list_id: str
    """Empty: the row has none."""
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One list; the fields are those of `store.sync_tables.ListSync`."""

    kind: str
    phase: Phase = Phase.WAITING
    mode: Mode = Mode.FULL
    generation: int = 0
    after: str = ""
    range_from: str = ""
    is_ordered: bool = True
    iterator: str = ""
    iterator_of: str = ""
    asked_in: str = ""
    asked_max: int = 0
    widen: int = 1
    began_at: datetime | None = None
    queries: int = 0
    since: str = ""
    highest: str = ""
    bound: str = ""
    total: int | None = None
    seen: int = 0
    restarts: int = 0
    failures: int = 0
    note: str = ""
    remaining: int | None = None
    """Rows that the iterator under way still had after its last page."""
    skipped: tuple[Skipped, ...] = ()
    """Entries whose newest row could not be read, until one can; from one pass to the next."""
    needs_full: bool = False
    last_full_at: datetime | None = None
    last_sync_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is something left to ask."""
        return self.phase in OPEN

    @property
    def has_iterator(self) -> bool:
        """Whether QuickBooks gives this list in pages by itself."""
        return self.kind in WITH_ITERATOR


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to ask about one list; `max_returned` 0 means everything at once."""

    kind: str
    since: str = ""
    from_name: str = ""
    max_returned: int = 0
    iterator: str = ""
    """Continue this one; empty begins a new one where the list has iterators."""
    counts: bool = False
    """Ask as well how many entries there are."""
    list_ids: tuple[str, ...] = ()
    """Ask for these entries and nothing else."""


@dataclass(frozen=True)
class Seen:
    """What the order of a page is judged by; both are empty for a row without a readable name."""

    full_name: str
    time_modified: str


def worth(*, status_code: int, severity: str, by_list_id: bool) -> Worth:
    """Say what an answer may be used for: its code decides, and a severity can only take from it (qbxml.md 6.1).

    A question by ListID is answered with 500 when an entry is not there, with the others beside it (qbxml.md 0).
    """
    if status_code < 0 or status_code >= ERROR_FROM or severity == "Error":
        return Worth.NOTHING
    if by_list_id and status_code in NOT_FOUND:
        return Worth.COMPLETE
    return Worth.ROWS_ONLY if status_code >= WARNING_FROM or severity == "Warn" else Worth.COMPLETE


def is_iterator_gone(one: Pass, *, status_code: int, ticket_hash: str) -> bool:
    """Say whether an error is only about where QuickBooks was in a list: 3391, and no source names all such codes.

    The same question was taken when the iterator began, so what is refused of it now (3000 and up) is the iterator.
    """
    goes_on = bool(one.iterator) and one.iterator_of == ticket_hash and one.phase is not Phase.CONFIRMING
    return goes_on and one.has_iterator and status_code >= SPECIFIC_FROM


def proven_gone(asked: Collection[str], found: Collection[str], *, status_code: int, is_readable: bool) -> list[str]:
    """Give the ListIDs asked for that QuickBooks says are not there.

    It must say so: an answer that is merely empty proves nothing, nor does one with a row that nobody can name.
    """
    if status_code not in NOT_FOUND or not is_readable:
        return []
    return [list_id for list_id in asked if list_id not in found]


def is_due(
    *, state: str | None, last_sync_at: datetime | None, retry_at: datetime | None, now: datetime, limits: Limits
) -> bool:
    """Say whether a session is worth opening for the lists alone."""
    if state is None:
        return True
    if retry_at is not None and retry_at > now:
        return False
    if state in ("requested", "running", "failed"):
        return True
    return last_sync_at is None or now - last_sync_at >= limits.list_interval


def begin(
    passes: Mapping[str, Pass], *, now: datetime, everything: bool, look_back: bool, was_long_ago: bool
) -> list[Pass]:
    """Set up a sync: full passes where they are needed, changes elsewhere. A pass cut short goes on."""
    begun: list[Pass] = []
    for kind in ORDER:
        old = passes.get(kind) or Pass(kind=kind, phase=Phase.DONE)
        if kind in (ACTIVITY, DELETED):
            skip = kind == DELETED and (everything or was_long_ago)
            begun.append(Pass(kind=kind, phase=Phase.DONE if skip else Phase.WAITING, mode=Mode.CHANGES))
        elif everything or was_long_ago or needs_full(old, now):
            is_cut = old.mode is Mode.FULL and old.generation > 0 and old.phase is not Phase.DONE
            goes_on = is_cut and not everything and not was_long_ago
            begun.append(again(old) if goes_on else begin_full(old))
        else:
            since = earlier(old.bound, LOOKBACK) if look_back and old.bound else old.bound
            begun.append(
                replace(
                    again(old),
                    phase=Phase.WAITING,
                    mode=Mode.CHANGES,
                    after="",
                    is_ordered=True,
                    began_at=None,
                    queries=0,
                    since=since,
                    highest="",
                    total=None,
                    seen=0,
                )
            )
    return begun


def needs_full(old: Pass, now: datetime) -> bool:
    """Say whether changes would not be enough. Templates have no filter at all."""
    if old.needs_full or old.last_full_at is None or old.kind == ListKind.TEMPLATE:
        return True
    return now - old.last_full_at >= FULL_EVERY


def begin_full(old: Pass) -> Pass:
    """Begin a full pass; what was known of changes does not count any more."""
    return Pass(
        kind=old.kind,
        generation=old.generation + 1,
        failures=old.failures,
        note=old.note,
        last_full_at=old.last_full_at,
        last_sync_at=old.last_sync_at,
    )


def again(old: Pass) -> Pass:
    """Go on with a pass in another session: its iterator is no more. Out of order it begins anew."""
    resumed = replace(old, iterator="", iterator_of="", asked_in="", widen=1, remaining=None)
    if resumed.phase is Phase.FAILED:
        resumed = replace(resumed, phase=Phase.PAGES if resumed.queries else Phase.WAITING)
    return resumed


def choose(passes: Iterable[Pass]) -> list[Pass]:
    """Choose what one message set asks: all short questions together, else the first list that is not done.

    A list that failed is asked alone: a set that QuickBooks cannot take must not hold up the others again.
    """
    left = sorted((one for one in passes if one.is_open), key=lambda one: ORDER.index(one.kind))
    short = [one for one in left if _is_short(one)]
    rest = [one for one in left if not _is_short(one)]
    if short and any(one.kind in KINDS for one in short):
        return short
    return short + rest[:1] if not rest or not rest[0].failures else short or rest[:1]


def _is_short(one: Pass) -> bool:
    brings_little = one.mode is Mode.CHANGES or one.kind == ListKind.TEMPLATE
    return brings_little and one.phase is Phase.WAITING and not one.failures


def ask(one: Pass, *, set_id: str, ticket_hash: str, now: datetime, limits: Limits) -> tuple[Pass, Question]:
    """Give the next question about a list, and the pass that waits for its answer.

    A pass that confirms gets its ListIDs from the caller, who knows which entries it did not see.
    """
    if one.phase is Phase.CONFIRMING:
        return replace(one, asked_in=set_id, asked_max=0), Question(kind=one.kind)
    if one.kind in (ACTIVITY, DELETED, ListKind.TEMPLATE):
        asked = replace(one, asked_in=set_id, asked_max=0, began_at=one.began_at or now)
        return asked, Question(kind=one.kind, since=one.since)
    goes_on = one.iterator and one.iterator_of == ticket_hash and not one.asked_in
    if one.has_iterator and goes_on:
        from_name, most = one.range_from, limits.list_page
    elif one.has_iterator:
        # A page that was lost never comes again: a new iterator begins where the names came in order so far.
        one = replace(one, after=one.after if one.is_ordered else "", is_ordered=True, iterator="", remaining=None)
        from_name, most = one.after, limits.list_page
    elif one.is_ordered:
        from_name, most = one.after, limits.list_page * one.widen + bool(one.after)
    else:
        from_name, most = "", 0  # its order is not that of the names, so a cut answer could hide entries
    asked = replace(
        one,
        range_from=from_name,
        asked_in=set_id,
        asked_max=most,
        began_at=one.began_at or now,
    )
    return asked, Question(
        kind=one.kind,
        since=one.since,
        from_name=from_name,
        max_returned=most,
        iterator=one.iterator if one.has_iterator and goes_on else "",
        counts=one.mode is Mode.FULL and one.phase is Phase.WAITING and not one.has_iterator,
    )


def take(
    one: Pass,
    rows: Sequence[Seen],
    *,
    remaining: int | None,
    iterator: str | None,
    ticket_hash: str,
    now: datetime,
) -> Pass:
    """Give the pass after a page. `remaining` and `iterator` are what an iterator's answer carries."""
    first = one.queries == 0
    highest = one.highest
    for row in rows:
        if row.time_modified and not is_of_the_future(row.time_modified, now):
            highest = later_of(highest, row.time_modified)
    taken = replace(
        one,
        phase=Phase.PAGES if one.phase is Phase.WAITING else one.phase,
        asked_in="",
        queries=one.queries + 1,
        highest=highest,
        seen=one.seen + len(rows),
        total=len(rows) + (remaining or 0) if first and one.has_iterator and one.total is None else one.total,
    )
    if one.kind == ListKind.TEMPLATE:
        return _complete(taken, now)
    if remaining is None or not one.has_iterator:
        # Also where an iterator does not say what is left: a full page may not be the last one.
        is_all = len(rows) < one.asked_max or not one.asked_max
    elif remaining and (not rows or (one.remaining is not None and remaining >= one.remaining)):
        return fail(taken, STUCK)
    else:
        is_all = remaining <= 0
    if one.is_ordered and not _in_order(one, rows):
        taken = replace(taken, is_ordered=False, after="")
        if not one.has_iterator and not (is_all and not one.range_from):
            return taken
    if is_all:
        return _complete(taken, now)
    named = [row.full_name for row in rows if row.full_name]
    last = _root(named[-1]) if named and taken.is_ordered else taken.after
    if one.has_iterator:
        last = last if one.kind in RESUMABLE else ""
        kept = iterator if iterator and len(iterator) <= ITERATOR_MAX else ""
        moved = last.casefold() != one.after.casefold()
        failures = 0 if moved else one.failures  # only what moves on has an end by itself
        return replace(
            taken, after=last, iterator=kept, iterator_of=ticket_hash, remaining=remaining, failures=failures
        )
    # The page ended where it began: more names than a page holds stand below one, so the page grows.
    stuck = last.casefold() == one.after.casefold()
    return replace(taken, after=last, widen=one.widen * 2 if stuck else 1)


def counted(one: Pass, total: int) -> Pass:
    """Note how many entries a list has."""
    return replace(one, total=total)


def note_skipped(one: Pass, *, read: Collection[str], skipped: Sequence[Skipped]) -> Pass:
    """Remember which rows could not be read, and forget those that can be by now (or are gone: `read` too)."""
    if not one.skipped and not skipped:
        return one
    known: dict[str | Skipped, Skipped] = {row.list_id or row: row for row in one.skipped if row.list_id not in read}
    known |= {row.list_id or row: row for row in skipped}
    return replace(one, skipped=tuple(known.values())[:SKIPPED_MAX])


def skipped_note(one: Pass) -> str:
    """Say which rows could not be read, and what to do; empty when all could be."""
    count = len(one.skipped)
    if not count:
        return ""
    first = one.skipped[0]
    name = f"“{first.name}”" if first.name else first.list_id or "one without a name"
    others = {0: "", 1: " and 1 other"}.get(count - 1, f" and {count - 1} others")
    what = "an entry" if count == 1 else f"{count} entries"
    return (
        f"QuickBooks sent {what} of its {one.kind.replace('_', ' ')} list in a form that could not be read: "
        f"{name}{others}. Nothing was changed here for {'it' if count == 1 else 'them'}; the rest of the list is up to "
        "date. Ask the support of your transport software to look at this."
    )


def came_short(one: Pass, seen: int) -> Pass | None:
    """Give the pass to begin anew when a full one ended with fewer entries than QuickBooks had told at its start.

    Either entries were deleted meanwhile, or the order of names was not what it seemed, or a page was left out.
    """
    expected = None if one.total is None else one.total - len(one.skipped)
    return None if expected is None or seen >= expected else left_out(one)


def left_out(one: Pass) -> Pass | None:
    """Give the pass to begin anew when a full one left out entries that are in QuickBooks; None: often enough."""
    if one.mode is not Mode.FULL or one.restarts >= RESTARTS_MAX:
        return None
    fresh = begin_full(replace(one, generation=one.generation - 1))
    return replace(fresh, restarts=one.restarts + 1, is_ordered=one.has_iterator, bound=one.bound)


def begin_iterator_again(one: Pass, note: str) -> Pass:
    """Give the pass after QuickBooks forgot an iterator: the same session goes on behind the last name that came."""
    if one.failures >= ITERATOR_LOSSES_MAX:
        return fail(one, note)
    return replace(again(one), failures=one.failures + 1)


def fail(one: Pass, note: str) -> Pass:
    """Give the pass after a question that QuickBooks refused; a later session goes on."""
    return replace(again(one), phase=Phase.FAILED, failures=one.failures + 1, note=note)


def percent(passes: Iterable[Pass]) -> int:
    """Give how much of a sync is done, 1 to 99: each list counts alike, and within a list its rows."""
    every = list(passes)
    done = sum(_share(one) for one in every)
    return max(1, min(99, int(done * 100 / len(every)))) if every else 1


def _share(one: Pass) -> float:
    if not one.is_open:
        return 1.0
    return min(one.seen / one.total, 0.99) if one.total else 0.0


def _complete(one: Pass, now: datetime) -> Pass:
    """End a pass, or let it settle.

    Rows may have changed while the pages came. The highest time is at most that of the last answer, so going back by
    the time that the pass took, by our own clock, reaches back to its beginning.
    """
    took = now - one.began_at if one.queries > 1 and one.began_at is not None else timedelta()
    reached = earlier(one.highest, took) if one.highest else ""
    ended = replace(one, iterator="", iterator_of="", remaining=None, after="", widen=1, is_ordered=True)
    if one.mode is Mode.FULL and one.phase is Phase.PAGES and one.queries > 1 and reached:
        return replace(ended, phase=Phase.SETTLING, since=reached, began_at=None, queries=0)
    return replace(
        ended,
        phase=Phase.DONE,
        bound=later_of(one.bound, reached),
        failures=0,
        note=skipped_note(one),
        needs_full=one.needs_full and one.mode is not Mode.FULL,
    )


def _root(full_name: str) -> str:
    """The name above all others of an entry: whether jobs follow their customer or all full names stand in order,
    everything that is still to come stands at or after it."""
    return full_name.partition(":")[0]


def _in_order(one: Pass, rows: Sequence[Seen]) -> bool:
    last = one.after.casefold()
    for row in rows:
        if not row.full_name:
            continue
        root = _root(row.full_name).casefold()
        if root < last:
            return False
        last = root
    return True
