"""Pure: is the company file that is open the one that this connection belongs to? (design.md 3.5)

The FileID of our .qwc is stamped into a company file at import, but the same .qwc imported beside another file stamps
that one too (web-connector.md 3.3). So the name and the path count as well: one of them may change, not both. And a
file that another connection is bound to is not bound to a second one unless an operator says so: most likely the .qwc
was added while the wrong file was open.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What the connection was bound to at its first session; names are None before it."""

    file_id: str
    company_name: str | None
    company_file: str | None
    may_move: bool = False
    """An operator said that the books moved to another file, or that the first one is right although it is taken."""


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """What the Web Connector says of the file that is open."""

    file_id: str | None
    company_name: str | None
    company_file: str
    is_taken: bool = False
    """Another connection is bound to a file of this name at this path."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether business data may leave, and the sentence for people when not, or a note when something moved."""

    allowed: bool
    text: str = ""
    binds_anew: bool = False
    """Another file than before: what was sent to the old one cannot be looked up in this one."""
    is_taken: bool = False
    """Refused only because another connection is bound to this file."""


def judge_file(bound: Binding, seen: OpenFile) -> Judgement:
    """Compare the open file with the binding. Ids and paths are compared without case: Windows ignores it."""
    if not seen.company_name:
        return Judgement(
            allowed=False,
            text="QuickBooks did not say which company file is open. Open the company file and run the update again.",
        )
    judgement = _compare(bound, seen)
    if judgement.allowed or not bound.may_move or bound.company_name is None:
        return judgement
    return _move(bound, seen)


def _compare(bound: Binding, seen: OpenFile) -> Judgement:
    same_name = _same(bound.company_name or "", seen.company_name or "")
    same_path = bool(seen.company_file) and _same(bound.company_file or "", seen.company_file)
    is_first = bound.company_name is None
    has_our_stamp = _bears_our_stamp(bound, seen)
    # Adding the .qwc stamps the file that it is meant for: at first a file without the stamp is another one, too.
    if not has_our_stamp and (is_first or seen.file_id is not None):
        return Judgement(allowed=False, text=_wrong_file(bound, seen))
    if is_first:
        return _bind(bound, seen)
    if same_name and same_path:
        return Judgement(allowed=True)
    if has_our_stamp and (same_name or same_path):
        return Judgement(
            allowed=True,
            text=f"The company file is now {seen.company_name} ({seen.company_file}), "
            f"before it was {bound.company_name} ({bound.company_file})",
        )
    return Judgement(allowed=False, text=_wrong_file(bound, seen))


def _bears_our_stamp(bound: Binding, seen: OpenFile) -> bool:
    return seen.file_id is not None and _same(seen.file_id, bound.file_id)


def _bind(bound: Binding, seen: OpenFile) -> Judgement:
    if seen.is_taken and not bound.may_move:
        return Judgement(
            allowed=False,
            is_taken=True,
            text=f"{seen.company_name} ({seen.company_file}) is open, and it already belongs to another connection. "
            "Nothing was sent.",
        )
    return Judgement(
        allowed=True, binds_anew=bound.may_move, text=f"Bound to {seen.company_name} ({seen.company_file})"
    )


def _move(bound: Binding, seen: OpenFile) -> Judgement:
    if not _bears_our_stamp(bound, seen):
        return Judgement(
            allowed=False,
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


def _wrong_file(bound: Binding, seen: OpenFile) -> str:
    expected = "the company file that this connection was set up for"
    if bound.company_name is not None:
        expected = f"{bound.company_name} ({bound.company_file})"
    return f"Open {expected} in QuickBooks: now {seen.company_name} ({seen.company_file}) is open. Nothing was sent."
