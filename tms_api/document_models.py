"""What the API says about documents that were handed over for review."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from mapping.issues import Change, Issue
from store.api_tables import HandedDocument
from store.tables import Company, Export
from tms_api.export_models import EXAMPLE_DOCUMENT, ExportSummary, Preview, summary_view


class DocumentSummary(BaseModel):
    """A document in a list."""

    company_id: str = Field(description="Company.", examples=["acme-logistics"])
    kind: str = Field(description="`invoice` or `carrier_bill`.", examples=["invoice"])
    document_id: str = Field(description="Id of the document in the TMS.", examples=["inv_48213"])
    number: str = Field(description="Number of the document in the TMS; empty when it has none.")
    party: str = Field(description="Name of the customer or carrier; empty when it has none.")
    total: str | None = Field(description="Total, as it was handed over.", examples=["1850.00"])
    date: str | None = Field(description="Date, as it was handed over.", examples=["2026-11-20"])
    export: ExportSummary | None = Field(description="Its export; null: it was never exported.")
    differs_from_export: bool = Field(description="Whether it was changed since it was exported.")
    created_at: datetime = Field(description="First time it was handed over.")
    updated_at: datetime = Field(description="Last time its content changed.")


class DocumentView(DocumentSummary):
    """A document with what an export of it would do."""

    document: dict[str, Any] = Field(description="As it was handed over.", examples=[EXAMPLE_DOCUMENT])
    issues: list[Issue] = Field(description="Every reason why it cannot be exported as it stands; empty: it can.")
    changes: list[Change] = Field(description="What QuickBooks would get in another form.")
    ref_number: str | None = Field(description="Number that it would have in QuickBooks.")


class DocumentList(BaseModel):
    """A page of documents, those handed over last first."""

    items: list[DocumentSummary] = Field(description="Documents.")
    cursor: str | None = Field(description="Send it to get the next page; null on the last one.")


def document_summary(
    row: HandedDocument, export: Export | None, company: Company, *, now: datetime, soap_url: str
) -> DocumentSummary:
    """Show a document in a list."""
    differs = export is not None and export.content_hash != row.content_hash
    return DocumentSummary(
        company_id=row.company_id,
        kind=row.kind,
        document_id=row.document_id,
        number=row.number,
        party=row.party,
        total=_text(row.document.get("total")),
        date=_text(row.document.get("date")),
        export=summary_view(export, company, now=now, soap_url=soap_url, changed_in_tms=differs)
        if export is not None
        else None,
        differs_from_export=differs,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def document_view(summary: DocumentSummary, row: HandedDocument, preview: Preview) -> DocumentView:
    """Show a document with what its export would do."""
    return DocumentView(
        **dict(summary),
        document=row.document,
        issues=preview.issues,
        changes=preview.changes,
        ref_number=preview.ref_number,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
