"""`./qbd demo --console` as a person uses it: a link, one click, a fresh link, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


def _next_link(demo: subprocess.Popen[str]) -> str:
    assert demo.stdout is not None
    seen = []
    for line in demo.stdout:
        seen.append(line)
        if found := re.search(r"http://localhost:\d+/link/\S+", line):
            return found[0]
    raise AssertionError("".join(seen))


@pytest.mark.long
@pytest.mark.timeout(240)
def test_the_console_is_alive_in_a_minute(tmp_path: Path) -> None:
    """The link signs in once, Enter gives another, QuickBooks calls on, and the end leaves nothing behind."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("QBD_", "TEMPORAL_"))}
    demo = subprocess.Popen(
        [sys.executable, "-m", "ops", "demo", "--console"],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        link = _next_link(demo)
        with httpx.Client(trust_env=False, follow_redirects=True) as browser:
            page = browser.get(link)
            token = re.search(r'name="form_token" value="([0-9a-f]+)"', page.text)
            assert token is not None
            origin = link.partition("/link/")[0]
            data = {"form_token": token[1], "token": link.rpartition("/")[2]}
            signed_in = browser.post(f"{origin}/link", data=data, headers={"Origin": origin})
            assert signed_in.status_code in (200, 404), signed_in.text
            assert "Ridgeline Freight LLC" in browser.get(f"{origin}/c/ridgeline/connection").text
        assert demo.stdin is not None
        demo.stdin.write("\n")
        demo.stdin.flush()
        assert _next_link(demo) != link
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
        demo.communicate()
    assert not list(tmp_path.iterdir())
