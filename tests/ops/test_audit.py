"""What `qbd audit` makes of pip-audit's outputs: canned ones, because the real service may be out of reach."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.audit import judge

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
        (out(CLEAN, UNKNOWN), "", 0, 0, "not audited: lxml"),
        (
            out(CLEAN, VULNERABLE),
            "Found 1 known vulnerability",
            1,
            1,
            "jinja2 2.0 has PYSEC-2019-217; mended in 2.10.1",
        ),
        (out(UNKNOWN, VULNERABLE), "", 1, 1, "PYSEC-2019-217"),
        (out(VULNERABLE), "", 0, 1, "PYSEC-2019-217"),
        (out(UNKNOWN, UNKNOWN), "No known vulnerabilities found", 0, 0, "NOTHING WAS AUDITED"),
        (out(), "", 0, 0, "NOTHING WAS AUDITED"),
        ("", "ERROR: Could not connect to the vulnerability service", 1, 0, "NOTHING WAS AUDITED"),
        ("", "requests.exceptions.ReadTimeout: Read timed out.", 1, 0, "NOTHING WAS AUDITED"),
        ("", "ERROR: requirement lxml has no hash", 1, 2, "requirement lxml has no hash"),
        ("[]", "", 1, 2, "exit code 1"),
        ("not json", "", 0, 2, "it said nothing"),
        (out(CLEAN), "", 1, 2, "still ended with 1"),
    ],
)
def test_the_judgement(output: str, errors: str, ended: int, code: int, said: str) -> None:
    verdict = judge("requirements.txt", code=ended, output=output, errors=errors)
    assert verdict.code == code
    assert said in "\n".join(verdict.lines)


def test_ci_stops_at_an_audit_that_fails() -> None:
    """The step stands before the tests, in a shell that ends at the first failure; nothing softens it."""
    text = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in text
    steps = text.splitlines()
    assert steps.index("./qbd audit") < steps.index('exec ./qbd test "$@"')
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True, timeout=30)
