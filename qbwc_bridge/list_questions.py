"""Pure: questions about lists as qbXML, with ids by which their answers are recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mapping.lists import ListKind
from qbwc_bridge.list_sync import ACTIVITY, DELETED, Question
from qbwc_bridge.matching import LIST_PREFIX
from qbxml.base import QueryRequest
from qbxml.company import CompanyActivityQuery
from qbxml.deleted_lists import DeletedDateRange, ListDeletedQuery, ListDelType
from qbxml.envelope import build_message_set, build_request_element, parse_xml
from qbxml.lists import (
    AccountQuery,
    ClassQuery,
    CustomerQuery,
    ItemQuery,
    ListQuery,
    NameRangeFilter,
    SalesTaxCodeQuery,
    TemplateQuery,
    TermsQuery,
    VendorQuery,
)

COUNT = ".n"
_HEAD = ("ListID", "TimeModified", "Name", "FullName", "IsActive", "ParentRef")
_ENTITY = (*_HEAD, "TermsRef", "CurrencyRef")
_QUERIES: dict[str, tuple[type[ListQuery], tuple[str, ...]]] = {
    # Ship-to addresses make customers slow (qbxml.md 4.2); the bill-to address says whether there is one.
    ListKind.CUSTOMER: (CustomerQuery, (*_ENTITY, "BillAddress", "SalesTaxCodeRef")),
    ListKind.VENDOR: (VendorQuery, (*_ENTITY, "VendorAddress")),
    ListKind.ITEM: (
        ItemQuery,
        (
            *(*_HEAD, "SalesOrPurchase", "SalesAndPurchase", "SalesTaxCodeRef"),
            *("AccountRef", "IncomeAccountRef", "COGSAccountRef", "ExpenseAccountRef"),
        ),
    ),
    ListKind.ACCOUNT: (AccountQuery, (*_HEAD, "AccountType", "AccountNumber", "CurrencyRef")),
    ListKind.TERMS: (TermsQuery, _HEAD),
    ListKind.CLASS: (ClassQuery, _HEAD),
    ListKind.SALES_TAX_CODE: (SalesTaxCodeQuery, (*_HEAD, "IsTaxable")),
}
_TYPES: dict[ListDelType, ListKind] = {
    "Account": ListKind.ACCOUNT,
    "Class": ListKind.CLASS,
    "Customer": ListKind.CUSTOMER,
    "DateDrivenTerms": ListKind.TERMS,
    "ItemDiscount": ListKind.ITEM,
    "ItemFixedAsset": ListKind.ITEM,
    "ItemGroup": ListKind.ITEM,
    "ItemInventory": ListKind.ITEM,
    "ItemInventoryAssembly": ListKind.ITEM,
    "ItemNonInventory": ListKind.ITEM,
    "ItemOtherCharge": ListKind.ITEM,
    "ItemPayment": ListKind.ITEM,
    "ItemSalesTax": ListKind.ITEM,
    "ItemSalesTaxGroup": ListKind.ITEM,
    "ItemService": ListKind.ITEM,
    "ItemSubtotal": ListKind.ITEM,
    "SalesTaxCode": ListKind.SALES_TAX_CODE,
    "StandardTerms": ListKind.TERMS,
    "Vendor": ListKind.VENDOR,
}
DELETED_TYPES: Mapping[str, ListKind] = dict(_TYPES.items())
"""Which list each kind of deletion belongs to."""


def request_id(kind: str, set_id: str) -> str:
    """Give the id of a question: it names the list, and the one set that may answer it."""
    return f"{LIST_PREFIX}{kind}.{set_id}"


def document(questions: Sequence[Question], *, set_id: str, version: str) -> str:
    """Write the message set. It carries no message-set id: queries need no record (qbxml.md 1.4)."""
    elements: list[str] = []
    for question in questions:
        wire_id = request_id(question.kind, set_id)
        elements.append(build_request_element(_query(question), wire_id))
        if question.counts:
            elements.append(build_request_element(_count(question), wire_id + COUNT))
    return build_message_set(elements, version=version)


def _query(question: Question) -> QueryRequest:
    if question.kind == ACTIVITY:
        return CompanyActivityQuery()
    if question.kind == DELETED:
        since = DeletedDateRange(from_deleted_date=question.since) if question.since else None
        return ListDeletedQuery(types=tuple(_TYPES), deleted_range=since)
    if question.kind == ListKind.TEMPLATE:
        return TemplateQuery()
    model, wanted = _QUERIES[question.kind]
    if question.list_ids:
        return model(list_ids=question.list_ids, include_ret_elements=wanted)  # type: ignore[call-arg]
    fields: dict[str, Any] = {
        "active_status": "All",
        "max_returned": question.max_returned or None,
        "from_modified_date": question.since or None,
        "name_range": NameRangeFilter(from_name=question.from_name) if question.from_name else None,
        "include_ret_elements": wanted,
    }
    if model.pages:
        # On Continue the whole query is repeated with the same filters (qbxml.md 4.3).
        fields["iterator"] = "Continue" if question.iterator else "Start"
        fields["iterator_id"] = question.iterator or None
    return model(**fields)


def asked_list_ids(text: str, wire_id: str) -> tuple[str, ...]:
    """Give the ListIDs that one question of a stored message set asked for."""
    requests = parse_xml(text).iterfind("QBXMLMsgsRq/*")
    asked = next((one for one in requests if one.get("requestID") == wire_id), None)
    return () if asked is None else tuple(one.text or "" for one in asked.iterfind("ListID"))


def _count(question: Question) -> QueryRequest:
    model, _ = _QUERIES[question.kind]
    return model(active_status="All", meta_data="MetaDataOnly")
