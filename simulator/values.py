"""Second stage of reading: values, judged for each request, with a status code each (qbxml.md 5.2, 6.2)."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime

from lxml import etree

from .errors import RequestProblem
from .notation import Model
from .structure import Request
from .tables import REQUESTS

_DECIMAL = re.compile(r"[+-]?\d{1,10}(\.\d{1,5})?")
_PATTERNS: dict[str, tuple[re.Pattern[str], int, str]] = {
    "amt": (re.compile(r"[+-]?\d{1,13}(\.\d\d)?"), 3040, "amount"),
    "price": (_DECIMAL, 3045, "price"),
    "pct": (_DECIMAL, 3050, "percent"),
    "quan": (_DECIMAL, 3060, "quantity"),
    "bool": (re.compile(r"true|false|1|0"), 3010, "boolean"),
    "guid": (re.compile(r"0|\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}"), 3065, "GUID"),
    "int": (re.compile(r"[+-]?\d{1,9}"), 3085, "number"),
    "float": (re.compile(r"[+-]?\d*\.?\d+"), 3085, "number"),
}
_DATETIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}(:\d{1,2}(:\d{1,2}([+-]\d{1,2}:\d{1,2})?)?)?)?")


def check_values(request: Request) -> None:
    """Raise the status of the first value that does not convert (qbxml.md 5.2, 6.2).

    An empty value passes for every type, as the schema's patterns allow it.
    """
    if request.request_id is not None and len(request.request_id) > 50:
        raise RequestProblem(
            1060, f'The request ID "{request.request_id}" is invalid, possibly too long, max 50 chars.'
        )
    for element, kind in _leaves(request.element, REQUESTS[request.name]):
        value = element.text or ""
        if value:
            _check(str(element.tag), kind, value)


def _leaves(element: etree._Element, model: Model) -> Iterator[tuple[etree._Element, str]]:
    for child in element:
        inner = model.fields[str(child.tag)]
        if inner.content is None:
            yield child, inner.type
        else:
            yield from _leaves(child, inner.content)


def _check(name: str, kind: str, value: str) -> None:
    if kind.startswith("str"):
        if kind[3:] and len(value) > int(kind[3:]):
            raise RequestProblem(3070, f'The string "{value}" in the field "{name}" is too long.')
    elif kind.startswith("enum"):
        if value not in kind[5:-1].split("|"):
            raise RequestProblem(3110, f'The enumerated value "{value}" in the field "{name}" is unknown.')
    elif kind == "id":
        if len(value) > 36:
            raise RequestProblem(3000, f'The given object ID "{value}" in the field "{name}" is invalid.')
    elif kind == "date":
        _convert(name, value, lambda text: date.fromisoformat(text) if len(text) == 10 else _fail())
    elif kind == "datetime":
        _convert(name, value, read_datetime)
    else:
        pattern, code, word = _PATTERNS[kind]
        if not pattern.fullmatch(value):
            raise RequestProblem(
                code, f'There was an error when converting the {word} value "{value}" in the field "{name}"'
            )


def _fail() -> date:
    raise ValueError


def _convert(name: str, value: str, reader: Callable[[str], date]) -> None:
    try:
        reader(value)
    except ValueError as error:
        raise RequestProblem(
            3020, f'There was an error when converting the date value "{value}" in the field "{name}"'
        ) from error


def read_datetime(value: str, *, end_of_day: bool = False) -> datetime:
    """A DATETIMETYPE value; a bare date is the start or the end of that day (qbxml.md 4.2, 5.2)."""
    if not _DATETIME.fullmatch(value):
        raise ValueError(value)
    day, _, rest = value.partition("T")
    year, month, number = (int(part) for part in day.split("-"))
    if not rest:
        hour, minute, second, zone = (23, 59, 59, "") if end_of_day else (0, 0, 0, "")
    else:
        found = re.match(r"(\d+)(?::(\d+))?(?::(\d+))?(.*)", rest)
        if not found:
            raise ValueError(value)
        hour, minute, second = (int(part or 0) for part in found.groups()[:3])
        zone = found[4]
    moment = f"{year:04}-{month:02}-{number:02}T{hour:02}:{minute:02}:{second:02}"
    if zone:
        hours, minutes = zone[1:].split(":")
        moment += f"{zone[0]}{int(hours):02}:{int(minutes):02}"
    return datetime.fromisoformat(moment)


def is_true(value: str | None) -> bool:
    """A BOOLTYPE value as a truth value."""
    return value in ("true", "1")
