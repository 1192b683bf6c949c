"""Pure: times as QuickBooks writes them, kept as text and moved without leaving the text (qbxml.md 5.4).

QuickBooks writes the standard-time offset in summer too and expects it back, so a bound is built from the text that
it gave: the clock of the text moves, the offset stays.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

LOCAL_LENGTH = 19
"""`2014-11-27T18:03:44`, before the offset."""
FUTURE_TOLERANCE = timedelta(days=1)
"""A later time comes from a clock that was wrong: it must not hide what follows once the clock is right again."""


def earlier(text: str, span: timedelta) -> str:
    """Move a text back, to whole seconds, the longer way; one that cannot be read stays as it is."""
    local = _local(text)
    if local is None:
        return text
    seconds = -(-span // timedelta(seconds=1))
    return (local - timedelta(seconds=seconds)).isoformat() + text[LOCAL_LENGTH:]


def later_of(one: str, other: str) -> str:
    """Give the later of two texts; an empty or unreadable one is the earliest."""
    return other if _order(other) > _order(one) else one


def is_of_the_future(text: str, now: datetime) -> bool:
    """Say whether a text lies so far after our own clock that the clock which wrote it was wrong."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return True
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment - now > FUTURE_TOLERANCE


def day_before(moment: datetime, days: int) -> str:
    """Give a bare day, which QuickBooks reads as the start of that day on its own computer (qbxml.md 4.2)."""
    return (moment - timedelta(days=days)).date().isoformat()


def _local(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text[:LOCAL_LENGTH])
    except ValueError:
        return None


def _order(text: str) -> datetime:
    """Only for comparing: texts of one computer nearly always share their offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
