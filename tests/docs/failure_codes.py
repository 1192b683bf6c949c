"""Writes docs/failure-codes.md from the catalogue: every code of QuickBooks and of the Web Connector that we know."""

from __future__ import annotations

from pathlib import Path

from qbxml.hresults import HRESULTS
from qbxml.qbwc_codes import QBWC_CODES
from qbxml.status_codes import STATUS_BY_TEXT, STATUS_CODES, STATUS_RANGES
from qbxml.verdicts import Entry, Retry

PAGE = Path(__file__).parents[2] / "docs" / "failure-codes.md"
WHO = {"tms_user": "TMS user", "bookkeeper": "bookkeeper", "it": "IT", "us": "us"}
WHAT = {
    Retry.DONE: "nothing",
    Retry.RETRY_LATER: "tries again by itself; Failed only after many tries",
    Retry.NEVER: "Failed at once",
    Retry.UNKNOWN_OUTCOME: "asks and looks in QuickBooks before anything else",
    Retry.OUR_BUG_SPLIT: "sends the set in halves until the culprit stands alone",
    Retry.LOWER_VERSION: "writes an older version of qbXML",
}
HEAD = """# Codes of QuickBooks and the Web Connector

Written from the catalogue in `qbxml/`, from which the exports themselves take their words: do not edit it, run
`QBD_UPDATE_GOLDEN=1 ./qbd test tests/docs`. Codes of our own are in [operations.md](operations.md#failed).
"""


def page() -> str:
    """Give the whole page."""
    parts = [HEAD, _statuses(), _hresults(), _web_connector()]
    return "\n".join(parts)


def _statuses() -> str:
    rows = [(code, str(code), entry, "") for code, entry in STATUS_CODES.items()]
    rows += [(low, f"{low}-{high}", entry, "") for low, high, entry in STATUS_RANGES]
    for code, (phrases, otherwise) in STATUS_BY_TEXT.items():
        rows += [(code, str(code), entry, f"{phrase!r}") for phrase, entry in phrases]
        rows.append((code, str(code), otherwise, "any other text"))
    rows.sort(key=lambda row: row[0])
    lines = [
        "## Status codes inside an answer",
        "",
        "An export's `error.code` when QuickBooks refused the document.",
        "",
    ]
    lines += ["| code | means | whose turn, what to do | the export |", "|---|---|---|---|"]
    for _, code, entry, text in rows:
        shown = f"{code} ({text})" if text else code
        lines.append(_row(shown, entry))
    return "\n".join(lines) + "\n"


def _hresults() -> str:
    lines = ["## HRESULTs", "", "QuickBooks could not be reached, or broke off.", ""]
    lines += ["| code | means | whose turn, what to do | the export |", "|---|---|---|---|"]
    for code, known in HRESULTS.items():
        after = "; after a write it asks and looks first" if known.may_have_run else ""
        lines.append(_row(code, known.entry, after))
    return "\n".join(lines) + "\n"


def _web_connector() -> str:
    lines = ["## Codes of the Web Connector", "", "In its window and its log (`QWCLog.txt`) on the QuickBooks PC.", ""]
    lines += ["| code | means | whose turn, what to do |", "|---|---|---|"]
    for code, entry in sorted(QBWC_CODES.items()):
        lines.append(f"| QBWC{code} | {_cell(entry.cause)} | {WHO[entry.owner]}: {_cell(entry.next_step)} |")
    return "\n".join(lines) + "\n"


def _row(code: str, entry: Entry, after: str = "") -> str:
    turn = f"{WHO[entry.owner]}: {_cell(entry.next_step)}"
    return f"| {_cell(code)} | `{entry.cause}`: {_cell(entry.explanation)} | {turn} | {WHAT[entry.retry]}{after} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
