"""The one registry of search attributes: starters, worker check and creation scripts read it.

Few on purpose: SQL visibility holds ten keywords per namespace (temporal.md 9). Values are not encrypted, so no
names and no amounts.
"""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

COMPANY_ID = SearchAttributeKey.for_keyword("CompanyId")
DOCUMENT_KIND = SearchAttributeKey.for_keyword("DocumentKind")
EXPORT_STATE = SearchAttributeKey.for_keyword("ExportState")

ALL = (COMPANY_ID, DOCUMENT_KIND, EXPORT_STATE)


def at_start(company_id: str, kind: str) -> TypedSearchAttributes:
    """Give the attributes that a starter sets."""
    return TypedSearchAttributes(
        [SearchAttributePair(COMPANY_ID, company_id), SearchAttributePair(DOCUMENT_KIND, kind)]
    )


def at_sync_start(company_id: str) -> TypedSearchAttributes:
    """Give the attributes of a list sync."""
    return TypedSearchAttributes([SearchAttributePair(COMPANY_ID, company_id)])
