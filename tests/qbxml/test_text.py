from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from qbxml import text as texts
from qbxml.text import clean_text, to_ascii_xml

ANY_TEXT = st.text(
    alphabet=st.one_of(st.characters(exclude_categories=[]), st.sampled_from("\t\r\n \u00a0\u200d\u0301éŁ“—"))
)
LENGTHS = st.none() | st.integers(min_value=1, max_value=60)


@given(ANY_TEXT, LENGTHS, st.booleans())
def test_result_fits_quickbooks_and_stays_as_it_is(raw: str, max_length: int | None, single_line: bool) -> None:
    cleaned = clean_text(raw, max_length, single_line=single_line)
    cleaned.text.encode("cp1252")
    assert unicodedata.is_normalized("NFC", cleaned.text)
    assert max_length is None or len(cleaned.text) <= max_length
    assert cleaned.text == cleaned.text.strip()
    assert not any(unicodedata.category(char) == "Cc" and char != "\n" for char in cleaned.text)
    assert not (single_line and "\n" in cleaned.text)
    again = clean_text(cleaned.text, max_length, single_line=single_line)
    assert (again.text, again.reasons) == (cleaned.text, [])


@given(ANY_TEXT, LENGTHS)
def test_every_visible_change_has_a_reason(raw: str, max_length: int | None) -> None:
    cleaned = clean_text(raw, max_length)
    if unicodedata.normalize("NFC", raw) != cleaned.text:
        assert cleaned.reasons


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Plain text", "Plain text"),
        ("Cafe\u0301", "Café"),
        ("\u201cDock\u201d \u2013 it\u2019s 5\u2026", '"Dock" - it\'s 5...'),
        ("a\u00a0b\u2009c", "a b c"),
        ("a\x00b\u200bc\u00add", "abcd"),
        (" two\t lines \r\n here ", "two lines here"),
        ("Łódź", "Lódz"),
        ("Straße €5", "Straße €5"),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_single_cases(raw: str, expected: str) -> None:
    assert clean_text(raw).text == expected


def test_line_breaks_stay_where_asked() -> None:
    assert clean_text("a  b\r\n\r\n c\x85d\n", single_line=False).text == "a b\nc\nd"


def test_reasons_are_named_once_in_plain_words() -> None:
    cleaned = clean_text("  “Ł” and Ł\x00 ", 5)
    assert cleaned.reasons == [
        texts.SPACES,
        texts.PUNCTUATION,
        texts.INVISIBLE,
        texts.TRANSLITERATED + "Ł",
        texts.SHORTENED.format(before=9, after=5),
    ]


def test_max_length_must_be_possible() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        clean_text("x", 0)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_ascii_xml_means_the_same(raw: str) -> None:
    node = etree.Element("a", b=raw)
    node.text = raw
    xml = to_ascii_xml(etree.tostring(node, encoding="unicode"))
    assert xml.isascii()
    read = etree.fromstring(xml)
    assert (read.text or "") == raw
    assert read.get("b") == raw


def test_ascii_xml_uses_decimal_references() -> None:
    assert to_ascii_xml("<a>é€😀</a>") == "<a>&#233;&#8364;&#128512;</a>"
