"""Reads the compact notation of the element-order tables and turns it into content models.

A model becomes a regular expression over child names, because qbXML's specification is a DTD: order, optionality,
repetition and choice are exactly what a regular expression judges (qbxml.md 5.1).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

_TOKEN = re.compile(r"enum\([^)]*\)|@\d+\.\d+|[A-Za-z0-9]+|[\[\]{}|,:!+^]")
_ADDRESS = (
    "Addr1:str41, Addr2:str41, Addr3:str41, Addr4:str41, Addr5:str41, City:str31, State:str21, PostalCode:str13, "
    "Country:str31, Note:str41"
)
_EXTENSION = "OwnerID!:guid, DataExtName!:str31, DataExtValue!:str"
_RANGE_REF = "[ListID+!:id | FullName+!:str | ListIDWithChildren!:id | FullNameWithChildren!:str]"


@dataclass(frozen=True)
class Field:
    """One element: its name, how often it may stand there, and its type or its own content."""

    name: str
    required: bool = False
    repeats: bool = False
    since: tuple[int, int] = (1, 0)
    abroad: bool = False
    """Not in QuickBooks for the United States (written ^)."""
    type: str = ""
    content: "Model | None" = None


@dataclass(frozen=True)
class Choice:
    """One of several sequences; a choice of line kinds repeats (qbxml.md, notation)."""

    branches: tuple["Model", ...]
    required: bool = False
    repeats: bool = False


@dataclass(frozen=True)
class Model:
    """The ordered content of an element."""

    parts: tuple[Field | Choice, ...]
    fields: dict[str, Field] = field(default_factory=dict, compare=False, hash=False)

    def accepts(self, names: list[str], version: tuple[int, int], *, abroad: bool = False) -> bool:
        """Whether children of these names, in this order, may stand in a document of this version and edition."""
        return _pattern(self, version, abroad).fullmatch("".join(f"{name};" for name in names)) is not None


@lru_cache(maxsize=512)
def _pattern(model: Model, version: tuple[int, int], abroad: bool) -> re.Pattern[str]:
    return re.compile(_expression(model, version, abroad))


def _expression(model: Model, version: tuple[int, int], abroad: bool) -> str:
    out = []
    for part in model.parts:
        if isinstance(part, Field):
            if part.since > version or (part.abroad and not abroad):
                continue
            inner = f"(?:{part.name};)"
        else:
            inner = "(?:" + "|".join(f"(?:{_expression(branch, version, abroad)})" for branch in part.branches) + ")"
        out.append(inner + _times(part.required, part.repeats))
    return "".join(out)


def _times(required: bool, repeats: bool) -> str:
    if repeats:
        return "+" if required else "*"
    return "" if required else "?"


def read(text: str) -> Model:
    """Turn notation such as ``CustomerRef!:ref209, TxnDate:date, [Rate!:price | RatePercent!:pct]`` into a model."""
    tokens = _TOKEN.findall(text)
    model, rest = _sequence(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"unread notation from {tokens[rest : rest + 5]}")
    return model


def _sequence(tokens: list[str], at: int) -> tuple[Model, int]:
    parts: list[Field | Choice] = []
    while at < len(tokens) and tokens[at] not in "]}|":
        if tokens[at] == ",":
            at += 1
            continue
        part, at = _choice(tokens, at + 1) if tokens[at] == "[" else _element(tokens, at)
        parts.append(part)
    return Model(tuple(parts), _by_name(parts)), at


def _by_name(parts: list[Field | Choice]) -> dict[str, Field]:
    names: dict[str, Field] = {}
    for part in parts:
        if isinstance(part, Field):
            names[part.name] = part
        else:
            for branch in part.branches:
                names |= branch.fields
    return names


def _choice(tokens: list[str], at: int) -> tuple[Choice, int]:
    branches = []
    while True:
        branch, at = _sequence(tokens, at)
        branches.append(branch)
        at += 1
        if tokens[at - 1] == "]":
            break
    flags, _, at = _modifiers(tokens, at)
    return Choice(tuple(branches), "!" in flags, "+" in flags), at


def _modifiers(tokens: list[str], at: int) -> tuple[str, tuple[int, int], int]:
    flags, since = "", (1, 0)
    while at < len(tokens) and (tokens[at] in "!+^" or tokens[at].startswith("@")):
        if tokens[at].startswith("@"):
            major, minor = tokens[at][1:].split(".")
            since = (int(major), int(minor))
        else:
            flags += tokens[at]
        at += 1
    return flags, since, at


def _element(tokens: list[str], at: int) -> tuple[Field, int]:
    name = tokens[at]
    flags, since, at = _modifiers(tokens, at + 1)
    kind, content = "", None
    if at < len(tokens) and tokens[at] == ":":
        kind, at = tokens[at + 1], at + 2
        content = _named_content(kind)
    elif at < len(tokens) and tokens[at] == "{":
        content, at = _sequence(tokens, at + 1)
        at += 1
    return Field(name, "!" in flags, "+" in flags, since, "^" in flags, "" if content else kind, content), at


def _named_content(kind: str) -> Model | None:
    if kind == "addr":
        return read(_ADDRESS)
    if kind == "ext":
        return read(_EXTENSION)
    if kind == "pick":
        return read("[ListID+!:id | FullName+!:str]")
    if kind == "filter":
        return read(_RANGE_REF)
    if kind.startswith("ref"):
        return read(f"ListID:id, FullName:str{kind[3:]}")
    return None
