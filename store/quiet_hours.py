"""Pure: a company's quiet hours, in which its Web Connector gets no work. Kept as JSON in the company's row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """A span of each day by the wall clock of a zone; it goes over midnight when it begins after it ends."""

    begins: time
    ends: time
    zone: ZoneInfo

    def until(self, now: datetime) -> datetime | None:
        """Say when the span ends that `now` is in; None: work goes on."""
        local = now.astimezone(self.zone)
        at = local.time().replace(tzinfo=None)
        goes_over_midnight = self.begins > self.ends
        is_inside = at >= self.begins or at < self.ends if goes_over_midnight else self.begins <= at < self.ends
        if not is_inside:
            return None
        day = local.date() + timedelta(days=1 if at >= self.ends else 0)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)

    def last_ended(self, now: datetime) -> datetime:
        """Say when the span ended last; while `now` is in one, that is the end of the one before."""
        local = now.astimezone(self.zone)
        day = local.date() - timedelta(days=1 if local.time().replace(tzinfo=None) < self.ends else 0)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)


def zone_named(name: str) -> ZoneInfo | None:
    """Find a time zone such as America/Chicago."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def quiet_until(stored: dict[str, Any] | None, now: datetime) -> datetime | None:
    """Say until when a company is left alone; None: work goes on.

    Work also goes on when the zone is not known on this machine: an export that comes at night is better than none.
    """
    hours = _read(stored)
    return hours.until(now) if hours is not None else None


def last_ended(stored: dict[str, Any] | None, now: datetime) -> datetime | None:
    """Say when a company's quiet hours ended last; None: it has none."""
    hours = _read(stored)
    return hours.last_ended(now) if hours is not None else None


def _read(stored: dict[str, Any] | None) -> QuietHours | None:
    if stored is None:
        return None
    zone = zone_named(str(stored["time_zone"]))
    if zone is None:
        return None
    return QuietHours(begins=time.fromisoformat(stored["from"]), ends=time.fromisoformat(stored["until"]), zone=zone)
