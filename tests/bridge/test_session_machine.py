"""Properties of the pure session machine and the company guard."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from qbwc_bridge.guard import Binding, OpenFile, judge_file
from qbwc_bridge.session import Limits, Step, Waiting, choose_batch, next_step, pause_after, progress

ABOUT_A_SET = (Step.CHECK_FILE, Step.ASK, Step.PLANT_FENCE, Step.TRY_FENCE, Step.LOOK_UP, Step.REFUSE)
steps = st.fixed_dictionaries(
    {
        "is_open": st.booleans(),
        "guard_passed": st.booleans(),
        "unresolved": st.none() | st.sampled_from(ABOUT_A_SET),
        "waiting": st.integers(0, 5),
        "is_spent": st.booleans(),
    }
)


@given(steps)
def test_business_data_leaves_only_in_an_open_session_of_the_right_file(facts: dict[str, object]) -> None:
    """Everything but a refusal needs both, and that the session has not used up its time."""
    step = next_step(**facts)  # type: ignore[arg-type]
    if step is not Step.REFUSE:
        assert not facts["is_spent"]
        assert facts["is_open"]
        assert facts["guard_passed"]


@given(steps)
def test_nothing_new_leaves_while_a_set_is_unresolved(facts: dict[str, object]) -> None:
    """A write goes out only when nothing is open and something waits."""
    step = next_step(**facts)  # type: ignore[arg-type]
    if step is Step.WRITE:
        assert facts["unresolved"] is None
        assert facts["waiting"]
    if step is Step.PROBE:
        assert facts["unresolved"] is None


queues = st.lists(st.builds(Waiting, id=st.uuids().map(str), size=st.integers(1, 400), batch_max=st.integers(1, 30)))


@given(queues, st.integers(1, 25), st.integers(1, 1000))
def test_a_batch_is_the_head_of_the_queue_within_every_limit(heads: list[Waiting], count: int, size: int) -> None:
    """In order, never empty while something waits, never over a limit but for a single large request."""
    limits = Limits(batch_size=count, batch_bytes=size)
    chosen = choose_batch(heads, limits)
    assert chosen == [head.id for head in heads[: len(chosen)]]
    assert bool(chosen) == bool(heads)
    taken = heads[: len(chosen)]
    if len(taken) > 1:
        assert len(taken) <= min([count, *(head.batch_max for head in taken)])
        assert sum(head.size for head in taken) <= size


@given(st.integers(0, 10_000), st.integers(-1, 10_000))
def test_progress_is_a_hundred_exactly_when_nothing_is_left(done: int, left: int) -> None:
    """A hundred ends the session (web-connector.md 1.4)."""
    percent = progress(done=done, left=left)
    assert 0 <= percent <= 100
    assert (percent == 100) == (left <= 0)


@given(st.integers(1, 1000))
def test_pauses_grow_and_stay_bounded(postponed: int) -> None:
    """A form can stay open for hours; a queue must not be forgotten for days."""
    limits = Limits()
    pause = pause_after(postponed, limits)
    assert limits.postpone_first <= pause <= limits.postpone_longest
    assert pause_after(postponed + 1, limits) >= pause
    assert isinstance(pause, timedelta)


names = st.sampled_from(["Ridgeline", "Somebody Else"])
paths = st.sampled_from([r"C:\QB\ridgeline.qbw", r"D:\moved\ridgeline.qbw", r"C:\QB\else.qbw"])
FILE_ID = "{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}"


@given(names, paths, names, paths, st.sampled_from([FILE_ID, None, "{00000000-0000-0000-0000-000000000000}"]))
def test_a_bound_connection_takes_no_file_that_differs_in_name_and_path(
    name: str, path: str, seen_name: str, seen_path: str, seen_id: str | None
) -> None:
    """One of them may change while the FileID matches; a foreign FileID is never taken."""
    judgement = judge_file(
        Binding(file_id=FILE_ID, company_name=name, company_file=path),
        OpenFile(file_id=seen_id, company_name=seen_name, company_file=seen_path),
    )
    if seen_id not in (FILE_ID, None) or (name != seen_name and path != seen_path):
        assert not judgement.allowed
    if seen_id is None and (name != seen_name or path != seen_path):
        assert not judgement.allowed
    if (seen_id, seen_name, seen_path) == (FILE_ID, name, path):
        assert judgement.allowed
    if not judgement.allowed:
        assert name in judgement.text
        assert seen_name in judgement.text


def test_without_company_data_nothing_leaves() -> None:
    """QuickBooks did not say what is open."""
    nothing = OpenFile(file_id=None, company_name=None, company_file="")
    bound = Binding(file_id=FILE_ID, company_name=None, company_file=None)
    assert not judge_file(bound, nothing).allowed
