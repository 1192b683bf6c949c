"""Which releases of QuickBooks Desktop are connected (qbxml.md 2.2).

Intuit ends connected services of a release about three years after it appears; older ones still open their files, but
get no mends, so a problem there could not be solved.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

RELEASE_LENGTH_MAX = 20
WARN_BEFORE = dt.timedelta(days=180)
"""A new release of QuickBooks is bought and installed within that time."""
ENTERPRISE = "enterprise"

_RELEASE = re.compile(
    r"(?:intuit )?(?:quickbooks )?(?:desktop )?"
    r"(?:(?P<edition>pro|premier|enterprise|accountant)(?: plus| solutions| accountant)* )?"
    r"(?P<version>(?P<year>20[0-9]{2}|[0-9]{2})(?:\.[0-9]{1,2})?)(?: ?r[0-9]{1,3})?",
    re.IGNORECASE,
)


INTERNAL_FROM, INTERNAL_YEAR = 31, 1990
"""QuickBooks numbers itself inside by the years since 1990: what calls itself 34.0 is the release 2024."""
NEXT_YEARS = 1
"""Releases are named after the year that follows the one in which they appear."""


class ReleaseRefusedError(ValueError):
    """The release cannot be connected; the text is a sentence for people."""


class ReleaseUnknownError(ReleaseRefusedError):
    """The release may exist, but is not one that we know: it is accepted when a person confirms it."""


@dataclass(frozen=True)
class KnownRelease:
    """A row of the table of releases."""

    text: str
    """What is sent to connect it."""
    name: str
    year: int
    is_enterprise: bool
    supported_until: dt.date | None
    """Last day of Intuit's connected services; None: no end was announced."""
    is_estimate: bool = False
    """Intuit has not announced the day; it follows from the years that its releases have lasted so far."""


KNOWN: tuple[KnownRelease, ...] = (
    KnownRelease("Enterprise 24.0", "QuickBooks Desktop Enterprise 24.0", 2024, True, None),
    KnownRelease(
        "2024", "QuickBooks Desktop Pro Plus and Premier Plus 2024", 2024, False, dt.date(2027, 9, 30), is_estimate=True
    ),
    KnownRelease("Enterprise 23.0", "QuickBooks Desktop Enterprise 23.0", 2023, True, dt.date(2026, 5, 31)),
    KnownRelease("2023", "QuickBooks Desktop Pro Plus and Premier Plus 2023", 2023, False, dt.date(2026, 5, 31)),
    KnownRelease("Enterprise 22.0", "QuickBooks Desktop Enterprise 22.0", 2022, True, dt.date(2025, 5, 31)),
    KnownRelease("2022", "QuickBooks Desktop Pro Plus and Premier Plus 2022", 2022, False, dt.date(2025, 5, 31)),
    KnownRelease("Enterprise 21.0", "QuickBooks Desktop Enterprise 21.0", 2021, True, dt.date(2024, 5, 31)),
    KnownRelease("2021", "QuickBooks Desktop Pro and Premier 2021", 2021, False, dt.date(2024, 5, 31)),
)
"""Newest first; dates as qbxml.md 2.2 and qbxml-life.md 15 give them. What is older than the last row ended before."""
NEWEST_KNOWN_YEAR = max(release.year for release in KNOWN)


@dataclass(frozen=True)
class Release:
    """A release that can be connected."""

    text: str
    """As the user wrote it, with single spaces; only edition and version when that is long."""
    year: int
    note: str | None
    """What the user should know about it."""


def read_release(text: str, *, today: dt.date, is_confirmed: bool = False) -> Release:
    """Read "2024", "24.0" or "Enterprise 24.0"; raises `ReleaseRefusedError` with the reason.

    A release newer than those we know is asked back (`ReleaseUnknownError`) unless a person has confirmed it.
    """
    cleaned = " ".join(text.split())
    match = _RELEASE.fullmatch(cleaned)
    if match is None:
        raise ReleaseRefusedError(
            "it is not a release of QuickBooks Desktop for Windows such as 2024 or Enterprise 24.0"
        )
    year = int(match["year"]) % 100 + 2000
    if len(match["year"]) == 2 and int(match["year"]) >= INTERNAL_FROM:
        raise ReleaseRefusedError(_internal(match["version"], today))
    # Intuit counts Enterprise as 24.0 and the others by year.
    is_enterprise = (match["edition"] or "").lower() == ENTERPRISE or "." in match["version"]
    known = next((row for row in KNOWN if row.year == year and row.is_enterprise == is_enterprise), None)
    reason = why_not(known, today=today) if known is not None else None
    if known is None and year <= NEWEST_KNOWN_YEAR:
        reason = f"Intuit ended the support of {year} years ago"
    if reason is not None:
        raise ReleaseRefusedError(f"{reason}; the oldest that can be connected is {_offered(today)}")
    if known is None and not (is_confirmed and year <= today.year + NEXT_YEARS):
        question = ReleaseUnknownError if year <= today.year + NEXT_YEARS else ReleaseRefusedError
        raise question(
            f"no release {match['version']} of QuickBooks Desktop is known here. Press F2 in QuickBooks to see which "
            f"one it is; known are {_offered(today)}"
        )
    if len(cleaned) > RELEASE_LENGTH_MAX:
        cleaned = f"{(match['edition'] or '').capitalize()} {match['version']}".strip()
    return Release(text=cleaned, year=year, note=_note(known, year, today))


def why_not(release: KnownRelease, *, today: dt.date) -> str | None:
    """Say why a release of the table cannot be connected any more; None when it can."""
    if release.supported_until is None or today <= release.supported_until:
        return None
    if release.is_estimate:
        return f"the support of {release.name} was expected to end in {release.supported_until:%B %Y}"
    return f"Intuit ended the support of {release.name} on {release.supported_until:%Y-%m-%d}"


def _offered(today: dt.date) -> str:
    return " or ".join(row.text for row in reversed(KNOWN) if why_not(row, today=today) is None)


def _internal(version: str, today: dt.date) -> str:
    """Name the release that QuickBooks calls by its own number inside, and what to choose."""
    year = int(version.partition(".")[0]) + INTERNAL_YEAR
    named = [row for row in KNOWN if row.year == year]
    right = " or ".join(row.text for row in reversed(named) if why_not(row, today=today) is None)
    meant = f"{version} is the number that QuickBooks uses inside for its release {year}"
    if right:
        return f"{meant}; choose {right}"
    if named:
        return f"{meant}, whose support has ended; the oldest that can be connected is {_offered(today)}"
    return f"{meant}; known are {_offered(today)}"


def note_on(stored: str, *, today: dt.date) -> str | None:
    """Say what the user should know about a release that was accepted once, perhaps years ago."""
    try:
        return read_release(stored, today=today, is_confirmed=True).note
    except ReleaseRefusedError as error:
        return f"The release {stored} would not be accepted today: {error}."


def selectable(*, today: dt.date) -> Sequence[tuple[KnownRelease, str | None]]:
    """Give every release of the table with the reason why it cannot be chosen, or None."""
    return [(release, why_not(release, today=today)) for release in KNOWN]


def _note(known: KnownRelease | None, year: int, today: dt.date) -> str | None:
    if known is None:
        return (
            f"The release {year} is newer than the newest one this was tried with ({NEWEST_KNOWN_YEAR}); "
            "QuickBooks has so far kept accepting older qbXML."
        )
    if known.supported_until is not None and known.supported_until - today <= WARN_BEFORE:
        if known.is_estimate:
            return f"The support of this release is expected to end in {known.supported_until:%B %Y}: plan a newer one."
        return f"Intuit supports this release only until {known.supported_until:%Y-%m-%d}: plan a newer one."
    return None
