"""Status 3140 read closely: which entry QuickBooks means, and by its second sentence what is wrong with it.

The sentences are from public reports (qbxml.md 6.2); texts are translated in some products, so any may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from qbxml.verdicts import Entry, Retry

CODE = 3140
_REFERENCE = re.compile(r'reference to QuickBooks (?P<kind>.+?) "(?P<name>.*?)" in the (?P<place>[^.]+)\.')
_SECOND = re.compile(r"QuickBooks error message:\s*(?P<text>.+)", re.DOTALL)
_TYPE = re.compile(r"must be of type (?P<type>[^.]+)")
_QUOTED = re.compile(r'"([^"]*)"')
_LIST_ID = re.compile(r"[0-9A-F]{1,8}-[0-9]{1,10}", re.IGNORECASE)


class Why(StrEnum):
    """What is wrong with an entry."""

    GONE = "reference_gone"
    """It is not in the list; QuickBooks says the same of one that is inactive."""
    INACTIVE = "reference_inactive"
    WRONG_TYPE = "reference_type"
    CURRENCY = "reference_currency"
    UNSAID = "reference_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidReference:
    """What a message with the status 3140 says."""

    why: Why
    kind: str = ""
    """As QuickBooks calls the list: `AR Account`, `Customer`, `InvoiceLine SalesTaxCode`; empty: not told."""
    name: str = ""
    """The full name or the ListID that was sent, whichever QuickBooks went by."""
    place: str = ""
    wanted_type: str = ""
    second: str = ""
    """The sentence behind "QuickBooks error message:"."""

    @property
    def list_id(self) -> str | None:
        """Give the name if it is a ListID, which says nothing to a person."""
        return self.name if _LIST_ID.fullmatch(self.name) else None


def read(message: str) -> InvalidReference:
    """Read QuickBooks' own text; what cannot be told stays empty."""
    named, second = _REFERENCE.search(message), _SECOND.search(message)
    text = " ".join(second["text"].split()) if second else ""
    wanted = _TYPE.search(text)
    return InvalidReference(
        why=_why(text.casefold()),
        kind=named["kind"] if named else "",
        name=named["name"] if named else "",
        place=named["place"] if named else "",
        wanted_type=wanted["type"] if wanted else "",
        second=text,
    )


def list_ids(message: str) -> list[str]:
    """Give the ListIDs that stand in quotes in a message of any status."""
    return [text for text in _QUOTED.findall(message) if _LIST_ID.fullmatch(text)]


def _why(text: str) -> Why:
    if "currency" in text:
        return Why.CURRENCY
    if "must be of type" in text or "wrong type" in text:
        return Why.WRONG_TYPE
    if "inactive" in text or "not active" in text:
        return Why.INACTIVE
    return Why.GONE if "does not exist" in text else Why.UNSAID


def entry_of(found: InvalidReference) -> Entry:
    """Give what a person is told."""
    what = f'the {found.kind} "{found.name}" in the {found.place}' if found.kind else "an entry that the document names"
    said, next_step = _words(found)
    return Entry(found.why, "bookkeeper", Retry.NEVER, f"QuickBooks cannot use {what}: {said}", next_step)


def _words(found: InvalidReference) -> tuple[str, str]:
    again = "then export the document again."
    match found.why:
        case Why.GONE:
            return (
                "it was deleted, merged or renamed there, or is inactive.",
                "The lists are read again in the next session. Choose another entry in the mapping, or make it active "
                f"in QuickBooks; {again}",
            )
        case Why.INACTIVE:
            return "it is inactive.", f"Make it active in QuickBooks, or choose another entry in the mapping; {again}"
        case Why.WRONG_TYPE:
            wanted = f" of the type {found.wanted_type}" if found.wanted_type else " of another type"
            return f"an entry{wanted} is needed there.", f"Choose an entry{wanted} in the mapping; {again}"
        case Why.CURRENCY:
            return (
                "its currency is neither that of the company nor that of the document.",
                "Choose an account in the currency of the customer or vendor in the mapping, or link the customer or "
                f"vendor to an entry in that currency; {again}",
            )
    rest = f" Its message: {found.second}" if found.second else ""
    return (
        f"it does not exist, is inactive or has the wrong type.{rest}",
        "Make the entry active in QuickBooks, or refresh the lists and choose another one in the mapping; " + again,
    )
