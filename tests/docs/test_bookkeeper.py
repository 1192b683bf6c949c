"""The bookkeeper's guide shows pictures that exist, and says what the console says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.words import _STANDINGS
from tests.docs.connecting_problems import table

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "bookkeeper.md"
BUTTONS = ("Open the console", "Download", "Make and show the password", "Copy the password", "Sign out")


def test_every_picture_is_there() -> None:
    """Each is a file, described in words."""
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", GUIDE.read_text("utf-8"))
    assert len(pictures) >= 10
    for words, address in pictures:
        assert words
        assert (GUIDE.parent / address).is_file(), address


@pytest.mark.parametrize("text", [*(one.text for one in _STANDINGS.values()), *BUTTONS])
def test_the_guide_uses_the_words_of_the_console(text: str) -> None:
    """A reader finds on the page what the guide names."""
    assert text in " ".join(GUIDE.read_text("utf-8").split())
    pages = "".join(
        path.read_text("utf-8") for path in (ROOT / "console").rglob("*") if path.suffix in (".html", ".py")
    )
    assert text in pages


def test_the_problems_of_connecting_are_in_the_words_of_the_pages() -> None:
    """The table is written from what the bridge and the catalogue say."""
    assert table() in GUIDE.read_text("utf-8")
