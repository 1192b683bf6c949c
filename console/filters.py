"""How values look on pages: times, spans, numbers, money."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from markupsafe import Markup, escape

_NAMED_TIME = re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC\b")
_NAMED_DAY = re.compile(r"(?<![\w-])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\w-]| [0-9]{2}:)")


def when(value: datetime | None) -> Markup:
    """Write a time; a script of ours turns it into the reader's own zone."""
    if value is None:
        return Markup("never")
    shown = _spelled(value)
    return Markup('<time datetime="{}" data-local>{}</time>').format(value.isoformat(timespec="seconds"), shown)


def with_times(text: str) -> Markup:
    """Write a sentence of the API; the times in it, which it names in UTC, are shown as `when` shows them, and days."""
    timed = _NAMED_TIME.sub(_as_time, str(escape(text)))
    return Markup(_NAMED_DAY.sub(lambda found: day(found[0]), timed))  # noqa: S704 escaped, and digits only


def day(value: object) -> str:
    """Spell a day, given as one or as text; what is no day is shown as it is."""
    try:
        return f"{date.fromisoformat(str(value)):%b %-d, %Y}"
    except ValueError:
        return str(value)


def _spelled(value: datetime) -> str:
    return f"{value:%b %-d, %Y, %H:%M} UTC"


def _as_time(found: re.Match[str]) -> str:
    try:
        return str(when(datetime.strptime(found[0], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)))
    except ValueError:
        return found[0]


def span(value: timedelta) -> str:
    """Say how long, in the one unit that matters."""
    seconds = max(0, int(value.total_seconds()))
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "less than a minute"


def ago(value: datetime | None, now: datetime) -> Markup:
    """Say how long ago, with the exact time to hand."""
    if value is None:
        return Markup("never")
    text = "just now" if now - value < timedelta(minutes=1) else f"{span(now - value)} ago"
    stamp = value.isoformat(timespec="seconds")
    return Markup('<time datetime="{}" data-ago title="{}">{}</time>').format(stamp, _spelled(value), text)


def count(value: int) -> str:
    """Write a whole number with separators."""
    return f"{value:,}"


def money(value: object, currency: str | None = None) -> Markup:
    """Write an amount with separators and two places; what is no number is shown as it is."""
    try:
        text = f"{Decimal(str(value)):,.2f}"
    except InvalidOperation:
        return escape(str(value))
    return Markup("{}&nbsp;{}").format(text, currency) if currency else Markup(text)  # noqa: S704 digits only


def moment(value: str | None) -> datetime | None:
    """Read a time that is kept as text."""
    return datetime.fromisoformat(value) if value else None


FILTERS = {
    "moment": moment,
    "when": when,
    "with_times": with_times,
    "day": day,
    "span": span,
    "ago": ago,
    "count": count,
    "money": money,
}
