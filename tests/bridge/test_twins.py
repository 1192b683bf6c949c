"""Two Web Connectors on one company, told from one that moves between the servers of a farm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from qbwc_bridge.twins import Visit, twin_notice

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("host", "other", "minutes_ago", "is_told"),
    [
        ("OFFICE-PC", "LAPTOP", 15, True),
        ("OFFICE-PC", "office-pc", 1, False),
        ("OFFICE-PC", "LAPTOP", 61, False),  # a new computer
        ("OFFICE-PC", None, 15, False),
        (None, "LAPTOP", 15, False),
        ("RDS-01", "RDS-02", 15, False),  # one schedule, another server of the farm
        ("RDS-01", "rds-12", 45, False),
        ("TS1", "TS2", 8, False),
        ("RDS-01", "RDS-02", 7, True),  # two of them: oftener than one schedule comes
        ("RDS-01", "RDSX-02", 15, True),
        ("DESKTOP-4F3K7", "DESKTOP-9QX2", 15, True),  # the names that Windows makes up
        ("1", "2", 15, False),
    ],
)
def test_who_is_told_of_a_second_web_connector(
    host: str | None, other: str | None, minutes_ago: int, *, is_told: bool
) -> None:
    """With a schedule of 15 minutes."""
    earlier = [Visit(host=other, at=NOW - timedelta(minutes=minutes_ago))]
    text = twin_notice(host, earlier, now=NOW, interval=timedelta(minutes=15))
    assert bool(text) == is_told
    if is_told:
        assert str(host) in text
        assert str(other) in text


def test_a_farm_hides_no_other_computer() -> None:
    earlier = [Visit(host=name, at=NOW - timedelta(minutes=15)) for name in ("RDS-02", "LAPTOP")]
    assert "LAPTOP and RDS-01" in twin_notice("RDS-01", earlier, now=NOW, interval=timedelta(minutes=15))
