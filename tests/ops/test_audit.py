"""What `qbd audit` makes of pip-audit's outputs: canned ones, because the real service may be out of reach."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.audit import Verdict, judge, together

ROOT = Path(__file__).parents[2]
CLEAN = {"name": "anyio", "version": "4.16.0", "vulns": []}
UNKNOWN = {"name": "lxml", "skip_reason": "Dependency not found on PyPI and could not be audited: lxml (6.1.3)"}
VULNERABLE = {
    "name": "jinja2",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"], "aliases": [], "description": "sandbox escape"}],
}


def out(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


@pytest.mark.parametrize(
    ("output", "errors", "ended", "code", "said"),
    [
        (out(CLEAN), "No known vulnerabilities found", 0, 0, "no known vulnerability in 1 packages"),
        (out(CLEAN, UNKNOWN), "", 0, 0, "not checked: lxml"),
        (
            out(CLEAN, VULNERABLE),
            "Found 1 known vulnerability",
            1,
            1,
            "jinja2 2.0 has PYSEC-2019-217; fixed in 2.10.1",
        ),
        (out(UNKNOWN, VULNERABLE), "", 1, 1, "PYSEC-2019-217"),
        (out(VULNERABLE), "", 0, 1, "PYSEC-2019-217"),
        (out(UNKNOWN, UNKNOWN), "No known vulnerabilities found", 0, 3, "NOTHING WAS CHECKED"),
        (out(), "", 0, 3, "NOTHING WAS CHECKED"),
        ("", "ERROR: Could not connect to the vulnerability service", 1, 3, "NOTHING WAS CHECKED"),
        ("", "requests.exceptions.ReadTimeout: Read timed out.", 1, 3, "NOTHING WAS CHECKED"),
        ("", "503 Server Error: Service Unavailable", 1, 3, "NOTHING WAS CHECKED"),
        ("", "ERROR: requirement lxml has no hash", 1, 2, "requirement lxml has no hash"),
        ("", "ERROR: bad line --hash=sha256:1503ab5029", 1, 2, "bad line"),
        ("[]", "", 1, 2, "exit code 1"),
        ("not json", "", 0, 2, "it said nothing"),
        (out(CLEAN), "", 1, 2, "still ended with 1"),
    ],
)
def test_the_judgement(output: str, errors: str, ended: int, code: int, said: str) -> None:
    verdict = judge("requirements.txt", code=ended, output=output, errors=errors)
    assert verdict.code == code
    assert said in "\n".join(verdict.lines)


@pytest.mark.parametrize(
    ("codes", "code"),
    [((0, 0), 0), ((0, 3), 3), ((3, 3), 3), ((3, 2), 2), ((2, 1), 1), ((3, 1), 1), ((1, 0), 1)],
)
def test_the_worst_file_decides(codes: tuple[int, int], code: int) -> None:
    """A known vulnerability outweighs all; a file that was not checked is never hidden by one that was."""
    verdict = together([Verdict(code=one, lines=[f"file {one}"]) for one in codes])
    assert verdict.code == code
    assert ("not done" in verdict.lines[-1]) is (code == 3)


@pytest.mark.parametrize(
    ("audit_ends", "ci_ends", "is_tested", "is_warned"),
    [(0, 0, True, False), (1, 1, False, False), (2, 2, False, False), (3, 0, True, True)],
)
def test_ci_stops_at_an_audit_that_fails(
    tmp_path: Path, audit_ends: int, ci_ends: int, is_tested: bool, is_warned: bool
) -> None:
    """The real script with a `qbd` that ends as told: it stops, goes on, or goes on and says what was not done."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    programs = tmp_path / "programs"
    for path, text in (
        (tmp_path / ".venv" / "bin" / "python", ""),
        (programs / "apt-get", ""),
        (tmp_path / "qbd", f'echo "$*" >>calls; [ "$1" = test ] || exit {audit_ends}'),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    done = subprocess.run(
        ["bash", str(tmp_path / ".ci" / "run"), "-x"],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == ci_ends, done.stderr
    assert (tmp_path / "calls").read_text().splitlines() == ["audit", *(["test -x"] if is_tested else [])]
    assert ("NOT checked" in done.stderr) is is_warned
