"""Nothing outlives a supervisor that was killed, at whatever moment: small processes, and the whole stack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.demo import demo_settings

PROJECT = Path(__file__).resolve().parents[2]
KILLED_AFTER_S = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)
STACK_KILLED_AFTER_S = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
GONE_WITHIN_S = 30

SERVER = """
import os, signal, time
from ops.parent_watch import end_with_supervisor
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as one that hangs
end_with_supervisor(os.environ)
time.sleep(600)
"""
SUPERVISOR = """
import asyncio, os, pathlib, sys
from ops import supervisor
from ops.supervisor import Part, Supervisor
if {alone}:
    supervisor._libc = None  # as where the kernel tells nobody that its parent died
async def ready():
    return True
folder = pathlib.Path(sys.argv[1])
server = [sys.executable, str(folder / "server.py")]
foreign = [sys.executable, "-m", "ops.parent_watch", "sleep", "600", str(folder)] if {alone} else ["sleep", "600"]
parts = [Part(name=name, command=command, environment=dict(os.environ), ready=ready)
         for name, command in (("server", server), ("foreign", foreign))]
async def run():
    supervised = Supervisor([parts], folder / "logs", print)
    await supervised.start()
    await supervised.watch()
asyncio.run(run())
"""


def alive(mark: str) -> list[int]:
    """Give the processes whose surroundings bear the mark, but those that are dead and not buried yet."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = mark.encode() in (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if is_ours and state != "Z":
            found.append(int(folder.name))
    return found


def until_none(mark: str) -> list[int]:
    deadline = time.monotonic() + GONE_WITHIN_S
    while (left := alive(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:  # so that a test that fails leaves nothing either
        os.kill(pid, signal.SIGKILL)
    return left


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("alone", [False, True], ids=["with the kernel's help", "by looking only"])
def test_what_a_killed_supervisor_started_ends(tmp_path: Path, *, alone: bool) -> None:
    """Killed at several moments of its start; one part hears no signal, one is a program that cannot look itself."""
    (tmp_path / "server.py").write_text(SERVER)
    started = []
    for number, seconds in enumerate(KILLED_AFTER_S):
        mark = f"{tmp_path}/{number}"
        environ = {**os.environ, "PYTHONPATH": str(PROJECT), "MARK": mark}
        script = SUPERVISOR.format(alone=alone)
        started.append((mark, seconds, subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environ)))
    begun = time.monotonic()
    for _, seconds, process in started:
        time.sleep(max(0.0, begun + 0.5 + seconds - time.monotonic()))
        process.kill()
        process.wait()
    assert [left for mark, _, _ in started if (left := until_none(mark))] == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_nothing_of_a_stack_is_left_whenever_it_is_killed(tmp_path: Path) -> None:
    """`qbd up`, killed in each part of its start and when it is ready: ports are free, no bridge answers."""
    for number, seconds in enumerate(STACK_KILLED_AFTER_S):
        settings, environ = demo_settings(os.environ, tmp_path / f"data-{number}")
        mark = f"{tmp_path}/{number}"
        environ |= settings.environment() | {"PYTHONPATH": str(PROJECT), "MARK": mark}
        up = subprocess.Popen(
            [sys.executable, "-P", "-m", "ops", "up"], env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        time.sleep(seconds)
        assert up.poll() is None
        up.kill()
        up.wait()
        assert until_none(mark) == [], f"killed after {seconds} s"
