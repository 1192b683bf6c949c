"""A process of the real system as production builds it, with a clock that a test moves and points at which it dies.

`python -m tests.scenario.stack_parts bridge|api|worker`. What it obeys lies in the folder that QBD_TEST_CHAOS names:
`clock` holds the seconds that time is ahead, `fuse/` a file for each point to die at, with how often it may be passed.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops import services, wiring
from ops.settings import Settings, load_settings

CHAOS = "QBD_TEST_CHAOS"
BROKEN = "QBD_TEST_WITHOUT_RECOVERY"
"""Set: the bridge is the deliberately broken one that sends again what got no answer."""


class SharedClock:
    """Real time, moved ahead by what stands in a file: every process that reads it agrees."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text() or 0))

    def forward(self, **delta: float) -> None:
        """Move time ahead."""
        ahead = float(self._file.read_text() or 0) + timedelta(**delta).total_seconds()
        new = self._file.with_suffix(".new")
        new.write_text(str(ahead))
        new.replace(self._file)


class FileFuse:
    """Points at which whatever process passes them dies, by SIGKILL, at the nth passing."""

    has_blown = False  # a process that died tells by the connection that breaks

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "fuse"
        self._folder.mkdir(exist_ok=True)

    def arm(self, point: str, nth: int) -> None:
        """Let a process die at the nth passing from now on."""
        self._file(point).write_text(str(nth))

    def disarm(self) -> list[str]:
        """Let nothing die any more; gives the points that nobody had reached."""
        left = list(self._folder.iterdir())
        for path in left:
            path.unlink(missing_ok=True)
        return [path.name for path in left]

    def passing(self, point: str) -> None:
        """Pass a point, or die at it."""
        path = self._file(point)
        try:
            left = int(path.read_text() or 1) - 1
        except FileNotFoundError:
            return
        if left > 0:
            path.write_text(str(left))
            return
        path.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def _file(self, point: str) -> Path:
        return self._folder / point.replace(" ", "_").replace(":", "")


def surroundings() -> wiring.Surroundings:
    """Give what the environment says."""
    folder = Path(os.environ[CHAOS])
    return wiring.Surroundings(clock=SharedClock(folder), passing=FileFuse(folder).passing)


def bridge(settings: Settings) -> wiring.Bridge:
    """Build the bridge."""
    from tests.scenario.wiring import WithoutRecovery

    return wiring.bridge(settings, surroundings(), WithoutRecovery if os.environ.get(BROKEN) else None)


def main(part: str) -> int:
    """Run a part until a signal ends it."""
    settings = load_settings(os.environ)
    match part:
        case "bridge":
            services.run_bridge(settings, bridge)
        case "api":
            services.run_api(settings, surroundings())
        case "worker":
            services.run_worker(settings, surroundings())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
