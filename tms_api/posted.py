"""Bodies that `mapping` reads itself, so that every finding is an issue with a next step; OpenAPI shows their model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from mapping.documents import Document
from mapping.rules import CompanyMapping


class Describes:
    """Takes any JSON object and describes it as another type."""

    def __init__(self, shown: Any) -> None:
        self._shown: TypeAdapter[Any] = TypeAdapter(shown)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate as declared."""
        return handler(source)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe as the other type."""
        return handler(self._shown.core_schema)


def _storable(data: dict[str, Any]) -> dict[str, Any]:
    # Python reads more than JSON may hold; what cannot be written again can neither be stored nor be quoted.
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no character") from None
    except ValueError:
        raise ValueError("it holds NaN or Infinity, which are no JSON numbers") from None
    return data


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is outside the calendar") from None


Since = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with its zone, as a filter takes it."""
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable)]
PostedDocument = Annotated[JsonObject, Describes(Document)]
PostedMapping = Annotated[JsonObject, Describes(CompanyMapping)]
