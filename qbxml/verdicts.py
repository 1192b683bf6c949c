"""What a code means for a person and for the export: the shape of every entry in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Owner = Literal["tms_user", "bookkeeper", "it", "us"]


class Retry(StrEnum):
    """What the export may do by itself."""

    DONE = "done"  # nothing is left to do for this request
    RETRY_LATER = "retry_later"  # nothing was written; send the same again, with growing pauses
    NEVER = "never"  # nothing was written; a person must change something first
    UNKNOWN_OUTCOME = "unknown_outcome"  # it may have been written; look before sending again (qbxml.md 1.4, 4.5)
    OUR_BUG_SPLIT = "our_bug_split"  # nothing was run; send the documents one by one and set the faulty one aside
    LOWER_VERSION = "lower_version"  # nothing was run; write the document for an older version


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One code, explained."""

    code: str
    """The code as QuickBooks gives it: `3140`, `0x80040400`."""
    cause: str
    """Machine-readable, snake_case, stable."""
    explanation: str
    """What happened, in plain sentences."""
    owner: Owner
    """Who can end it; `us` is whoever runs this export."""
    next_step: str
    """What the owner does now, in plain sentences."""
    retry: Retry


@dataclass(frozen=True, slots=True)
class Entry:
    """A verdict of the catalogue before the code is known."""

    cause: str
    owner: Owner
    retry: Retry
    explanation: str
    next_step: str

    def verdict(self, code: str) -> Verdict:
        """The entry for one code."""
        return Verdict(
            code=code,
            cause=self.cause,
            explanation=self.explanation,
            owner=self.owner,
            next_step=self.next_step,
            retry=self.retry,
        )
