"""What every qbXML message shares: frozen models whose fields stand in schema order.

QuickBooks refuses a document whose elements stand in another order (qbxml.md 5.1), so the order of the fields in these
classes is part of the protocol and must not be sorted or regrouped.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict, model_validator
from pydantic_xml import BaseXmlModel
from pydantic_xml.element.element import SearchMode


class RequestModel(BaseXmlModel, search_mode=SearchMode.UNORDERED):
    """Something we send. Unknown names are refused; blank text counts as not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _blank_means_not_set(cls, data: Any) -> Any:
        # An empty element is refused or clears a field (qbxml.md 6.2, code 3190), so it must never be written.
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if not (isinstance(value, str) and not value.strip())}
        return data


class AddRequest(RequestModel):
    """The aggregate inside an Add request; the envelope puts `<...Rq requestID>` around it (qbxml.md 3.1)."""

    request_tag: ClassVar[str]


class QueryRequest(RequestModel):
    """A query: the model itself is the `...QueryRq` element (qbxml.md 4.2)."""

    request_tag: ClassVar[str]


class ReadModel(BaseXmlModel, search_mode=SearchMode.UNORDERED):
    """Something QuickBooks answers. Unknown elements are skipped: newer products add some (qbxml.md 2.1)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
