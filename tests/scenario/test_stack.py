"""kill -9 of the real processes: at every named point of the code, over SQLite and over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from store import states
from tests.scenario import oracle, rolling, stack_chaos
from tests.scenario.plan import Document, Plan, Update
from tests.scenario.stack import PARTS, TWINS, Stack
from tests.scenario.stack_chaos import POSTING_POINTS, SESSION_POINTS, OnStack
from tests.support import postgres

pytestmark = pytest.mark.timeout(1200)

POSTING = (
    ("accept: before commit", "prepare_export: before commit"),
    ("accept: after commit", "prepare_export: after commit", "relay: taken"),
    ("relay: signalled",),
    ("relay: before commit",),
    ("relay: after commit",),
)
"""Points of different processes die in one round; those of one process each in its own."""
SESSION = (
    ("authenticate: before commit", "record_state: before commit"),
    ("authenticate: after commit",),
    ("sendRequestXML: before commit", "record_state: after commit"),
    ("sendRequestXML: after commit",),
    ("receiveResponseXML: before commit",),
    ("receiveResponseXML: after commit",),
    ("closeConnection: before commit",),
    ("closeConnection: after commit",),
    ("relay: taken",),
    ("relay: signalled",),
    ("relay: before commit",),
    ("relay: after commit",),
)
REFUSED = (("connectionError: before commit",), ("connectionError: after commit",))
"""In sessions that find a dialog open in QuickBooks."""


@contextmanager
def running(folder: Path, database_url: str | None, **shape: Any) -> Iterator[Stack]:
    stack = Stack(folder / "data", database_url=database_url, **shape)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def a_round(stack: Stack, number: int) -> OnStack:
    """A company with three documents; a plan without faults."""
    documents = tuple(
        Document(company=0, kind=kind, number=n, fate="good", before_session=0, again_before=None)
        for n, kind in enumerate(("invoice", "carrier_bill", "invoice"), 1)
    )
    update = Update(company=0, pause_minutes=5, faults=())
    plan = Plan(
        seed=900_000 + number, companies=1, batch_size=3, documents=documents, updates=(update,), records_survive=False
    )
    stack.wait_ready()
    return OnStack(plan, stack)


def play(stack: Stack, number: int, *, posting: tuple[str, ...] = (), session: tuple[str, ...] = ()) -> None:
    """One round: whoever passes a point dies there, and yet each document arrives exactly once."""
    world = a_round(stack, number)
    for point in posting:
        stack.fuse.arm(point, 1)
    world.queue_documents(0)
    if posting:
        world.settle()
    assert not stack.fuse.disarm(), f"nobody passed some of {posting}"
    stack.wait_ready()
    for point in session:
        stack.fuse.arm(point, 1)
    [desk] = world.desks
    if session in REFUSED:
        desk.quickbooks.faults.modal_dialog()
    for attempt in range(8):
        stack.clock.forward(minutes=5)
        world.update(f"session {attempt}", desk, desk.connector)
        stack.wait_ready()
        if all(request.state == states.DONE for request in world.requests()):
            break
    world.settle()
    assert not stack.fuse.disarm(), f"nobody passed some of {session}"
    stack.wait_ready()
    oracle.check(world)
    oracle.check_the_end(world)
    stack_chaos.check_the_stack(world)
    assert len(desk.quickbooks.ledger) == 3


def test_the_rounds_name_every_point() -> None:
    """A point that no round dies at would be covered by name only."""
    assert {point for points in POSTING for point in points} == set(POSTING_POINTS)
    assert {point for points in (*SESSION, *REFUSED) for point in points} == set(SESSION_POINTS)


ROUNDS = (
    {"session": ("sendRequestXML: after commit", "receiveResponseXML: after commit", "record_state: after commit")},
    {"posting": POSTING[1]},
)
"""Where most can go wrong: between a commit and what follows from it, in every process."""


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [
        ("postgresql", 1),
        pytest.param("sqlite", 2, marks=pytest.mark.long),
        pytest.param("postgresql", 2, marks=pytest.mark.long),
    ],
)
def test_what_was_committed_and_not_yet_told_is_neither_lost_nor_doubled(
    kind: str, rounds: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """kill -9 at chosen points; the long runs take them all."""
    with databases(kind, request) as url, running(tmp_path, url) as stack:
        for number, points in enumerate(ROUNDS[:rounds]):
            play(stack, number, **points)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_whoever_dies_at_whatever_point_nothing_is_lost_or_doubled(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every named point, a plain kill of every process, and a seed of `./qbd chaos`."""
    with databases(kind, request) as url, running(tmp_path, url) as stack:
        for number, points in enumerate(POSTING):
            play(stack, number, posting=points)
        for number, points in enumerate((*SESSION, *REFUSED), 100):
            play(stack, number, session=points)
        for number, part in enumerate(PARTS, 200):
            stack.kill(part)
            play(stack, number)
        assert sum(count for name, count in stack_chaos.run(13, stack).items() if name.startswith("= ")) > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_with_two_of_everything_whoever_dies_nothing_is_lost_or_doubled(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Two bridges that share each session, two relays, two workers: the points, a kill of each, and a seed."""
    with databases(kind, request) as url, running(tmp_path, url, twins=True) as stack:
        for number, points in enumerate((*ROUNDS, {"session": SESSION[4]}, {"session": SESSION[9]})):
            play(stack, number, **points)
        for number, part in enumerate(TWINS, 200):
            stack.kill(part)
            play(stack, number)
        assert sum(count for name, count in stack_chaos.run(13, stack).items() if name.startswith("= ")) > 0
        assert stack.front is not None
        assert min(stack.front.carried[port] for port in stack.soap_ports) > 10


@pytest.mark.long
def test_a_rolling_restart_under_load_is_not_noticed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each process of each kind ends by SIGTERM and is replaced, twice, while documents come and sessions run."""
    shape = {"twins": True, "drain_s": rolling.DRAIN_S, "probe_s": rolling.PROBE_S}
    with databases("postgresql", request) as url, running(tmp_path, url, **shape) as stack:
        counts = rolling.roll(stack)
    assert all(counts[f"{part} replaced"] == rolling.ROUNDS for part in TWINS if part != "temporal")


@contextmanager
def databases(kind: str, request: pytest.FixtureRequest) -> Iterator[str | None]:
    if kind == "sqlite":
        yield None
        return
    with postgres.database_on(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.mark.long
@pytest.mark.parametrize("method", ["sendRequestXML", "receiveResponseXML"])
def test_a_database_that_is_killed_comes_back(method: str, tmp_path: Path) -> None:
    """PostgreSQL ends as in a crash in the middle of a session, and recovers from its log."""
    binaries = postgres.binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL is installed")
    server = postgres.Server(binaries)
    server.start()
    try:
        with postgres.database_on(server.url) as url, running(tmp_path, url) as stack:
            world = a_round(stack, 300)
            world.queue_documents(0)
            [desk] = world.desks

            def crash() -> None:
                server.stop("immediate")
                server.start()

            desk.line.before[(method, 1)] = [crash]
            for attempt in range(6):
                stack.clock.forward(minutes=5)
                world.update(f"session {attempt}", desk, desk.connector)
                stack.wait_ready()
            world.settle()
            oracle.check(world)
            oracle.check_the_end(world)
            stack_chaos.check_the_stack(world)
            assert len(desk.quickbooks.ledger) == 3
    finally:
        server.close()
