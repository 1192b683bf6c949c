"""Bodies that `mapping` reads itself, so that every finding is an issue with a next step; OpenAPI shows their model."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
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


PostedDocument = Annotated[dict[str, Any], Describes(Document)]
PostedMapping = Annotated[dict[str, Any], Describes(CompanyMapping)]
