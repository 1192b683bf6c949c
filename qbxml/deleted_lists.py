"""What is no more: list entries that were deleted, or merged into others (qbxml.md 4.4)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic_xml import element

from qbxml.base import QueryRequest, ReadModel, RequestModel
from qbxml.values import Str, Str50

ListDelType = Literal[
    "Account",
    "Class",
    "Customer",
    "DateDrivenTerms",
    "ItemDiscount",
    "ItemFixedAsset",
    "ItemGroup",
    "ItemInventory",
    "ItemInventoryAssembly",
    "ItemNonInventory",
    "ItemOtherCharge",
    "ItemPayment",
    "ItemSalesTax",
    "ItemSalesTaxGroup",
    "ItemService",
    "ItemSubtotal",
    "SalesTaxCode",
    "StandardTerms",
    "Vendor",
]
"""The lists that concern us and whose deletions QuickBooks remembers; templates are not among them."""


class DeletedDateRange(RequestModel):
    """Both ends are inclusive. A bare date is the start or the end of that day (qbxml.md 4.2)."""

    from_deleted_date: Str | None = element(tag="FromDeletedDate", default=None)
    to_deleted_date: Str | None = element(tag="ToDeletedDate", default=None)


class ListDeletedQuery(QueryRequest, tag="ListDeletedQueryRq"):
    """What was deleted in the last 90 days; there are no pages."""

    request_tag: ClassVar[str] = "ListDeletedQueryRq"

    types: tuple[ListDelType, ...] = element(tag="ListDelType", min_length=1)
    deleted_range: DeletedDateRange | None = element(tag="DeletedDateRangeFilter", default=None)
    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())


class ListDeletedRet(ReadModel, tag="ListDeletedRet"):
    """An entry that is no more. `type` is a ListDelType; times stay text (qbxml.md 5.4)."""

    type: str = element(tag="ListDelType", default="")
    list_id: str = element(tag="ListID", default="")
    time_created: str | None = element(tag="TimeCreated", default=None)
    time_deleted: str | None = element(tag="TimeDeleted", default=None)
    full_name: str | None = element(tag="FullName", default=None)
