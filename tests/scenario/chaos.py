"""Seeded chaos: whatever dies, each export ends as exactly one transaction in the right file, or as a true Failed.

The bridge, its database, the SOAP layer, Web Connectors and QuickBooks run in one process, without Temporal. A seed
decides everything: the documents, the sessions, what goes wrong in them, the ids and the time. So a seed that fails
fails again. Here is one run: the sessions of the plan, then calm ones, and the judgement after each.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from simulator.faults import Faults
from store import list_syncs, retention, states
from tests.scenario import faults, moves, oracle
from tests.scenario import harder as harder_faults
from tests.scenario.in_process import InProcess
from tests.scenario.plan import Plan, Update
from tests.scenario.world import World, outcome_of

CALM_SESSIONS = 12
PRUNES = 0.3
"""Before how many of the calls."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run came to; two runs of one seed give equal ones."""

    plan: Plan
    events: tuple[str, ...]
    ledgers: tuple[str, ...]
    outcomes: Counter[str]
    faults: Counter[str]
    struck: Counter[str]
    """What of the harder world really did something."""
    served: tuple[int, ...]
    """SOAP calls by bridge."""
    relayed: Counter[str]
    """What the relays did, when there are two."""


def run(
    seed: int,
    *,
    recovery: bool = True,
    bridges: int = 1,
    keep: timedelta | None = None,
    harder: Collection[str] = (),
    database_url: str | None = None,
) -> Report:
    """Play the plan of a seed, then calm sessions; raises AssertionError with the plan when the promise is broken.

    `harder` names what else goes wrong. `database_url` names a migrated PostgreSQL database without a row.

    With two bridges each call of a session goes to either one. With `keep`, what is over and older is pruned again and
    again beside the calls, whatever the world is at.
    """
    plan = Plan.of(seed, harder)
    with tempfile.TemporaryDirectory(prefix="qbd-chaos-") as folder, structlog.testing.capture_logs():
        world = InProcess(plan, Path(folder), recovery=recovery, bridges=bridges, database_url=database_url)
        if keep is not None:
            for desk in world.desks:
                desk.line.meanwhile = _pruning(world, keep)
        try:
            return _play(world)
        except AssertionError as violation:
            story = "\n".join(world.events)
            raise AssertionError(f"{violation}\n{plan}\nwhat happened:\n{story}") from violation
        finally:
            world.close()


def _pruning(world: World, keep: timedelta) -> Callable[[], None]:
    draw = random.Random(f"{world.plan.seed}/prune")

    def prune() -> None:
        if draw.random() < PRUNES:
            now = world.clock()
            retention.prune(world.database, before=now - keep, now=now, batch=draw.choice((1, 3, 200)))

    return prune


def _play(world: InProcess) -> Report:
    """The sessions of the plan, then calm ones, and the oracle after each."""
    struck: Counter[str] = Counter()
    for number, update in enumerate(world.plan.updates):
        world.queue_documents(number)
        play_session(world, number, update, struck)
        oracle.check(world)
    calm_down(world)
    oracle.check_the_end(world)
    world.check_the_end()
    outcomes: Counter[str] = Counter()
    for request in world.requests():
        outcome = outcome_of(request)
        outcomes["Successful" if outcome.failure is None else f"Failed {outcome.failure.code}"] += 1
    return Report(
        plan=world.plan,
        events=tuple(world.events),
        ledgers=tuple(desk.quickbooks.snapshot() for desk in world.desks),
        outcomes=outcomes,
        faults=struck,
        struck=world.struck,
        served=tuple(world.served),
        relayed=Counter(world.relays.turns if world.relays is not None else {}),
    )


def play_session(world: World, number: int, update: Update, struck: Counter[str]) -> None:
    desk = world.desks[update.company]
    world.clock.forward(minutes=update.pause_minutes)
    desk.line.calm()
    for fault in update.faults:
        struck[fault.name] += 1
        function = f"fault_{fault.name}"
        (getattr(faults, function, None) or getattr(harder_faults, function))(world, desk, *fault.arguments)
    faults.expect_late(world, desk)
    desk.kept.append(desk.quickbooks.snapshot())
    while world.at_start:
        world.at_start.pop()()
    world.update(f"session {number}", desk, desk.connector)
    world.fuse.disarm()
    world.put_right()
    world.catch_up()
    world.answer_questions(desk)
    desk.sit_down_again()
    faults.put_right(desk)
    faults.restore(world, desk)
    world.struck += desk.quickbooks.faults.struck
    desk.quickbooks.faults.struck.clear()
    world.deliver(lambda late: late.company == desk.index and late.place == "session")


def calm_down(world: World) -> None:
    """Nothing goes wrong any more: everything must come to an end, also what waits out a pause."""
    world.events.append("calm")
    for desk in world.desks:
        desk.quickbooks.faults = Faults()
        desk.line.calm()
        if desk.undone:
            with world.database.transaction() as session:  # as every hour: lists are never due in these runs
                list_syncs.request_sync(session, desk.id, at=world.clock(), full=False)
    for document in world.plan.documents:
        number = world.ref_number(document)
        if document.fate == "refused" and number is not None:
            world.refuse(world.desks[document.company].quickbooks, number)
    world.deliver(lambda _late: True)
    for number in range(CALM_SESSIONS):
        world.clock.forward(hours=7)
        for desk in world.desks:
            moves.check_nothing_stands(world, desk.id, world.update(f"calm session {number}", desk, desk.connector))
            world.catch_up()
            world.answer_questions(desk)
        oracle.check(world)
        if all(request.state == states.DONE for request in world.requests()):
            return
