"""Collects what is wrong with a document and what is changed on the way, so that every reason is told at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import overload

from mapping.issues import Change, Issue, Owner
from mapping.rules import Target
from qbxml.text import clean_text
from qbxml.values import Ref


class Findings:
    """The issues and changes of one document, in the order in which they were met."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.changes: list[Change] = []

    def issue(self, code: str, path: str, message: str, next_step: str, owner: Owner = Owner.TMS_USER) -> None:
        """Note a reason why the document cannot be exported."""
        self.issues.append(Issue(code=code, path=path, message=message, next_step=next_step, owner=owner))

    def change(self, path: str, field: str, before: str, after: str, reason: str) -> None:
        """Note a value that QuickBooks gets in another form."""
        self.changes.append(Change(path=path, field=field, before=before, after=after, reason=reason))

    def text(
        self, path: str, field: str, value: str | None, max_length: int | None = None, *, single_line: bool = True
    ) -> str | None:
        """Bring a free text into the form that QuickBooks keeps, noting what that changed; nothing left is None."""
        if value is None:
            return None
        cleaned = clean_text(value, max_length, single_line=single_line)
        # Composing an accent, or writing a line break in another way, is no change that anybody could see.
        if cleaned.reasons and cleaned.text != unicodedata.normalize("NFC", value):
            self.change(path, field, value, cleaned.text, " ".join(cleaned.reasons))
        return cleaned.text or None

    def linked(
        self, table: Mapping[str, Target], key: str, *, code: str, path: str, what: str, next_step: str
    ) -> Ref | None:
        """Look a code of the TMS up in the mapping, noting an issue when nobody has linked it."""
        target = table.get(key)
        if target is None:
            self.issue(code, path, f"{what} is not linked to QuickBooks.", next_step)
        return ref(target)


@overload
def ref(target: Target) -> Ref: ...
@overload
def ref(target: Target | None) -> Ref | None: ...
def ref(target: Target | None) -> Ref | None:
    """Write a target of the mapping as a qbXML reference, letter by letter."""
    return None if target is None else Ref(list_id=target.list_id, full_name=target.full_name)
