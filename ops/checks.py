"""`qbd test`, `qbd chaos` and `qbd bench`: tests, seeded chaos runs and measurements, in child processes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from ops.stack import PROJECT

WORKERS = "3"
"""Tests wait for processes and clocks much of their time: three keep two cores busy."""


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest over the project, on three processes where the plugin for that is installed; give its exit code."""
    command = [sys.executable, "-m", "pytest"]
    if importlib.util.find_spec("xdist") and not any(one.startswith(("-n", "--pdb")) for one in arguments):
        command += ["-n", WORKERS, "--dist", "worksteal"]
    return subprocess.run([*command, *arguments], cwd=PROJECT, check=False).returncode  # noqa: S603 our own interpreter


def run_chaos(arguments: Sequence[str]) -> int:
    """Run seeds against real processes of this project; give the exit code, 1 when one broke the promise."""
    command = [sys.executable, "-m", "tests.scenario.stack_chaos", *arguments]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode  # noqa: S603 our own interpreter


def run_bench(arguments: Sequence[str]) -> NoReturn:
    """Become the measurement of the budgets: whoever stops this process stops it, and it ends what it started.

    Its exit code is 1 when a budget is missed and 2 when something could not be measured.
    """
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *arguments], environment)  # noqa: S606 our own
