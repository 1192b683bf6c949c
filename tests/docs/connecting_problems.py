"""Writes the table of the guide that says what can be in the way of connecting, in the very words of the pages."""

from __future__ import annotations

from console.words import OWNERS
from qbwc_bridge import meeting, wrong_passwords
from qbwc_bridge.guard import Binding, Code, OpenFile, judge_file, moved_text
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
    "0x80040423",
)
"""What QuickBooks says most often when a company is connected."""
_YOURS = Binding(file_id="1", company_name="Your Company", company_file="its file")
_NEW = Binding(file_id="1", company_name=None, company_file=None)
_OTHER = OpenFile(file_id="2", company_name="Another Company", company_file="its file")
_TAKEN = OpenFile(file_id="1", company_name="Another Company", company_file="its file", is_taken=True)
_FIRST = Binding(file_id="1", company_name=None, company_file=None, confirms_first=True)
_HERE = OpenFile(file_id="1", company_name="Your Company", company_file="its file")
_COPY = OpenFile(file_id="1", company_name="Your Company", company_file="another place")
OWN = (
    (wrong_passwords.REFUSED_TEXT, "the Web Connector has an old or a mistyped password", wrong_passwords.STEP),
    (
        wrong_passwords.TOO_MANY_TEXT,
        "nobody can sign in for a quarter of an hour, not even with the right password",
        wrong_passwords.WAIT_STEP,
    ),
    (judge_file(_YOURS, _OTHER).text, "another company file is open", meeting.NEXT_STEPS[Code.WRONG]),
    (
        judge_file(_NEW, _TAKEN).text,
        "the connection file was added while the wrong company file was open",
        meeting.NEXT_STEPS[Code.TAKEN],
    ),
    (
        judge_file(_FIRST, _HERE).text,
        "the first contact: you are asked whether this is your company file",
        meeting.NEXT_STEPS[Code.UNCONFIRMED],
    ),
    (
        moved_text("its old place", _COPY),
        "a copy of the company file is open, or an older state of it was put back at another place",
        meeting.NEXT_STEPS[Code.MOVED],
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
