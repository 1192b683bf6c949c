"""`qbd audit`: asks for known vulnerabilities of the pinned requirements, and says plainly when nobody could be asked.

It fails on a known vulnerability, on an audit that went wrong by itself, and with a code of its own when the service
that knows them could not be asked: then nothing was checked, which is no good news. No list of advisories is
kept here: an old one would only say that all is well.
"""

from __future__ import annotations

import json
import re
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
NOT_ASKED = 3
_WORST_FIRST = (FOUND, BROKEN, NOT_ASKED, 0)
_UNREACHABLE = re.compile(r"connect|timed out|timeout|name resolution|unreachable|proxy|\b50[234]\b", re.IGNORECASE)
"""Words of pip-audit's errors that mean the network or the service."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to say and the exit code.

    0: each file was checked and nothing is known; 1: something is known; 2: the audit itself went wrong; 3: nothing is
    known of what was checked, and of at least one file nothing was checked, because the service could not be asked.
    """

    code: int
    lines: Sequence[str]


def judge(name: str, *, code: int, output: str, errors: str) -> Verdict:
    """Judge pip-audit's JSON output for one file; `code` is its exit code."""
    try:
        found = json.loads(output)["dependencies"]
        assert isinstance(found, list)  # noqa: S101 a wrong shape is the same as no JSON
    except (ValueError, KeyError, TypeError, AssertionError):
        last = next((line for line in reversed(errors.splitlines()) if line.strip()), "it said nothing")[:300]
        if _UNREACHABLE.search(errors):
            return Verdict(code=NOT_ASKED, lines=[f"{name}: NOTHING WAS CHECKED: the service did not answer: {last}"])
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
        return Verdict(
            code=NOT_ASKED, lines=[f"{name}: NOTHING WAS CHECKED: the service knows none of {len(found)} packages{why}"]
        )
    lines = [f"{name}: no known vulnerability in {audited} packages."]
    if unknown:
        lines.append(f"{name}: not checked: {', '.join(str(one['name']) for one in unknown)}")
    return Verdict(code=0, lines=lines)


def run_audit(project: Path) -> Verdict:
    """Audit every file of requirements; each with its hashes, nothing is resolved or installed."""
    verdicts = [_audit(project, name) for name in REQUIREMENTS]
    return together(verdicts)


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Give one verdict for several files: the worst code, and a last line when it could be taken for good news."""
    lines = [line for one in verdicts for line in one.lines]
    code = next(code for code in _WORST_FIRST if any(one.code == code for one in verdicts))
    if code == NOT_ASKED:
        lines.append(f"The audit is not done (exit code {NOT_ASKED}). Run it again where its service can be reached.")
    return Verdict(code=code, lines=lines)


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
    return f"{name}: {package.get('name')} {package.get('version')} has {vuln.get('id')}; fixed in {fixed}"
