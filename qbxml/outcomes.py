"""The catalogue: every code of QuickBooks as a cause, a sentence, an owner, a next step and a rule for retrying.

The code decides first. Only 3140 and three codes that locks and refusals share are read from their text, because texts
are translated in non-US products (qbxml.md 6.2).
"""

from __future__ import annotations

import dataclasses
import re

from qbxml import invalid_references
from qbxml.hresults import HRESULTS
from qbxml.qbwc_codes import QBWC_CODES, QbwcCode
from qbxml.status_codes import ERROR_FROM, STATUS_BY_TEXT, STATUS_CODES, STATUS_RANGES
from qbxml.verdicts import Entry, Owner, Retry, Verdict

__all__ = ["QBWC_CODES", "Owner", "QbwcCode", "Retry", "Verdict", "classify_hresult", "classify_status"]

_HEX = re.compile(r"0x([0-9a-f]{1,8})|(?:&h)?([0-9a-f]{8})&?", re.IGNORECASE)
"""With the prefix of C or of Basic, or without one. Eight digits are never a decimal form: failures have ten there."""
_DECIMAL = re.compile(r"-?[0-9]{1,10}")

_LOOKS_FIRST = (
    "Before anything is sent again, the export asks QuickBooks whether the document is there, "
    "so that it is not entered twice."
)


def classify_status(code: int, severity: str, message: str) -> Verdict:
    """What one statusCode means. `message` is QuickBooks' own text."""
    if code in STATUS_BY_TEXT:
        phrases, otherwise = STATUS_BY_TEXT[code]
        text = message.lower()
        found = next((entry for phrase, entry in phrases if phrase in text), None)
        return found.verdict(str(code)) if found else _with_text(otherwise.verdict(str(code)), message)
    entry = STATUS_CODES.get(code) or next((e for low, high, e in STATUS_RANGES if low <= code <= high), None)
    if entry is None:
        return _unknown_status(code, severity, message)
    if code == invalid_references.CODE:
        entry = invalid_references.entry_of(invalid_references.read(message))
    return entry.verdict(str(code))


def classify_hresult(hresult: str, message: str, *, after_write: bool) -> Verdict:
    """What an HRESULT means; `after_write` says that a request that writes was on its way.

    When QuickBooks or the connection to it may have broken after the write, the outcome is unknown: it must be looked
    up and never be sent again blindly (web-connector.md 4.1).
    """
    code = normalise_hresult(hresult)
    known = HRESULTS.get(code)
    if known is None:
        verdict = _with_text(
            Verdict(
                code=code,
                cause="unknown_hresult",
                explanation="QuickBooks or the Web Connector reported an error that is not known here.",
                owner="bookkeeper",
                next_step="Read the message and clear its cause; if it is unclear, ask the people who run the export.",
                retry=Retry.NEVER,
            ),
            message,
        )
        return _unknown_outcome(verdict) if after_write else verdict
    verdict = known.entry.verdict(code)
    if verdict.cause in {"message_from_quickbooks", "exception_with_message"}:
        verdict = _with_text(verdict, message)
    return _unknown_outcome(verdict) if after_write and known.may_have_run else verdict


def normalise_hresult(hresult: str) -> str:
    """Give `0x8004040A` for any case, without its prefix, and for the decimal forms (-2147220470, 2147746826)."""
    text = hresult.strip()
    if match := _HEX.fullmatch(text):
        return f"0x{int(match[1] or match[2], 16):08X}"
    if _DECIMAL.fullmatch(text):
        return f"0x{int(text) & 0xFFFFFFFF:08X}"
    return text


def _unknown_status(code: int, severity: str, message: str) -> Verdict:
    if 0 <= code < 500 and severity != "Error":
        return Entry("info", "us", Retry.DONE, "QuickBooks did what was asked.", "Nothing to do.").verdict(str(code))
    verdict = _with_text(
        Verdict(
            code=str(code),
            cause="unknown_status",
            explanation="QuickBooks answered with a code that is not known here.",
            owner="bookkeeper",
            next_step="Read the message and clear its cause; if it is unclear, ask the people who run the export.",
            retry=Retry.NEVER,
        ),
        message,
    )
    # A warning usually comes with a saved document: stopping as if nothing had been written would invite a duplicate.
    # Only where the code and the severity agree that it is an error was nothing written for certain.
    return verdict if severity == "Error" and not 0 <= code < ERROR_FROM else _unknown_outcome(verdict)


def _with_text(verdict: Verdict, message: str) -> Verdict:
    text = " ".join(message.split())
    return dataclasses.replace(verdict, explanation=f"{verdict.explanation} Its message: {text}") if text else verdict


def _unknown_outcome(verdict: Verdict) -> Verdict:
    return dataclasses.replace(verdict, retry=Retry.UNKNOWN_OUTCOME, next_step=f"{verdict.next_step} {_LOOKS_FIRST}")
