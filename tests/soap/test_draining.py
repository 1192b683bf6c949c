"""SIGTERM to a bridge that serves: not ready first, then closed to new calls, and no call under way is cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soap.server_process import ROOT, Server, envelope, free_port

SLOW = envelope("<clientVersion><strVersion>wait</strVersion></clientVersion>")
QUICK = envelope("<serverVersion/>")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_open(server: Server) -> bool:
    try:
        return server.request("GET", "/healthz").status == 200
    except OSError:
        return False


@pytest.fixture
def draining(tmp_path: Path) -> Server:
    return Server(free_port(), tmp_path / "calls.jsonl", tmp_path / "log.txt")


def serving(draining: Server, go: Path, *, drain_s: int) -> subprocess.Popen[bytes]:
    script = (
        "from ops.http_server import serve_wsgi\nfrom ops.settings import load_settings\n"
        "from tests.soap.fake_service import app\n"
        f"serve_wsgi(app(), load_settings({{'QBD_DRAIN_S': '{drain_s}'}}), port={draining.port})"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "FAKE_NOTEBOOK": str(draining.notebook), "FAKE_WAIT": str(go)}
    command = [sys.executable, "-c", script]
    with draining.log.open("ab") as sink:
        return subprocess.Popen(command, env=environ, stdout=sink, stderr=subprocess.STDOUT)


def test_a_second_signal_waits_for_nothing_but_calls_under_way(draining: Server, tmp_path: Path) -> None:
    """Whoever asks twice does not want to drain; the call under way gets its answer all the same."""
    go = tmp_path / "go"
    process = serving(draining, go, drain_s=20)
    answers: list[int] = []
    call = threading.Thread(target=lambda: answers.append(draining.post(SLOW).status))
    try:
        wait_for(lambda: is_open(draining), draining.log.read_text())
        call.start()
        wait_for(lambda: ["client_version", "wait"] in draining.calls(), "the slow call has begun")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: draining.request("GET", "/readyz").status == 503, "not ready any more")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_open(draining), "nobody is let in any more")
        go.touch()
        assert process.wait(30) == 0
        call.join(20)
        assert answers == [200]
    finally:
        go.touch()
        process.kill()
        process.wait(20)


def test_a_bridge_that_is_told_to_end_finishes_what_it_has(draining: Server, tmp_path: Path) -> None:
    """Not ready, yet serving; after that closed to new calls, and the one under way gets its answer."""
    go = tmp_path / "go"
    process = serving(draining, go, drain_s=15)
    answers: list[int] = []
    call = threading.Thread(target=lambda: answers.append(draining.post(SLOW).status))
    try:
        wait_for(lambda: is_open(draining), draining.log.read_text())
        assert draining.request("GET", "/readyz").status == 200
        call.start()
        wait_for(lambda: ["client_version", "wait"] in draining.calls(), "the slow call has begun")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: draining.request("GET", "/readyz").status == 503, "not ready any more")
        assert draining.post(QUICK).status == 200
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not is_open(draining), "nobody is let in any more")
        assert process.poll() is None
        assert not answers
        go.touch()
        assert process.wait(20) == 0
        call.join(20)
        assert answers == [200]
    finally:
        go.touch()
        process.terminate()
        process.wait(20)
