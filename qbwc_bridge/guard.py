"""Pure: is the company file that is open the one that this connection belongs to? (design.md 3.5)

The FileID of our .qwc is stamped into a company file at import, but the same .qwc imported beside another file stamps
that one too (web-connector.md 3.3), and a copy of a file bears the stamp as well. So the name and the path count, too:
one of them may change, not both, and a path that was never seen counts only once the books themselves prove that they
are the same (books_check.py), or a person says so. Whether two connections share one file is told by the marks in it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

_WORDS = re.compile(r"[a-z0-9]+")
_LEGAL_FORMS = ("inc", "incorporated", "llc", "llp", "lp", "ltd", "limited", "corp", "corporation", "co", "company")
_SAYS_NOTHING = frozenset((*_LEGAL_FORMS, "the", "and", "of"))
SPELLINGS_MAX = 20


class Code(StrEnum):
    """Why a file is not written to, as the connection's problem names it."""

    WRONG = "wrong_company_file"
    TAKEN = "company_file_taken"
    UNCONFIRMED = "company_file_unconfirmed"
    """Never used before: a person says whether it is the right one."""
    EDITION = "edition_unsupported"
    """QuickBooks of a country whose documents are not supported."""
    MOVED = "company_file_moved"
    """The same name and mark at another place, and nothing proves that it is not a copy."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What the connection was bound to at its first session; names are None before it."""

    file_id: str
    company_name: str | None
    company_file: str | None
    may_move: bool = False
    """An operator said that the books moved to another file, or that the first one is right although it is taken."""
    expected_file: str = ""
    """The path that the company's settings name; "" for any."""
    confirms_first: bool = False
    """At first contact a person says whether it is the right file."""
    spellings: tuple[str, ...] = ()
    """Other paths at which this file was accepted before: a drive letter and a share may name one place."""
    refused: tuple[str, str] | None = None
    """Name and path of the file of which a person said that it is the wrong one."""
    has_written: bool = False
    """Something of ours is in the books, by which they can be recognised."""


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """What the Web Connector says of the file that is open."""

    file_id: str | None
    company_name: str | None
    company_file: str
    is_taken: bool = False
    """It bears the mark of another connection that is bound to it."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether the session may go on, and the sentence for people when not, or a note when something moved."""

    allowed: bool
    text: str = ""
    code: Code | None = None
    """Why not, or not yet."""
    binds_anew: bool = False
    """Another file than before: what was sent to the old one cannot be looked up in this one."""
    asks: bool = False
    """A person is asked whether this is the file; until then only lists are read."""
    is_elsewhere: bool = False
    """At a path that was never seen: the books must prove that they are the same before anything else happens."""


def judge_file(bound: Binding, seen: OpenFile) -> Judgement:
    """Compare the open file with the binding. Ids and paths are compared without case: Windows ignores it."""
    if not seen.company_name:
        return Judgement(
            allowed=False,
            code=Code.WRONG,
            text="QuickBooks did not say which company file is open. Open the company file and run the update again.",
        )
    if bound.company_name is None:
        return _first_contact(bound, seen)
    judgement = _compare(bound, seen)
    is_here = judgement.allowed and not judgement.is_elsewhere
    if is_here or not bound.may_move:
        return judgement
    return _move(bound, seen)


def is_same_place(one: str, other: str) -> bool:
    """Say whether two paths are spelled alike, but for case, slashes and a slash too many."""
    return bool(one.strip()) and _place(one) == _place(other)


def remember_spelling(known: tuple[str, ...], path: str) -> tuple[str, ...]:
    """Add a path at which the file was accepted, the newest last; the oldest are forgotten."""
    kept = tuple(one for one in known if not is_same_place(one, path))
    return (*kept, path)[-SPELLINGS_MAX:] if path.strip() else kept


def resembles(company: str, in_file: str) -> bool:
    """Say whether the company's name and the name in its file have a telling word, or their first letters, in common.

    Legal forms say nothing. It only adds a warning to a question that is asked anyway.
    """
    one, other = _words(company), _words(in_file)
    if not one or not other:
        return False
    if set(one) & set(other) or "".join(one) == "".join(other):
        return True
    initials = {"".join(word[0] for word in one), "".join(word[0] for word in other)}
    return any(len(letters) > 1 and letters in (*one, *other) for letters in initials)


def _first_contact(bound: Binding, seen: OpenFile) -> Judgement:
    here = f"{seen.company_name} ({seen.company_file})"
    # Adding the .qwc stamps the file that it is meant for: at first a file without the stamp is another one, too.
    if not _bears_our_stamp(bound, seen):
        return Judgement(allowed=False, code=Code.WRONG, text=_wrong_file(bound, seen))
    if seen.is_taken and not bound.may_move:
        text = f"{here} is open, and it already belongs to another connection. Nothing was sent."
        return Judgement(allowed=False, code=Code.TAKEN, text=text)
    is_expected = is_same_place(bound.expected_file, seen.company_file)
    if is_expected or seen.is_taken or not (bound.confirms_first or bound.expected_file.strip()):
        return Judgement(allowed=True, binds_anew=bound.may_move, text=f"Bound to {here}")
    text = ""
    if bound.expected_file.strip():
        text = f"Open {bound.expected_file} in QuickBooks: now {here} is open. Nothing was sent."
    elif _is_refused(bound, seen):
        text = f"{here} is open, and somebody said that it is not the company file. Nothing was sent."
    if text:
        return Judgement(allowed=False, code=Code.WRONG, text=text)
    text = f"QuickBooks has {here} open. Nobody has said yet that this is the right company file. Nothing was sent."
    return Judgement(allowed=True, asks=True, code=Code.UNCONFIRMED, text=text)


def _is_refused(bound: Binding, seen: OpenFile) -> bool:
    """Say whether a person said of this very file that it is the wrong one."""
    if bound.refused is None:
        return False
    name, path = bound.refused
    return _same(name, seen.company_name or "") and is_same_place(path, seen.company_file)


def _compare(bound: Binding, seen: OpenFile) -> Judgement:
    same_name = _same(bound.company_name or "", seen.company_name or "")
    same_path = is_same_place(bound.company_file or "", seen.company_file)
    if seen.file_id is not None and not _bears_our_stamp(bound, seen):
        return Judgement(allowed=False, code=Code.WRONG, text=_wrong_file(bound, seen))
    if same_name and same_path:
        return Judgement(allowed=True)
    if not _bears_our_stamp(bound, seen) or not (same_name or same_path):
        return Judgement(allowed=False, code=Code.WRONG, text=_wrong_file(bound, seen))
    if same_path:
        text = f"The company in {seen.company_file} is now called {seen.company_name}, before {bound.company_name}"
        return Judgement(allowed=True, text=text)
    return _at_another_path(bound, seen)


def _at_another_path(bound: Binding, seen: OpenFile) -> Judgement:
    if _is_refused(bound, seen):
        text = f"{seen.company_file} is open, and somebody said that it is the wrong file. Open {bound.company_file} "
        return Judgement(allowed=False, code=Code.WRONG, text=f"{text}in QuickBooks. Nothing was sent.")
    if bound.has_written:
        return Judgement(allowed=True, is_elsewhere=True)
    if any(is_same_place(one, seen.company_file) for one in bound.spellings):
        return Judgement(allowed=True)
    return Judgement(allowed=False, asks=True, code=Code.MOVED, text=moved_text(bound.company_file or "", seen))


def moved_text(before: str, seen: OpenFile) -> str:
    """Say that the file is at another place, and that nothing proves that it is not a copy."""
    return (
        f"{seen.company_name} is open from {seen.company_file}; before it was {before}. It may be a copy of the "
        "company file, for what we sent last cannot be found in it. Nothing was sent."
    )


def _bears_our_stamp(bound: Binding, seen: OpenFile) -> bool:
    return seen.file_id is not None and _same(seen.file_id, bound.file_id)


def _move(bound: Binding, seen: OpenFile) -> Judgement:
    if not _bears_our_stamp(bound, seen):
        return Judgement(
            allowed=False,
            code=Code.WRONG,
            text=f"{seen.company_name} ({seen.company_file}) is open and does not bear the mark of this connection: "
            "add the .qwc file to the Web Connector again while it is open. Nothing was sent.",
        )
    return Judgement(
        allowed=True,
        binds_anew=True,
        text=f"Bound anew to {seen.company_name} ({seen.company_file}), "
        f"before it was {bound.company_name} ({bound.company_file})",
    )


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _place(path: str) -> str:
    text = path.strip().casefold().replace("/", "\\")
    is_share = text.startswith("\\\\")
    return ("\\\\" if is_share else "") + "\\".join(part for part in text.split("\\") if part)


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return [word for word in _WORDS.findall(plain.replace("'", "")) if word not in _SAYS_NOTHING]


def _wrong_file(bound: Binding, seen: OpenFile) -> str:
    expected = "the company file that this connection was set up for"
    if bound.company_name is not None:
        expected = f"{bound.company_name} ({bound.company_file})"
    return f"Open {expected} in QuickBooks: now {seen.company_name} ({seen.company_file}) is open. Nothing was sent."
