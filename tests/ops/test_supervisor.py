"""The supervisor with small processes of our own in place of the real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import supervisor as module
from ops.problems import StackError
from ops.supervisor import Part, Supervisor

RUNS = "import pathlib, time; pathlib.Path({mark!r}).touch(); time.sleep(60)"
STUBBORN = (
    "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "pathlib.Path({mark!r}).touch(); time.sleep(60)"
)
TELLS_ITS_END = (
    "import pathlib, signal, sys, time\n"
    "def end(*_):\n"
    "    with open({log!r}, 'a') as log: log.write({name!r} + ' ')\n"
    "    sys.exit()\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "pathlib.Path({mark!r}).touch()\n"
    "time.sleep(60)"
)


def part(folder: Path, name: str, code: str) -> Part:
    mark = folder / f"{name}.ready"

    async def ready() -> bool:
        return mark.exists()

    text = code.format(mark=str(mark), name=name, log=str(folder / "ends"))
    return Part(name=name, command=[sys.executable, "-c", text], environment=dict(os.environ), ready=ready)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_parts_stop_in_reverse_order(tmp_path: Path) -> None:
    waves = [[part(tmp_path, "first", TELLS_ITS_END)], [part(tmp_path, "second", TELLS_ITS_END)]]
    supervised = Supervisor(waves, tmp_path / "logs", lambda _text: None)
    await supervised.start()
    await supervised.stop()
    assert (tmp_path / "ends").read_text().split() == ["second", "first"]
    assert supervised.pid("first") is None


async def test_died_part_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.01)
    told: list[str] = []
    supervised = Supervisor([[part(tmp_path, "one", RUNS)]], tmp_path / "logs", told.append)
    await supervised.start()
    watching = asyncio.create_task(supervised.watch())
    first = supervised.pid("one")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervised.pid("one") not in (None, first))
    await until(lambda: "one runs again" in told)
    assert "one ended with code -9" in told[0]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await supervised.stop()


async def test_part_that_dies_while_starting_is_told_with_its_last_line(tmp_path: Path) -> None:
    broken = part(tmp_path, "broken", "raise SystemExit('the disk is full')")
    supervised = Supervisor([[broken]], tmp_path / "logs", lambda _text: None)
    with pytest.raises(StackError, match="the disk is full"):
        await supervised.start()
    await supervised.stop()


async def test_part_that_is_never_ready_is_told(tmp_path: Path) -> None:
    parts = [[part(tmp_path, "slow", "import time; time.sleep(60)")]]
    supervised = Supervisor(parts, tmp_path, lambda _text: None, ready_timeout_s=0.2)
    with pytest.raises(StackError, match="not ready"):
        await supervised.start()
    await supervised.stop()
    assert supervised.pid("slow") is None


async def test_part_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    supervised = Supervisor([[part(tmp_path, "stubborn", STUBBORN)]], tmp_path / "logs", lambda _text: None)
    await supervised.start()
    await supervised.stop()
    assert supervised.pid("stubborn") is None


async def test_what_a_killed_part_left_behind_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(module, "ORPHANS_TIMEOUT_S", 0.2)
    stubborn_grandchild = (
        "import subprocess, sys, pathlib, time\n"
        "code = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'\n"
        "started = subprocess.Popen([sys.executable, '-c', code])\n"
        "with open({log!r}, 'a') as log: log.write(str(started.pid) + ' ')\n"
        "pathlib.Path({mark!r}).touch()\n"
        "time.sleep(60)"
    )
    told: list[str] = []
    supervised = Supervisor([[part(tmp_path, "server", stubborn_grandchild)]], tmp_path / "logs", told.append)
    await supervised.start()
    watching = asyncio.create_task(supervised.watch())
    killed = supervised.pid("server")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: "server runs again" in told)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await supervised.stop()
    first_grandchild = int((tmp_path / "ends").read_text().split()[0])
    await until(lambda: not is_running(first_grandchild))
