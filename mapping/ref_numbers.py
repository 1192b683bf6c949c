"""Numbers of documents, fitted into the few characters that a QuickBooks RefNumber holds.

The same number is always fitted the same way as long as the same numbers are taken, so that repeating an export
never invents another one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from mapping.issues import Change
from mapping.rules import RefNumberRule
from qbxml.text import clean_text

INVOICE_LENGTH = 11
BILL_LENGTH = 20

_PREFIX = re.compile(r"^[^0-9]+(?=[0-9])")
_LEADING_ZEROS = re.compile(r"^0+(?=[^0])")
_SEPARATORS = " -_/.#"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHORT_CHECKS = ((2, 8), (4, 8))
_LONG_CHECKS = 1000

Taken = Callable[[str], bool] | Collection[str]


class NumberRefusedError(ValueError):
    """The company's rule forbids to shorten the number."""


class NumbersExhaustedError(RuntimeError):
    """Every candidate was taken: whoever answers `taken` is mistaken."""


@dataclass(frozen=True, slots=True)
class FittedNumber:
    """A RefNumber, with what was changed to make it fit."""

    text: str
    change: Change | None


def fit_ref_number(
    number: str, max_length: int, taken: Taken, rule: RefNumberRule = RefNumberRule.KEEP_END
) -> FittedNumber:
    """Fit a number; one that fits is used as it is, any other never becomes a number that is taken.

    Raises:
        NumberRefusedError: the rule is to refuse, and the number does not fit.
        NumbersExhaustedError: a thousand candidates were all taken.
    """
    cleaned = clean_text(number)
    if cleaned.text == number and 0 < len(number) <= max_length:
        return FittedNumber(number, None)
    if rule is RefNumberRule.REFUSE:
        raise NumberRefusedError(f"The number {number} does not fit into {max_length} characters.")
    for attempt, candidate in enumerate(_candidates(number, cleaned.text, max_length, rule)):
        if not is_taken(candidate, taken):
            return FittedNumber(candidate, _change(number, candidate, max_length, first_choice=attempt == 0))
    raise NumbersExhaustedError(f"No number of at most {max_length} characters is free for {number}.")


def is_taken(number: str, taken: Taken) -> bool:
    """Say whether a number is in use. QuickBooks compares numbers without regard to case, and so do people."""
    if callable(taken):
        return taken(number)
    return number.casefold() in {text.casefold() for text in taken}


def _candidates(number: str, cleaned: str, max_length: int, rule: RefNumberRule) -> Iterator[str]:
    # A number of nothing but characters that QuickBooks cannot hold still gets a number of its own, made of checks.
    keep_end = rule is RefNumberRule.KEEP_END
    base = _shortest(cleaned, max_length) if keep_end else cleaned.strip(_SEPARATORS)
    if 0 < len(base) <= max_length:
        yield base
    elif base:
        yield base[-max_length:].lstrip(_SEPARATORS) if keep_end else base[:max_length].rstrip(_SEPARATORS)
    for length, attempts in _SHORT_CHECKS:
        room = max_length - length - 1
        if room < 1 or not base:
            continue
        # The end tells neighbours apart under KEEP_END; the check says that something is missing.
        kept = base[-room:].lstrip(_SEPARATORS) if keep_end else base[:room].rstrip(_SEPARATORS)
        for attempt in range(attempts):
            yield f"{kept}-{_check(number, attempt, length)}"
    for attempt in range(_LONG_CHECKS):
        yield _check(number, attempt, max_length)


def _shortest(text: str, max_length: int) -> str:
    # One step at a time: a number that already fits without its prefix keeps its zeros.
    for pattern in (_PREFIX, _LEADING_ZEROS):
        if len(text) > max_length:
            text = pattern.sub("", text)
    return text.strip(_SEPARATORS)


def _check(number: str, attempt: int, length: int) -> str:
    digest = hashlib.sha256(f"{attempt}/{number}".encode()).digest()
    rest = int.from_bytes(digest, "big")
    text = ""
    for _ in range(length):
        rest, digit = divmod(rest, len(_DIGITS))
        text += _DIGITS[digit]
    return text


def _change(number: str, fitted: str, max_length: int, *, first_choice: bool) -> Change:
    if len(number) <= max_length:
        reason = "QuickBooks cannot hold some characters of the number"
    else:
        reason = f"QuickBooks holds at most {max_length} characters here"
    if not first_choice:
        reason += ", and the shorter number is taken"
    reason += "; the full number is in the memo."
    return Change(path="number", field="RefNumber", before=number, after=fitted, reason=reason)
