"""Lines that a person pasted from a spreadsheet, read into entries of a mapping: pure text, nothing is looked up here.

A charge has `code, item on invoices, item or account on carrier bills`; the other sections `code or id, name in
QuickBooks`. Columns are parted by tabs (as Excel copies them), semicolons or commas; texts may be quoted.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field

from mapping.places import Place, places_of

LINES_MAX = 5_000
KEY_MAX = 100
"""As the address of an entry in the API takes it."""
_HEADINGS = frozenset({"code", "id", "charge", "customer", "carrier", "terms", "class", "key", "tms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastedLine:
    """One line: what it says, or why it says nothing."""

    number: int
    """As a text editor counts it, from 1."""
    key: str
    names: dict[str, str] = field(default_factory=dict)
    """The name in QuickBooks (or a ListID) by the id of its place."""
    error: str = ""


def read_pasted(section: str, text: str) -> list[PastedLine]:
    """Read pasted lines; empty ones and a line of headings are left out. At most `LINES_MAX` lines are read."""
    places = places_of(section)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    delimiter = _delimiter(lines)
    found: list[PastedLine] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[:LINES_MAX], start=1):
        if not line.strip():
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
        except csv.Error:
            found.append(_wrong(number, "", "A quotation mark is open: close it, or write it twice inside a text."))
            continue
        if not found and not seen and _is_heading(cells):
            continue
        one = _line(number, cells, places)
        if not one.error and one.key in seen:
            one = _wrong(number, one.key, f"{one.key} stands in line {seen[one.key]} already; keep one of the two.")
        seen.setdefault(one.key, number)
        found.append(one)
    return found


def _line(number: int, cells: list[str], places: list[Place]) -> PastedLine:
    key = cells[0]
    while cells and not cells[-1]:
        cells.pop()
    if not key or len(key) > KEY_MAX or any(ord(char) < 32 for char in key):
        return _wrong(
            number, key[:KEY_MAX], f"The first column must hold a code or id of at most {KEY_MAX} characters."
        )
    if len(cells) < 2:
        return _wrong(number, key, "The name in QuickBooks is missing: put it into the second column.")
    if len(cells) > len(places) + 1:
        wanted = len(places) + 1
        return _wrong(number, key, f"It has {len(cells)} columns where {wanted} are known; quote a name with commas.")
    names = {place.id: cell for place, cell in zip(places, cells[1:], strict=False) if cell}
    return PastedLine(number=number, key=key, names=names)


def _wrong(number: int, key: str, error: str) -> PastedLine:
    return PastedLine(number=number, key=key, error=error)


def _delimiter(lines: list[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    return next((one for one in ("\t", ";") if one in first), ",")


def _is_heading(cells: list[str]) -> bool:
    if len(cells) < 2:
        return False
    second = cells[1].casefold()
    is_named = cells[0].casefold() in _HEADINGS and second in ("name", "item", "invoice", "target", "full_name")
    return is_named or "quickbooks" in second
