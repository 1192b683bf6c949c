"""Quiet hours by the wall clock, over midnight, and on the two days of the year when the clock jumps."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from store.quiet_hours import QuietHours, quiet_until

CHICAGO = ZoneInfo("America/Chicago")
NIGHT = {"from": "22:00", "until": "05:30", "time_zone": "America/Chicago"}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(UTC)


def test_a_night() -> None:
    """From its first minute to its last, and not a minute longer."""
    assert quiet_until(NIGHT, _at("2026-11-23T21:59:59")) is None
    assert quiet_until(NIGHT, _at("2026-11-23T22:00:00")) == _at("2026-11-24T05:30:00")
    assert quiet_until(NIGHT, _at("2026-11-24T05:29:59")) == _at("2026-11-24T05:30:00")
    assert quiet_until(NIGHT, _at("2026-11-24T05:30:00")) is None
    assert quiet_until(None, _at("2026-11-24T00:00:00")) is None


def test_the_clock_jumps() -> None:
    """In the night of 1 November 2026 it lasts an hour longer, in that of 8 March an hour less."""
    long, short = _at("2026-10-31T22:00:00"), _at("2026-03-07T22:00:00")
    assert quiet_until(NIGHT, long) == long + timedelta(hours=8, minutes=30)
    assert quiet_until(NIGHT, short) == short + timedelta(hours=6, minutes=30)


def test_a_zone_that_this_machine_does_not_know_stops_nothing() -> None:
    """An export that comes at night is better than none."""
    assert quiet_until(NIGHT | {"time_zone": "Mars/Olympus"}, _at("2026-11-23T23:00:00")) is None


@given(
    begins=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    ends=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    minutes=st.integers(0, 366 * 24 * 60),
)
def test_it_always_ends_within_a_day_and_then_it_is_over(begins: time, ends: time, minutes: int) -> None:
    """Whatever the span: nobody is left alone for ever, and at its end work goes on."""
    if begins == ends:
        return
    hours = QuietHours(begins=begins, ends=ends, zone=CHICAGO)
    now = _at("2026-01-01T00:00:00") + timedelta(minutes=minutes)
    until = hours.until(now)
    if until is not None:
        assert now < until <= now + timedelta(hours=25)
        # In the hour that the clock skips or repeats, an end may be met a second time, an hour later.
        assert hours.until(until) is None or hours.until(until + timedelta(hours=1)) is None
