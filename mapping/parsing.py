"""What pydantic finds wrong in posted data, told as issues that a person can act on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mapping.issues import Issue, Owner

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def path_of(loc: Iterable[int | str]) -> str:
    """Write a pydantic location as `lines[2].amount`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def issues_of(error: ValidationError, *, what: str, owner: Owner, skip: int = 0) -> list[Issue]:
    """Turn every finding into an issue; `skip` drops leading parts of its location, such as the tag of a union."""
    found = error.errors(include_url=False, include_input=False)
    spoilt = {details["loc"][:end] for details in found for end in range(len(details["loc"]))}
    return [
        _issue(details, what, owner, skip)
        for details in found
        # pydantic counts only good entries: a list whose only entry is spoilt is not empty to its sender.
        if not (details["type"] == "too_short" and details["loc"] in spoilt)
    ]


def _issue(details: ErrorDetails, what: str, owner: Owner, skip: int) -> Issue:
    kind = details["type"]
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return Issue(
            code="kind_unknown",
            path="kind",
            message=f"The {what} does not say that it is an invoice or a carrier_bill.",
            next_step="Send `kind` as `invoice` or `carrier_bill`.",
            owner=owner,
        )
    # A finding about the whole object has no place of its own: name the object.
    path = path_of(details["loc"][skip:]) or what
    code, message, next_step = _words(kind, path, what, details)
    return Issue(code=code, path=path, message=message, next_step=next_step, owner=owner)


def _words(kind: str, path: str, what: str, details: ErrorDetails) -> tuple[str, str, str]:
    context = details.get("ctx", {})
    match kind:
        case "missing":
            return "field_missing", f"`{path}` is missing.", f"Fill in `{path}` and send the {what} again."
        case "extra_forbidden":
            return (
                "field_unknown",
                f"`{path}` is not a field of this {what}.",
                f"Leave `{path}` out, or correct its spelling, and send the {what} again.",
            )
        case "string_too_long":
            limit = context.get("max_length")
            return (
                "text_too_long",
                f"`{path}` is longer than {limit} characters.",
                f"Shorten `{path}` to at most {limit} characters and send the {what} again.",
            )
        case "too_short":
            return "list_empty", f"`{path}` is empty.", f"Add at least one entry to `{path}` and send the {what} again."
        case "too_long":
            limit = context.get("max_length")
            return (
                "list_too_long",
                f"`{path}` has more than {limit} entries.",
                f"Split the {what} so that `{path}` has at most {limit} entries.",
            )
        case "value_error":
            reason = str(context.get("error", details["msg"]))
        case _:
            reason = details["msg"][:1].lower() + details["msg"][1:]
    return "field_invalid", f"`{path}` cannot be used: {reason}.", f"Correct `{path}` and send the {what} again."
