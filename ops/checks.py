"""`qbd test`: pytest in a child process, spread over two processes where the plugin for it is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence

from ops.stack import PROJECT

WORKERS = "2"


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest over the project; give its exit code."""
    command = [sys.executable, "-m", "pytest"]
    if importlib.util.find_spec("xdist") and not any(one.startswith(("-n", "--pdb")) for one in arguments):
        command += ["-n", WORKERS]
    return subprocess.run([*command, *arguments], cwd=PROJECT, check=False).returncode  # noqa: S603 our own interpreter
