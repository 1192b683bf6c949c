"""The one registry of search attributes: starters, worker check and creation scripts read it.

Few on purpose: SQL visibility holds ten keywords per namespace (temporal.md 9). Values are not encrypted, so no
names and no amounts.
"""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

COMPANY_ID = SearchAttributeKey.for_keyword("CompanyId")
DOCUMENT_KIND = SearchAttributeKey.for_keyword("DocumentKind")
EXPORT_STATE = SearchAttributeKey.for_keyword("ExportState")
EXPORT_OWNER = SearchAttributeKey.for_keyword("ExportOwner")
"""Whose turn it is after a failure; absent on every other export."""
ERROR_CODE = SearchAttributeKey.for_keyword("ErrorCode")

ALL = (COMPANY_ID, DOCUMENT_KIND, EXPORT_STATE, EXPORT_OWNER, ERROR_CODE)
