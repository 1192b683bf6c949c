"""A thread that does one small thing again and again, and once more when it is told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)


class Periodic:
    """Calls `work` every `seconds` from `start` to `stop`. A database that is away is no reason to end."""

    def __init__(self, name: str, work: Callable[[], object], *, seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 15.0) -> None:
        """Have it done a last time, and end; not later than that, whatever holds it up."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._once()
        self._once()

    def _once(self) -> None:
        try:
            self._work()
        except SQLAlchemyError as error:
            log.warning("put off: the database does not answer", work=self._name, error=type(error).__name__)
        except Exception:
            log.exception("put off: it failed", work=self._name)
