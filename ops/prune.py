"""`qbd prune`: forgets what is older than the setting. `store.retention` says what that is, and what is kept."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ops.database import open_database
from ops.problems import ProblemError
from ops.settings import Settings
from store.retention import prune

NAMES = {
    "sessions": "sessions of Web Connectors",
    "message_sets": "message sets with their answers",
    "timeline": "steps of timelines",
    "request_texts": "request texts",
    "outbox": "delivered signals",
    "incidents": "incidents",
    "webhook_deliveries": "webhook messages",
    "kept_answers": "expired kept answers",
}
DAY_S = 24 * 60 * 60.0
NOT_SET = "QBD_RETENTION_DAYS is not set: everything is kept. To delete once, give --older-than DAYS."


def run_prune(settings: Settings, *, older_than: int | None, dry_run: bool) -> list[str]:
    """Prune, or count what pruning would delete; gives the lines that say what was done.

    Raises `ProblemError` when nothing says how much to keep: nothing is deleted then.
    """
    days = older_than if older_than is not None else settings.retention_days
    if days is None:
        raise ProblemError(NOT_SET)
    now = datetime.now(UTC)
    database = open_database(settings)
    try:
        counts = prune(database, before=now - timedelta(days=days), now=now, dry_run=dry_run)
    finally:
        database.close()
    return report(counts, days=days, dry_run=dry_run)


def prune_daily(
    settings: Settings,
    *,
    older_than: int | None,
    dry_run: bool,
    tell: Callable[[str], None],
    wait: Callable[[float], bool],
) -> None:
    """Prune now and then once a day, until `wait`, for so many seconds, says that a signal came.

    A database that cannot be used ends it, as it ends `run_prune`: whoever started it starts it again.
    """
    while True:
        if older_than is None and settings.retention_days is None:
            tell(NOT_SET)  # and wait: a service that ended would be started again and again
        else:
            for line in run_prune(settings, older_than=older_than, dry_run=dry_run):
                tell(line)
        if wait(DAY_S):
            return


def signalled() -> Callable[[float], bool]:
    """Give a wait for SIGTERM or SIGINT: the first process of a container hears only what it has a handler for."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop.wait


def report(counts: Counter[str], *, days: int, dry_run: bool) -> list[str]:
    """Give a line for each kind of row."""
    done = "Would delete" if dry_run else "Deleted"
    if not counts:
        return [f"Nothing that can be deleted is older than {days} days."]
    return [f"{done} what is older than {days} days:", *(f"{counts[k]:>10}  {NAMES[k]}" for k in NAMES if counts[k])]
