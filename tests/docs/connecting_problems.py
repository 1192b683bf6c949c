"""Writes the table of the guide that says what can be in the way of connecting, in the very words of the pages."""

from __future__ import annotations

from console.words import OWNERS
from qbwc_bridge import meeting, wrong_passwords
from qbxml.hresults import HRESULTS

MET = (
    "0x80040408",
    "0x80040416",
    "0x80040417",
    "0x80040414",
    "0x8004040A",
    "0x80040410",
    "0x80040418",
    "0x8004041A",
    "0x80040409",
    "0x8004041F",
)
"""What QuickBooks says most often when a company is connected."""
PASSWORD_STEP = "Enter the password in the Web Connector's list again; if it is lost, make a new one."  # noqa: S105
OWN = (
    (wrong_passwords.REFUSED_TEXT, "the Web Connector has an old or a mistyped password", PASSWORD_STEP),
    (
        wrong_passwords.TOO_MANY_TEXT,
        "nobody can sign in for a quarter of an hour, not even with the right password",
        f"{PASSWORD_STEP} Then wait 15 minutes before the next update.",
    ),
    ("Open ... in QuickBooks: now ... is open.", "another company file is open", meeting.WRONG_STEP),
    (
        "... is open, and it already belongs to another connection.",
        "the connection file was added while the wrong company file was open",
        meeting.TAKEN_STEP,
    ),
)


def table() -> str:
    """Give the table's lines."""
    lines = ["| the page says | it means | what to do |", "|---|---|---|"]
    lines += [_row(says, means, OWNERS["bookkeeper"], step) for says, means, step in OWN]
    for code in MET:
        entry = HRESULTS[code].entry
        lines.append(_row(entry.explanation, f"QuickBooks' code {code}", OWNERS[entry.owner], entry.next_step))
    return "\n".join(lines) + "\n"


def _row(says: str, means: str, turn: str, step: str) -> str:
    return f"| {says} | {means} | {turn}: {step} |"
