"""Reading the input of a workflow that anybody may have started, with anything in it.

A workflow that takes whatever comes can say what is wrong with it. One with typed parameters cannot: the SDK fails its
task, again and again and for ever, and the id stays taken (temporal.md 4, 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

MALFORMED_INPUT = "MalformedInput"
"""`ApplicationError.type` of a run of ours whose input nobody of us wrote."""
ONE_ARGUMENT = "It needs one argument, an object with {fields}; {count} came."
TOLD_MAX = 5
"""Problems that one sentence names."""

Model = TypeVar("Model", bound=BaseModel)


def read_input(values: Sequence[Any], model: type[Model]) -> Model | str:
    """Read the one argument of a workflow; give the sentence that says what is wrong when it is not as `model` says."""
    if len(values) != 1 or values[0] is None:
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        came = "nothing" if not values or values == (None,) else f"{len(values)}"
        return ONE_ARGUMENT.format(fields=" and ".join(required), count=came)
    try:
        return model.model_validate(values[0])
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        told = "; ".join(f"{_place(one['loc'])}: {one['msg'][:1].lower()}{one['msg'][1:]}" for one in found[:TOLD_MAX])
        return f"Its argument is not as it must be: {told}."


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the argument"
