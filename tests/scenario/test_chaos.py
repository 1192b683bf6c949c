"""Each export ends as exactly one transaction in the right company file, or as a Failed with a true reason.

`./qbd test -m long tests/scenario/test_chaos.py` runs many more seeds, QBD_CHAOS_SEEDS=from:to any range of them. A
violation names its seed, and that seed fails again. Odd seeds are served by two bridges: each call of a session goes to
either one, and two relays deliver.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.scenario import chaos, faults, harder
from tests.scenario.harder_draws import DRAWS, HELD, STRIKES
from tests.scenario.plan import Plan
from tests.scenario.relays import TURNS
from tests.support import postgres

QUICK = range(16)
LONG = range(16, 200)
CHUNK = 8
"""Seeds a test: enough tests for every core, few enough to read."""
SEARCHED = 200
"""So many seeds at most until a build without recovery is caught."""


def _chunks() -> list[Any]:
    wanted = os.environ.get("QBD_CHAOS_SEEDS")
    if wanted is not None:
        first, _, end = wanted.partition(":")
        return _cut(range(int(first), int(end)))
    return [*_cut(QUICK), *(pytest.param(seeds, marks=pytest.mark.long) for seeds in _cut(LONG))]


def _cut(seeds: range) -> list[range]:
    return [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]


def bridges_of(seed: int) -> int:
    return 1 + seed % 2


@pytest.mark.parametrize("seeds", _chunks(), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_every_export_arrives_once_or_fails_truly(seeds: range) -> None:
    """Whatever dies, whoever interferes."""
    for seed in seeds:
        report = chaos.run(seed, bridges=bridges_of(seed))
        assert sum(report.outcomes.values()) > 0
        assert all(report.served)


def test_chaos_catches_a_build_without_recovery() -> None:
    """An oracle that cannot fail proves nothing: a build that just sends again doubles, and is seen to."""
    for seed in range(SEARCHED):
        try:
            chaos.run(seed, recovery=False)
        except AssertionError as violation:
            if "holds twice" not in str(violation):
                continue
            assert f"seed {seed}:" in str(violation)
            return
    pytest.fail(f"{SEARCHED} seeds did not notice that recovery is off")


def test_a_seed_replays_exactly() -> None:
    """Calls, ids, times and books: otherwise a failing seed could not be looked into."""
    relayed: Counter[str] = Counter()
    for seed in (2, 3, 7):
        report = chaos.run(seed, bridges=bridges_of(seed))
        assert chaos.run(seed, bridges=bridges_of(seed)) == report
        relayed += report.relayed
    # The relays' overtaking, dying and letting go really happen; otherwise their order would be proven by name only.
    assert all(relayed[what] for what in TURNS if what != "none"), relayed


@pytest.mark.parametrize(
    "seeds", [range(3), pytest.param(range(3, 60), marks=pytest.mark.long)], ids=lambda seeds: f"to {seeds.stop}"
)
def test_pruning_at_any_moment_changes_nothing(seeds: range) -> None:
    """Every reply, every book and every outcome is the same, although what is older than a day is forgotten."""
    for seed in seeds:
        assert chaos.run(seed, keep=timedelta(days=1)) == chaos.run(seed)


def test_the_faults_are_all_drawn() -> None:
    """A fault that no seed draws would be covered by name only."""
    drawn = {fault.name for seed in range(60) for update in Plan.of(seed).updates for fault in update.faults}
    known = {name.removeprefix("fault_") for name in dir(faults) if name.startswith("fault_")}
    assert drawn == known


@pytest.mark.parametrize(
    "seeds",
    [range(4), *(pytest.param(seeds, marks=pytest.mark.long) for seeds in _cut(range(4, 44)))],
    ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}",
)
def test_the_promise_holds_in_the_harder_world(seeds: range) -> None:
    """Everything that can go wrong, beside one another."""
    struck: Counter[str] = Counter()
    for seed in seeds:
        struck += chaos.run(seed, bridges=bridges_of(seed), harder=HELD).struck
    assert len(struck) > 3


@pytest.mark.long
@pytest.mark.parametrize("name", HELD)
def test_the_promise_holds_whatever_else_goes_wrong(name: str) -> None:
    """One kind of fault at a time, beside crashes and cuts; it really happens."""
    struck: Counter[str] = Counter()
    for seed in range(24):
        struck += chaos.run(seed, bridges=bridges_of(seed), harder=(name,)).struck
    assert struck[STRIKES.get(name, name)]


def test_a_seed_of_the_harder_world_replays_exactly() -> None:
    report = chaos.run(5, bridges=2, harder=HELD)
    assert chaos.run(5, bridges=2, harder=HELD) == report


def test_harder_faults_add_to_a_plan_and_change_nothing_of_it() -> None:
    plain, more = Plan.of(7), Plan.of(7, HELD)
    assert plain.documents == more.documents
    for before, after in zip(plain.updates, more.updates, strict=True):
        assert after.faults[: len(before.faults)] == before.faults
    names = {name.removeprefix("fault_") for name in dir(harder) if name.startswith("fault_")}
    assert names == set(DRAWS)
    assert set(HELD) <= names


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 16), marks=pytest.mark.long)], ids=str)
def test_the_promise_holds_on_a_failing_postgresql(scratch: postgres.Scratch, seeds: range) -> None:
    """Statements that fail, a full disk, and commits of which nobody learns whether they were done."""
    struck: Counter[str] = Counter()
    for seed in seeds:
        scratch.empty()
        names = ("storage_fails", "storage_full", "commit_unanswered")
        struck += chaos.run(seed, bridges=bridges_of(seed), harder=names, database_url=scratch.url).struck
    assert struck["storage"]
