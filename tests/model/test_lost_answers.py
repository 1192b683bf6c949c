"""Ask, look and send again with two computers: every interleaving of the small model up to a depth.

Counted in states that differ. The model is worth something because it finds each fault when its remedy is taken out.
"""

from __future__ import annotations

import itertools

import pytest

from tests.model.lost_answers import Explored, Rules, explore

POSITIONS = [
    Rules(leaves_record=leaves, keeps_one=one, clock_is_behind=True)
    for leaves, one in itertools.product([False, True], repeat=2)
]
NAMES = [f"leaves_record={rules.leaves_record},keeps_one={rules.keeps_one}" for rules in POSITIONS]


def must_hold(explored: Explored) -> None:
    assert explored.fault is None, " / ".join(explored.fault or ())


@pytest.mark.parametrize("rules", POSITIONS, ids=NAMES)
def test_nothing_is_doubled_in_any_interleaving(rules: Rules) -> None:
    """Up to twelve events deep, some thousand states: with a fence that holds, and without."""
    explored = explore(rules, depth=12)
    must_hold(explored)
    assert explored.depth == 12
    assert explored.states > 5_000
    assert "arrived" in explored.ends


@pytest.mark.long
@pytest.mark.parametrize("rules", POSITIONS, ids=NAMES)
def test_nothing_is_doubled_in_any_longer_interleaving(rules: Rules) -> None:
    """Eighteen events: enough to fence off a set, to send it again elsewhere, and to lose that answer, too."""
    explored = explore(rules, depth=18)
    must_hold(explored)
    assert explored.states > 50_000
    # Where QuickBooks keeps one record only, no fence outlives the next write: nobody sends again elsewhere.
    assert explored.fenced is not rules.keeps_one
    assert "person" in explored.ends


def test_without_the_fence_a_second_computer_doubles_what_the_first_still_writes() -> None:
    """Looked up as absent, sent again, and then the first one commits."""
    fault = explore(Rules(has_fence=False), depth=11).fault
    assert fault is not None
    assert "TWO: look_up" in fault
    assert any(label.startswith("ONE writes") for label in fault[fault.index("TWO: look_up") :])


def test_without_the_question_about_dates_a_renumbered_invoice_is_doubled() -> None:
    """The clock of the PC is behind, so it did not change lately; nor does it bear its number."""
    fault = explore(Rules(clock_is_behind=True, asks_by_date=False), depth=12).fault
    assert fault is not None
    assert "renumber" in fault
    assert explore(Rules(clock_is_behind=False, asks_by_date=False), depth=12).fault is None


@pytest.mark.long
def test_without_the_half_hour_a_run_in_the_middle_is_doubled() -> None:
    """No fence stops what has begun."""
    fault = explore(Rules(waits=False), depth=14).fault
    assert fault is not None
    assert fault.index("ONE begins") < fault.index("TWO: plant_fence")


@pytest.mark.long
def test_a_fence_that_the_next_write_releases_is_none() -> None:
    """The set that is sent again must not name the one that was ruled absent."""
    fault = explore(Rules(keeps_fences=False), depth=15).fault
    assert fault is not None
    assert fault.index("TWO fetches the document") < fault.index("ONE begins")
