"""No process outlives the one that started it: each looks whether its parent is still the same, and ends if not.

A supervisor that was killed stops nobody. What it started would keep its ports, and answer in place of the next stack.
Not here: what the kernel does on Linux by itself (supervisor.py).
`python -m ops.parent_watch COMMAND...` runs a program that cannot look itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence

PARENT = "_QBD_STARTED_BY"
"""The variable in which a supervisor tells its process id to those that it starts. Not a setting."""
LOOK_EVERY_S = 0.5
GRACE_S = 5.0
"""For what is under way to end well, after the signal that asks for it."""


def end_with_supervisor(environ: MutableMapping[str, str]) -> None:
    """Begin to look, if a supervisor started this process. Its own children are not told."""
    told = environ.pop(PARENT, "")
    if told.isdecimal():
        _watch(int(told), _end_this_process)


def _watch(parent: int, end: Callable[[], None]) -> None:
    def look() -> None:
        while os.getppid() == parent:  # an orphan gets another one
            time.sleep(LOOK_EVERY_S)
        end()

    threading.Thread(target=look, daemon=True, name="parent watch").start()


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def run(command: Sequence[str], environ: MutableMapping[str, str]) -> int:
    """Run a program until it ends, or until whoever started us has ended; gives its exit code."""
    told = environ.pop(PARENT, "")
    child = subprocess.Popen(command)  # noqa: S603 our own stack names it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))

    def end() -> None:
        child.terminate()
        time.sleep(GRACE_S)
        child.kill()

    if told.isdecimal():
        _watch(int(told), end)
    return child.wait()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ))
