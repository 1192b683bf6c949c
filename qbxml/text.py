"""Text that QuickBooks can keep (qbxml.md 5.5): one rule for every name, number, memo and description."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from anyascii import anyascii

# QuickBooks stores Windows-1252. These characters are in it or near it, but are the ones that installed combinations
# refuse most often, and a person reading the invoice does not miss them.
_PUNCTUATION = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    "\u2026": "...",
}
_SPACES = re.compile(r"[^\S\n]+")  # every kind of white space except the line break, the no-break spaces included
_LINE_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_BLANK_LINES = re.compile(r"\n{2,}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})  # controls, zero-width and formatting characters, lone surrogates

PUNCTUATION = "Typographic quotes, dashes or dots were written in plain characters."
SPACES = "Extra spaces or line breaks were removed."
INVISIBLE = "Invisible characters were removed."
TRANSLITERATED = "QuickBooks cannot keep some characters; they were written in plain letters: "
SHORTENED = "The text was shortened from {before} to {after} characters."


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text ready for QuickBooks, and one plain sentence for each kind of change made on the way."""

    text: str
    reasons: list[str]


def clean_text(text: str, max_length: int | None = None, *, single_line: bool = True) -> CleanText:
    """Bring a text into the form that QuickBooks keeps.

    The result is always encodable in Windows-1252, has no control characters except line breaks (none with
    `single_line`), is at most `max_length` characters long, and cleaning it again changes nothing. Names and document
    numbers must not be shortened silently (qbxml.md 5.5): pass no `max_length` for them and check the length instead.
    """
    if max_length is not None and max_length < 1:
        raise ValueError("max_length must be at least 1")
    reasons: list[str] = []
    composed = unicodedata.normalize("NFC", text)
    broken = _LINE_BREAKS.sub("\n", composed)
    # Tabs are controls and would vanish below, gluing two words together.
    spaced = _collapse(broken, single_line=single_line)

    plain = "".join(_PUNCTUATION.get(char, char) for char in spaced)
    visible = "".join(char for char in plain if char == "\n" or unicodedata.category(char) not in _INVISIBLE)
    replaced = sorted({char for char in visible if not _in_windows_1252(char)})
    known = "".join(char if _in_windows_1252(char) else anyascii(char) for char in visible)
    # Removing or spelling out characters can leave new double spaces.
    result = _collapse(known, single_line=single_line)

    if spaced != broken or (result != known):
        reasons.append(SPACES)
    if plain != spaced:
        reasons.append(PUNCTUATION)
    if visible != plain:
        reasons.append(INVISIBLE)
    if replaced:
        reasons.append(TRANSLITERATED + " ".join(replaced))
    if max_length is not None and len(result) > max_length:
        before, result = len(result), result[:max_length].rstrip()
        reasons.append(SHORTENED.format(before=before, after=len(result)))
    return CleanText(text=result, reasons=reasons)


def to_ascii_xml(xml_text: str) -> str:
    """Replace every character above 127 by its decimal reference.

    Raw UTF-8 is refused by several installed combinations of QuickBooks and Web Connector; decimal references work
    everywhere (qbxml.md 5.5). Only for finished XML whose element names are ASCII.
    """
    return xml_text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _collapse(text: str, *, single_line: bool) -> str:
    if single_line:
        return " ".join(text.split())
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n", "\n".join(lines)).strip("\n")


def _in_windows_1252(char: str) -> bool:
    try:
        char.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
