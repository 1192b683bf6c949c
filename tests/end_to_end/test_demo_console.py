"""`./qbd demo --console` as people use it: links, a browser, an export that becomes Successful, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import NewWindow, browser, window

__all__ = ["browser", "window"]
ROOT = Path(__file__).parents[2]
CALLS_WITHIN_MS = 60_000
"""The simulated PC calls every ten seconds; an export needs one session, and a slow machine more time for it."""


def _until(demo: subprocess.Popen[str], wanted: str) -> re.Match[str]:
    assert demo.stdout is not None
    seen = []
    for line in demo.stdout:
        seen.append(line)
        if found := re.search(wanted, line):
            return found
    raise AssertionError("".join(seen))


def _next_link(demo: subprocess.Popen[str]) -> str:
    return _until(demo, r"http://localhost:\d+/link/\S+")[0]


def _parents() -> dict[int, int]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command between the brackets may hold anything, brackets too.
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended meanwhile
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def _descendants(pid: int) -> set[int]:
    parents = _parents()
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


@contextmanager
def _demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("QBD_", "TEMPORAL_"))}
    demo = subprocess.Popen(
        [ROOT / "qbd", "demo", "--console"],
        cwd=folder,
        env={**environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield demo
    finally:
        demo.kill()
        demo.communicate()


def _open(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("heading", name="Invoices and carrier bills")).to_be_visible()
    assert page.url.endswith("/c/ridgeline/documents")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_console_is_alive_in_a_minute(tmp_path: Path, window: NewWindow) -> None:
    """The link shows the documents, an export becomes Successful before one's eyes, the end leaves nothing behind."""
    with _demo(tmp_path) as demo:
        key = _until(demo, r"For staff, the key: (\S+)")[1]
        link = _next_link(demo)
        origin = link.partition("/link/")[0]
        one = window()
        page = one.page
        _open(page, link)
        rows = page.locator("tr[id^=row-]")
        expect(rows).to_have_count(33)
        for status in ("Not exported", "Successful"):
            number = page.locator(".status", has_text=status).locator(".badge")
            assert int(number.inner_text()) > 0, status
        one.axe()
        row = page.locator(f"#{rows.filter(has_text='Ready to export').first.get_attribute('id')}")
        page.evaluate("window.notReloaded = true")
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="Export to QuickBooks Desktop").click()
        expect(page.get_by_role("main").get_by_text("1 export started.")).to_be_visible()
        expect(row.get_by_text("Successful", exact=True)).to_be_visible(timeout=CALLS_WITHIN_MS)
        assert page.evaluate("window.notReloaded"), "the page was loaded anew"
        row.get_by_role("link").click()
        expect(page.locator("#txn-id")).to_have_text(re.compile(r"^[0-9A-F]+-\d+$"))
        document = page.url

        assert demo.stdin is not None
        demo.stdin.write("\n")
        demo.stdin.flush()
        again = _next_link(demo)
        assert again != link
        bookkeeper = window("narrow").page
        _open(bookkeeper, again)
        used = window("narrow").page.request  # as a third person who was sent the same link
        assert used.get(again).status == used.get(link).status == 410

        staff = window().page
        staff.goto(f"{origin}/sign-in")
        staff.get_by_label("API key").fill(key)
        staff.get_by_role("button", name="Sign in").click()
        expect(staff.get_by_role("row").filter(has_text="Ridgeline Freight LLC")).to_be_visible()
        staff.goto(document)
        staff.locator("summary").filter(has_text="Request").click()
        expect(staff.locator("pre.exchange").last).to_contain_text("AddRs")

        for each in (page, bookkeeper, staff):
            each.close()  # what they ask for would be refused from here on
        started = _descendants(demo.pid)
        assert len(started) >= 4, "Temporal, worker, bridge and API"
        os.killpg(demo.pid, signal.SIGINT)  # what a terminal sends at Ctrl-C: to everybody in the foreground
        assert demo.wait(60) == 0
        assert not started & set(_parents())
    assert not list(tmp_path.iterdir())
