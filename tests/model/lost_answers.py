"""A small model of one document, two computers, and a QuickBooks that writes late, dies, or keeps no record.

What the bridge decides is decided by its own pure parts: `next_step`, `unresolved`, `lookup_parts`, `recovery` and
`rulings`. Only what they are fed with is the model's. Every interleaving up to a depth is played (`explore`).

Believed, and nothing else: a new session on a computer means that its earlier run is over; QuickBooks compares a set
with its records when it begins it; a run that has begun is over half an hour later, one that has not may begin at any
time, also days after it was fetched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from qbwc_bridge import recovery, unresolved
from qbwc_bridge.facts import Facts
from qbwc_bridge.lookup_parts import CHANGED, DATED, NUMBER, next_part
from qbwc_bridge.rulings import Again, Arrived, Ruling, SentRequest, judge_answers
from qbwc_bridge.session import Limits, Step, next_step
from qbwc_bridge.unresolved import PLANT_ID, TRY_ID, Asked
from qbxml.envelope import MessageSetResponse, parse_response

LIMITS = Limits(lookups_max=2)
COMPUTERS = ("ONE", "TWO")
GUID = "{11111111-2222-3333-4444-555555555555}"
FACTS = Facts(
    ref_number="7",
    entity_list_id="80-1",
    entity_full_name="Cafe",
    total="10.00",
    txn_date="2026-11-20",
    external_guid=GUID,
)


@dataclass(frozen=True)
class Rules:
    """How this QuickBooks is, and what is taken out of the bridge to see that the model would notice."""

    leaves_record: bool = False
    """An empty set leaves a record under its id."""
    keeps_one: bool = False
    """Only the newest record is kept."""
    clock_is_behind: bool = False
    """What is written bears a time of change long past."""
    has_fence: bool = True
    waits: bool = True
    """For half an hour after another computer's set was fenced off."""
    asks_by_date: bool = True
    keeps_fences: bool = True
    """The record of a set that was ruled absent is not released."""


@dataclass(frozen=True)
class Sent:
    """A write that left."""

    computer: int
    released: int | None
    """The set whose record it releases."""
    is_decided: bool = False
    is_fence: bool = False


@dataclass(frozen=True)
class World:
    """Everything that matters; `asked` is about the newest set."""

    records: tuple[tuple[str, bool], ...] = ()
    """Id, and whether it is the record of a run; oldest first."""
    ledger: tuple[bool, ...] = ()
    """Each copy of the document, and whether it still bears its number."""
    sets: tuple[Sent, ...] = ()
    runs: tuple[tuple[int, int | None] | None, ...] = (None, None)
    """What each computer fetched and has not finished, and behind which questions it began; None: it has not."""
    request: str = "waiting"
    """waiting | in_flight | arrived | person"""
    session: int | None = None
    """The computer whose session is open."""
    sessions: int = 0
    asked: tuple[Asked, ...] = ()
    is_renumbered: bool = False
    was_fenced: bool = False
    """It was sent again behind a fence."""


Move = tuple[str, World]


def moves(world: World, rules: Rules) -> Iterator[Move]:
    """Everything that can happen next."""
    if world.request in ("arrived", "person") and world.runs == (None, None):
        return
    yield from _computers(world, rules)
    yield from _sessions(world, rules)
    if len(world.ledger) == 1 and not world.is_renumbered:
        yield "renumber", replace(world, ledger=(False,), is_renumbered=True)
    began = [run[1] for run in world.runs if run is not None and run[1] is not None]
    # What was asked before a run began gets no older than half an hour while that run goes on.
    asked = tuple(
        replace(one, is_old=number < min(began, default=99) or one.is_old) for number, one in enumerate(world.asked)
    )
    if asked != world.asked and unresolved.is_maturing(world.asked):
        yield "half an hour", replace(world, asked=asked)


def _computers(world: World, rules: Rules) -> Iterator[Move]:
    for computer, run in enumerate(world.runs):
        if run is None:
            continue
        number, began = run
        name = COMPUTERS[computer]
        idle = replace(world, runs=_put(world.runs, computer, None))
        if began is None:
            yield f"{name} dies", _hang_up(idle, computer)
            if any(record == f"S{number}" for record, _ in world.records):
                yield f"{name} is refused 9001", idle
            else:
                released = world.sets[number].released
                kept = tuple(one for one in world.records if one[0] != f"S{released}")
                yield (
                    f"{name} begins",
                    replace(world, records=kept, runs=_put(world.runs, computer, (number, len(world.asked)))),
                )
            continue
        written = replace(idle, ledger=(*world.ledger, True))
        recorded = replace(written, records=_remember(written.records, f"S{number}", True, rules))
        yield f"{name} dies in the middle", _hang_up(idle, computer)
        yield f"{name} writes and dies without a record", _hang_up(written, computer)
        yield f"{name} writes, its answer is lost", _hang_up(recorded, computer)
        yield f"{name} writes and answers", _answered(recorded, number)


def _answered(world: World, number: int) -> World:
    """The answer to a write comes, in time or late."""
    is_open = number == len(world.sets) - 1 and not world.sets[number].is_decided
    if is_open and world.request == "in_flight":
        [ruling] = judge_answers([_request(number)], _answer_of_run(number))
        return _ruled(world, ruling, is_fence=False)
    # Late: it proves what waits to be sent again, or shows a duplicate to people.
    return replace(world, request="arrived") if world.request == "waiting" else world


def _sessions(world: World, rules: Rules) -> Iterator[Move]:
    for computer, name in enumerate(COMPUTERS):
        if computer == world.session or world.runs[computer] is not None or not world.sessions < 5:
            continue
        if not world.sets and computer:
            continue  # the first computer is the one that fetches first
        opened = replace(world, session=computer, sessions=world.sessions + 1)
        yield f"{name} calls", replace(opened, asked=tuple(replace(one, is_mine=False) for one in world.asked))
    if world.session is None or world.runs[world.session] is not None:
        return
    step = _step(world, rules)
    name = COMPUTERS[world.session]
    over = replace(world, session=None)
    if step is Step.REFUSE:
        hopeless = not unresolved.is_maturing(world.asked) and _is_hopeless(world.asked)
        yield f"{name} ends", _given_up(over) if hopeless else over
    elif step is Step.WRITE:
        yield f"{name} fetches the document", _fetched(world, rules)
    elif step is Step.PROBE:
        yield f"{name} has nothing to do", over
    else:
        yield f"{name}: {step}", _told(world, step, rules)
        lost = _note(world, step, rules, is_answered=False, status=None)
        yield f"{name}: {step}, no answer", replace(lost, session=None)


def _step(world: World, rules: Rules) -> Step:
    is_open = bool(world.sets) and not world.sets[-1].is_decided
    about = None
    if is_open:
        is_left = _is_left(len(world.sets) - 1, world.asked)
        about = unresolved.next_question(world.asked, is_elsewhere=_is_elsewhere(world, rules), is_left=is_left)
    return next_step(is_open=True, guard_passed=True, unresolved=about, waiting=int(world.request == "waiting"))


def _is_elsewhere(world: World, rules: Rules) -> bool:
    if not rules.has_fence or world.session is None:
        return False
    return unresolved.may_be_elsewhere(
        fetched_by=COMPUTERS[world.sets[-1].computer], here=COMPUTERS[world.session], seen=()
    )


def _fetched(world: World, rules: Rules) -> World:
    assert world.session is not None
    settled = [
        number for number, one in enumerate(world.sets) if one.is_decided and not (one.is_fence and rules.keeps_fences)
    ]
    sent = Sent(computer=world.session, released=settled[-1] if settled else None)
    # What goes on by now began before all that will be asked about the new set.
    before = tuple(run if run is None or run[1] is None else (run[0], 0) for run in world.runs)
    return replace(
        world,
        sets=(*world.sets, sent),
        runs=_put(before, world.session, (len(world.sets), None)),
        request="in_flight",
        asked=(),
    )


def _told(world: World, step: Step, rules: Rules) -> World:
    """QuickBooks answers a question."""
    number = len(world.sets) - 1
    mine = f"S{number}"
    record = next((one for one in world.records if one[0] == mine), None)
    match step:
        case Step.CHECK_FILE:
            return _note(world, step, rules, is_answered=True, status=None)
        case Step.ASK:
            told = _note(world, step, rules, is_answered=True, status=9002 if record is None else 0)
            if record is None:
                return (
                    replace(told, records=_remember(told.records, mine, False, rules)) if rules.leaves_record else told
                )
            answer = _answer_of_run(number) if record[1] else _EMPTY
            [ruling] = judge_answers([_request(number)], answer)
            return _ruled(told, ruling, is_fence=False)
        case Step.PLANT_FENCE:
            told = _note(world, step, rules, is_answered=True, status=0 if record is None else 9001)
            return told if record else replace(told, records=_remember(told.records, mine, False, rules))
        case Step.TRY_FENCE:
            told = _note(world, step, rules, is_answered=True, status=0)
            others = tuple(one for one in told.records if one[0] != "TRIAL")
            return replace(told, records=_remember(others, "TRIAL", False, rules))
    told = _note(world, step, rules, is_answered=True, status=None)
    ruling = _looked_up(number, world.ledger, rules)
    if _is_elsewhere(world, rules) and not unresolved.is_fenced(told.asked):
        [ruling] = recovery.hold_absent([ruling])
    return _ruled(told, ruling, is_fence=True)


def _note(world: World, step: Step, rules: Rules, *, is_answered: bool, status: int | None) -> World:
    kind, ids = {
        Step.CHECK_FILE: ("activity", ()),
        Step.ASK: ("ask", ()),
        Step.PLANT_FENCE: ("fence", (PLANT_ID,)),
        Step.TRY_FENCE: ("fence", (TRY_ID,)),
        Step.LOOK_UP: ("lookup", tuple(f"{_request(len(world.sets) - 1).wire_id}.{one}" for one in "ned")),
    }[step]
    asked = Asked(
        kind=kind,
        session=str(world.sessions),
        is_mine=True,
        ids=ids,
        is_answered=is_answered,
        set_status=status,
        is_old=not rules.waits,
    )
    return replace(world, asked=(*world.asked, asked))


def _ruled(world: World, ruling: Ruling, *, is_fence: bool) -> World:
    decided = replace(world.sets[-1], is_decided=True, is_fence=is_fence)
    over = replace(world, sets=(*world.sets[:-1], decided), asked=())
    match ruling:
        case Arrived():
            return replace(over, request="arrived")
        case Again():
            is_fenced = unresolved.is_fenced(world.asked)
            return replace(over, request="waiting", was_fenced=world.was_fenced or is_fenced)
    return world


def _given_up(world: World) -> World:
    decided = replace(world.sets[-1], is_decided=True, is_fence=True)
    return replace(world, sets=(*world.sets[:-1], decided), request="person", asked=())


def _hang_up(world: World, computer: int) -> World:
    """A computer died in its session; another one's session is not its."""
    return replace(world, session=None) if world.session == computer else world


def _remember(
    records: tuple[tuple[str, bool], ...], name: str, is_run: bool, rules: Rules
) -> tuple[tuple[str, bool], ...]:
    return ((name, is_run),) if rules.keeps_one else (*records, (name, is_run))


def _put(
    runs: tuple[tuple[int, int | None] | None, ...], computer: int, run: tuple[int, int | None] | None
) -> tuple[tuple[int, int | None] | None, ...]:
    return tuple(run if number == computer else one for number, one in enumerate(runs))


@functools.cache
def _request(number: int) -> SentRequest:
    return SentRequest(id="R", operation="InvoiceAdd", attempt=number + 1, facts=FACTS)


@functools.cache
def _is_left(number: int, asked: tuple[Asked, ...]) -> bool:
    return next_part([_request(number)], asked) is not None


def _is_hopeless(asked: tuple[Asked, ...]) -> bool:
    return unresolved.is_hopeless(asked, LIMITS, is_at_end=True)


def _document(*answers: str) -> MessageSetResponse:
    return parse_response(f"<QBXML><QBXMLMsgsRs>{''.join(answers)}</QBXMLMsgsRs></QBXML>")


_EMPTY = _document()


def _row(has_number: bool) -> str:
    return (
        "<InvoiceRet><TxnID>1-1</TxnID><EditSequence>1</EditSequence><TxnNumber>1</TxnNumber>"
        "<CustomerRef><ListID>80-1</ListID></CustomerRef><TxnDate>2026-11-20</TxnDate>"
        f"<RefNumber>{'7' if has_number else '8'}</RefNumber><Subtotal>10.00</Subtotal>"
        f"<SalesTaxTotal>0.00</SalesTaxTotal><ExternalGUID>{GUID}</ExternalGUID></InvoiceRet>"
    )


@functools.cache
def _answer_of_run(number: int) -> MessageSetResponse:
    head = f'<InvoiceAddRs requestID="{_request(number).wire_id}" statusCode="0" statusSeverity="Info"'
    return _document(f'{head} statusMessage="">{_row(True)}</InvoiceAddRs>')


@functools.cache
def _looked_up(number: int, ledger: tuple[bool, ...], rules: Rules) -> Ruling:
    """What the look-up says of a ledger: by number, by change, by date."""
    finds: dict[str, Callable[[bool], bool]] = {
        NUMBER: lambda has_number: has_number,
        CHANGED: lambda _: not rules.clock_is_behind,
        DATED: lambda _: rules.asks_by_date,
    }
    answers = []
    for question, finds_it in finds.items():
        rows = [_row(has_number) for has_number in ledger if finds_it(has_number)]
        head = f'<InvoiceQueryRs requestID="{_request(number).wire_id}.{question}" statusSeverity="Info"'
        answers.append(f'{head} statusCode="{0 if rows else 1}" statusMessage="">{"".join(rows)}</InvoiceQueryRs>')
    told = {one.request_id or "": one for one in _document(*answers).responses}
    [ruling] = recovery.judge_lookup([_request(number)], told)
    return ruling


@dataclass
class Explored:
    """What was met in all interleavings up to a depth."""

    states: int
    depth: int
    """How far it was played; less than asked for when nothing new is left."""
    ends: set[str]
    fenced: bool
    """Somewhere it was sent again behind a fence, and arrived."""
    fault: tuple[str, ...] | None
    """The shortest way to a fault."""


def explore(rules: Rules, depth: int) -> Explored:
    """Play every interleaving up to a depth, breadth first; stops at the first fault."""
    start = World()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    edge, reached = [start], 0
    ends: set[str] = set()
    fenced = False
    for reached in range(1, depth + 1):
        following: list[World] = []
        for world in edge:
            for label, after in moves(world, rules):
                if after in came_from:
                    continue
                came_from[after] = (world, label)
                following.append(after)
                ends.add(after.request)
                fenced = fenced or (after.was_fenced and after.request == "arrived")
                if _is_wrong(after):
                    return Explored(len(came_from), reached, ends, fenced, _way(came_from, after))
        if not following:
            break
        edge = following
    return Explored(len(came_from), reached, ends, fenced, None)


def _is_wrong(world: World) -> bool:
    """Doubled, or told as arrived and not there."""
    return len(world.ledger) > 1 or (world.request == "arrived" and not world.ledger)


def _way(came_from: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    labels: list[str] = []
    step = came_from[world]
    while step is not None:
        labels.append(step[1])
        step = came_from[step[0]]
    return tuple(reversed(labels))
