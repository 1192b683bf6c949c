"""What the API takes and says about many exports at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mapping.issues import Owner
from tms_api.export_models import EXAMPLE_DOCUMENT, ExportSummary
from tms_api.posted import PostedDocument
from tms_api.problems import Problem

BULK_MAX = 500

Kind = Literal["invoice", "carrier_bill"]
DocumentKey = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.\-]+$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BulkExport(_Body):
    """Documents to export."""

    documents: list[PostedDocument] = Field(
        min_length=1, max_length=BULK_MAX, description="Invoices and carrier bills.", examples=[[EXAMPLE_DOCUMENT]]
    )


class ExportRef(_Body):
    """Names one export."""

    kind: Kind = Field(description="Kind of document.", examples=["invoice"])
    document_id: DocumentKey = Field(description="Id of the document in the TMS.", examples=["inv_48213"])


class ExportChoice(_Body):
    """Which exports are meant; absent fields mean any."""

    state: Literal["Failed", "Cancelled"] = Field(default="Failed", description="State that they are in.")
    kind: Kind | None = Field(default=None, description="Only this kind of document.")
    code: Text | None = Field(
        default=None, description="Only failures with this code.", examples=["document_not_exportable"]
    )
    owner: Owner | None = Field(default=None, description="Only failures that this owner can mend.")


class PendingChoice(_Body):
    """Which Pending exports are meant; absent fields mean any."""

    kind: Kind | None = Field(default=None, description="Only this kind of document.")


class _Chosen(_Body):
    ids: list[ExportRef] | None = Field(
        default=None, min_length=1, max_length=BULK_MAX, description="These exports, in this order."
    )
    cursor: Annotated[str, StringConstraints(pattern="^[0-9]{1,18}$")] | None = Field(
        default=None, description="With `filter`: from the answer before."
    )


class BulkRetry(_Chosen):
    """Which exports to try again: `ids` or `filter`.

    A filter leaves out exports that may already be in QuickBooks: those need a word of a person, one by one.
    """

    filter: ExportChoice | None = Field(
        default=None,
        description="Every export that fits, oldest first, at most 500 in one call.",
        examples=[{"code": "document_not_exportable"}],
    )

    @model_validator(mode="after")
    def _one_of(self) -> BulkRetry:
        _require_one(self.ids, self.filter)
        return self


class BulkCancel(_Chosen):
    """Which exports to cancel: `ids` or `filter`."""

    filter: PendingChoice | None = Field(
        default=None, description="Every Pending export that fits and was not sent, oldest first, at most 500."
    )
    reason: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] = Field(
        default="", description="Kept in the history of each export; no names or amounts."
    )

    @model_validator(mode="after")
    def _one_of(self) -> BulkCancel:
        _require_one(self.ids, self.filter)
        return self


class BulkResult(BaseModel):
    """What became of one document: an export, or the problem that a single request would have got."""

    index: int = Field(description="Place in the request, from 0.")
    kind: str | None = Field(description="Kind of document, when it could be read.")
    document_id: str | None = Field(description="Id of the document, when it could be read.")
    status: int = Field(description="HTTP status that a single request would have got.", examples=[202])
    export: ExportSummary | None = Field(description="The export, when it was accepted.")
    problem: Problem | None = Field(description="Why not, with every issue.")


class BulkAnswer(BaseModel):
    """One result for each document, in order."""

    items: list[BulkResult] = Field(description="Results.")
    accepted: int = Field(description="How many were accepted.")
    refused: int = Field(description="How many were refused.")
    cursor: str | None = Field(default=None, description="With `filter`: send it again with this to go on; null: done.")


def _require_one(ids: object, choice: object) -> None:
    if (ids is None) == (choice is None):
        raise ValueError("give either `ids` or `filter`")
