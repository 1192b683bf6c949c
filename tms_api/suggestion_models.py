"""What the API says and takes about suggestions for the mapping."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mapping.lists import ListKind
from mapping.suggestions import Suggestion
from mapping.unmapped import Side
from tms_api.posted import PostedDocument

DOCUMENTS_MAX = 1000

Documents = Annotated[
    list[PostedDocument],
    Field(
        max_length=DOCUMENTS_MAX,
        description="Documents to look at besides those that were exported; one that cannot be read is left out.",
    ),
]


class SuggestionRequest(BaseModel):
    """Documents that were not handed over yet."""

    model_config = ConfigDict(extra="forbid")

    documents: Documents = []


class SuggestionList(BaseModel):
    """What is not linked, what is used most first."""

    items: list[Suggestion] = Field(description="Suggestions; one without candidates has nothing alike in QuickBooks.")
    lists_known: bool = Field(
        description="False: QuickBooks' lists did not come over yet, so nothing can be suggested."
    )


class AcceptRequest(BaseModel):
    """One suggestion to accept, or a score above which all are."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"section": "charges", "key": "FUEL", "list_id": "80000002-1767225600"},
                {"min_score": 90},
            ]
        },
    )

    section: Literal["charges", "customers", "carriers", "terms", "classes"] | None = Field(
        default=None, description="Section of the mapping."
    )
    key: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")] | None = Field(
        default=None, description="Code or id of the TMS."
    )
    list_id: Annotated[str, StringConstraints(max_length=36, pattern=r"^[0-9A-Za-z-]+$")] | None = Field(
        default=None, description="ListID of the entry; a charge is linked on each side where it is missing and fits."
    )
    min_score: int | None = Field(default=None, ge=1, le=100, strict=True, description="Accept all with at least this.")
    documents: Documents = []

    @model_validator(mode="after")
    def _is_one_or_all(self) -> Self:
        one = (self.section, self.key, self.list_id)
        if self.min_score is None and None in one:
            raise ValueError("it needs either `section`, `key` and `list_id`, or `min_score`")
        if self.min_score is not None and one != (None, None, None):
            raise ValueError("it has both an entry and `min_score`; choose one")
        return self


class LinkedSuggestion(BaseModel):
    """What is linked now."""

    section: str
    key: str
    side: Side | None
    kind: ListKind
    list_id: str
    full_name: str
    score: int | None = Field(description="Score of the suggestion; null when it was chosen by its ListID.")


class LeftSuggestion(BaseModel):
    """What is still not linked."""

    section: str
    key: str
    side: Side | None
    name: str
    reason: str = Field(description="Why, in one plain sentence.")


class AcceptedSuggestions(BaseModel):
    """What accepting did."""

    linked: list[LinkedSuggestion]
    left: list[LeftSuggestion]
    retrying: int = Field(description="Failed exports that waited for this, and are started again in the background.")
