"""`qbd audit`: asks for known vulnerabilities of the pinned requirements, and says plainly when nobody could be asked.

It fails on a known vulnerability, and on an audit that went wrong by itself. A vulnerability service that cannot be
reached is no finding. No list of advisories is kept here: an old one would only say that all is well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
TIMEOUT_S = 600
FOUND = 1
BROKEN = 2
_UNREACHABLE = (
    "connection",
    "connect",
    "timed out",
    "timeout",
    "name resolution",
    "unreachable",
    "proxy",
    "503",
    "502",
)
"""Words of pip-audit's errors that mean the network or the service."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to say and the exit code: 0 nothing known, 1 something known, 2 the audit itself went wrong."""

    code: int
    lines: Sequence[str]


def judge(name: str, *, code: int, output: str, errors: str) -> Verdict:
    """Judge pip-audit's JSON output for one file; `code` is its exit code."""
    try:
        found = json.loads(output)["dependencies"]
        assert isinstance(found, list)  # noqa: S101 a wrong shape is the same as no JSON
    except (ValueError, KeyError, TypeError, AssertionError):
        last = next((line for line in reversed(errors.splitlines()) if line.strip()), "it said nothing")[:300]
        if any(word in errors.lower() for word in _UNREACHABLE):
            return Verdict(code=0, lines=[f"{name}: NOTHING WAS AUDITED, the service could not be reached: {last}"])
        return Verdict(code=BROKEN, lines=[f"{name}: pip-audit failed with exit code {code}: {last}"])
    vulnerable = [one for one in found if one.get("vulns")]
    if vulnerable:
        return Verdict(code=FOUND, lines=[_line(name, one, vuln) for one in vulnerable for vuln in one["vulns"]])
    if code:
        return Verdict(code=BROKEN, lines=[f"{name}: pip-audit found nothing and still ended with {code}."])
    unknown = [one for one in found if one.get("skip_reason")]
    audited = len(found) - len(unknown)
    if not audited:
        why = f": {unknown[0]['skip_reason']}" if unknown else ""
        return Verdict(code=0, lines=[f"{name}: NOTHING WAS AUDITED, the service knows none of {len(found)}{why}"])
    lines = [f"{name}: no known vulnerability in {audited} packages."]
    if unknown:
        lines.append(f"{name}: not audited: {', '.join(str(one['name']) for one in unknown)}")
    return Verdict(code=0, lines=lines)


def run_audit(project: Path) -> Verdict:
    """Audit every file of requirements; each with its hashes, nothing is resolved or installed."""
    verdicts = [_audit(project, name) for name in REQUIREMENTS]
    return Verdict(code=max(one.code for one in verdicts), lines=[line for one in verdicts for line in one.lines])


def _audit(project: Path, name: str) -> Verdict:
    command = [sys.executable, "-m", "pip_audit", "--requirement", name, "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(  # noqa: S603 our own interpreter
            command, cwd=project, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return judge(name, code=BROKEN, output="", errors="timed out")
    return judge(name, code=done.returncode, output=done.stdout, errors=done.stderr)


def _line(name: str, package: dict[str, Any], vuln: dict[str, Any]) -> str:
    fixed = ", ".join(vuln.get("fix_versions") or []) or "no version yet"
    return f"{name}: {package.get('name')} {package.get('version')} has {vuln.get('id')}; mended in {fixed}"
