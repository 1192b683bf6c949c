"""How fast the relay may go: Temporal says RESOURCE_EXHAUSTED when a namespace is over its limit. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 200
BATCH_MIN = 5
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How many signals to take at once, and how long to wait after a refusal.

    Less and later each time that Temporal has too much; step by step back to full speed when it takes them.
    """

    batch: int = BATCH
    pause_s: float = 0.0

    def refused(self) -> Pace:
        """Give the pace after Temporal had too much."""
        return Pace(
            batch=max(BATCH_MIN, self.batch // 2),
            pause_s=min(PAUSE_MAX_S, self.pause_s * 2 or PAUSE_FIRST_S),
        )

    def taken(self) -> Pace:
        """Give the pace after Temporal took a batch."""
        return Pace(batch=min(BATCH, self.batch * 2))
