"""`qbd prune --daily`: at once, then every day, until a signal; tests/bridge/test_retention.py: what is deleted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.database import migrate
from ops.problems import ProblemError
from ops.prune import DAY_S, NOT_SET, prune_daily, run_prune
from ops.settings import load_settings
from store.engine import DatabaseProblemError

PROJECT = Path(__file__).resolve().parents[2]


def test_it_is_done_at_once_and_every_day_until_a_signal(tmp_path: Path) -> None:
    settings = load_settings({"QBD_DATA_DIR": str(tmp_path), "QBD_RETENTION_DAYS": "400"})
    migrate(settings)
    told: list[str] = []
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    prune_daily(settings, older_than=None, dry_run=False, tell=told.append, wait=wait)
    assert told == ["Nothing that can be deleted is older than 400 days."] * 3
    assert waited == [DAY_S] * 3


def test_a_database_that_cannot_be_used_ends_it(tmp_path: Path) -> None:
    """Whoever started it sees it, and starts it again."""
    settings = load_settings({"QBD_DATA_DIR": str(tmp_path), "QBD_RETENTION_DAYS": "400"})
    with pytest.raises(DatabaseProblemError):
        prune_daily(settings, older_than=None, dry_run=False, tell=print, wait=lambda _seconds: True)


def test_a_signal_ends_the_process(tmp_path: Path) -> None:
    """Without a setting it deletes nothing, says so, and does not end by itself: it would be started for ever."""
    migrate(load_settings({"QBD_DATA_DIR": str(tmp_path)}))
    environment = {"PYTHONPATH": str(PROJECT), "QBD_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "ops", "prune", "--daily"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{NOT_SET}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_pruning_once_without_a_number_of_days_is_a_problem() -> None:
    """Whoever asks to delete, and for whom nothing is deleted, is told by the exit code too."""
    with pytest.raises(ProblemError, match="QBD_RETENTION_DAYS"):
        run_prune(load_settings({}), older_than=None, dry_run=False)
