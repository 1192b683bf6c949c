"""Which releases of QuickBooks Desktop are connected (qbxml.md 2.2).

Intuit ends connected services of a release about three years after it appears; older ones still open their files, but
get no mends, so a problem there could not be solved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OLDEST_YEAR = 2024
"""2023 and Enterprise 23.0 lost their connected services on 2026-05-31."""
NEWEST_KNOWN_YEAR = 2024
RELEASE_LENGTH_MAX = 20

_RELEASE = re.compile(
    r"(?:intuit )?(?:quickbooks )?(?:desktop )?"
    r"(?:(?P<edition>pro|premier|enterprise|accountant)(?: plus| solutions| accountant)* )?"
    r"(?P<version>(?P<year>20[0-9]{2}|[0-9]{2})(?:\.[0-9]{1,2})?)(?: ?r[0-9]{1,3})?",
    re.IGNORECASE,
)


class ReleaseRefusedError(ValueError):
    """The release cannot be connected; the text is a sentence for people."""


@dataclass(frozen=True)
class Release:
    """A release that can be connected."""

    text: str
    """As the user wrote it, with single spaces; only edition and version when that is long."""
    year: int
    note: str | None
    """What the user should know about it."""


def read_release(text: str) -> Release:
    """Read "2024", "24.0" or "Enterprise 24.0"; raises `ReleaseRefusedError`."""
    cleaned = " ".join(text.split())
    match = _RELEASE.fullmatch(cleaned)
    if match is None:
        raise ReleaseRefusedError(
            "it is not a release of QuickBooks Desktop for Windows such as 2024 or Enterprise 24.0"
        )
    year = int(match["year"]) % 100 + 2000
    if year < OLDEST_YEAR:
        raise ReleaseRefusedError(
            f"QuickBooks Desktop {year} is no longer supported by Intuit; "
            f"{OLDEST_YEAR} or Enterprise {OLDEST_YEAR % 100}.0 is the oldest that can be connected"
        )
    note = None
    if year > NEWEST_KNOWN_YEAR:
        note = (
            f"This release is newer than the newest one this was tried with ({NEWEST_KNOWN_YEAR}); "
            "QuickBooks has so far kept accepting older qbXML."
        )
    if len(cleaned) > RELEASE_LENGTH_MAX:
        cleaned = f"{(match['edition'] or '').capitalize()} {match['version']}".strip()
    return Release(text=cleaned, year=year, note=note)


def note_on(stored: str) -> str | None:
    """Say what the user should know about a release that was accepted once, perhaps years ago."""
    try:
        return read_release(stored).note
    except ReleaseRefusedError as error:
        return f"The release {stored} would not be accepted today: {error}."
