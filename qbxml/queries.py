"""The parts that transaction queries share (qbxml.md 4.2, 4.3, 4.5)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator
from pydantic_xml import attr, element

from qbxml.base import QueryRequest, RequestModel
from qbxml.values import Day, Str, Str36, Str50, Str209

MatchCriterion = Literal["StartsWith", "Contains", "EndsWith"]


class IteratedQuery(QueryRequest):
    """A query that QuickBooks can answer in pages.

    An iterator lives only in the session that started it; its id must never be kept longer (qbxml.md 4.3).
    """

    meta_data: Literal["NoMetaData", "MetaDataOnly", "MetaDataAndResponseData"] | None = attr(
        name="metaData", default=None
    )
    iterator: Literal["Start", "Continue", "Stop"] | None = attr(name="iterator", default=None)
    iterator_id: Str50 | None = attr(name="iteratorID", default=None)

    @model_validator(mode="after")
    def _iterator_is_complete(self) -> Self:
        if (self.iterator in ("Continue", "Stop")) != (self.iterator_id is not None):
            raise ValueError("iterator_id belongs to iterator Continue and Stop, and only to those")
        if self.iterator in ("Start", "Continue") and getattr(self, "max_returned", None) is None:
            raise ValueError("an iterator needs max_returned")
        return self

    def _refuse_together(self, lookups: tuple[str, ...], filters: tuple[str, ...]) -> None:
        """Look-ups by id or number exclude each other and every filter (qbxml.md 4.5)."""
        used = [name for name in lookups if getattr(self, name)]
        if len(used) > 1:
            raise ValueError(f"{used[0]} and {used[1]} exclude each other")
        clashing = [name for name in filters if getattr(self, name) is not None]
        if used and clashing:
            raise ValueError(f"{used[0]} excludes {clashing[0]}")


class ModifiedDateRange(RequestModel):
    """Both ends are inclusive. Send times as QuickBooks wrote them, without conversion (qbxml.md 5.4)."""

    from_modified_date: Str | None = element(tag="FromModifiedDate", default=None)
    to_modified_date: Str | None = element(tag="ToModifiedDate", default=None)


class TxnDateRange(RequestModel):
    """Both ends are inclusive."""

    from_txn_date: Day | None = element(tag="FromTxnDate", default=None)
    to_txn_date: Day | None = element(tag="ToTxnDate", default=None)


class EntityFilter(RequestModel):
    """Transactions of these customers or vendors, by ids or by names."""

    list_ids: tuple[Str36, ...] = element(tag="ListID", default=())
    full_names: tuple[Str209, ...] = element(tag="FullName", default=())

    @model_validator(mode="after")
    def _ids_or_names(self) -> Self:
        if bool(self.list_ids) == bool(self.full_names):
            raise ValueError("give either list_ids or full_names")
        return self


class RefNumberFilter(RequestModel):
    """Document numbers that start with, contain or end with a text."""

    match_criterion: MatchCriterion = element(tag="MatchCriterion")
    ref_number: Str = element(tag="RefNumber")


class RefNumberRange(RequestModel):
    """Document numbers from one to another; the way to ask for one number together with other filters."""

    from_ref_number: Str | None = element(tag="FromRefNumber", default=None)
    to_ref_number: Str | None = element(tag="ToRefNumber", default=None)


class TxnQuery(IteratedQuery):
    """The shape that InvoiceQuery and BillQuery share, in the order of the schema (qbxml.md 4.5)."""

    txn_ids: tuple[Str36, ...] = element(tag="TxnID", default=())
    ref_numbers: tuple[Str, ...] = element(tag="RefNumber", default=())
    ref_numbers_case_sensitive: tuple[Str, ...] = element(tag="RefNumberCaseSensitive", default=())
    max_returned: int | None = element(tag="MaxReturned", default=None)
    modified_date_range: ModifiedDateRange | None = element(tag="ModifiedDateRangeFilter", default=None)
    txn_date_range: TxnDateRange | None = element(tag="TxnDateRangeFilter", default=None)
    entity_filter: EntityFilter | None = element(tag="EntityFilter", default=None)
    account_filter: EntityFilter | None = element(tag="AccountFilter", default=None)
    ref_number_filter: RefNumberFilter | None = element(tag="RefNumberFilter", default=None)
    ref_number_range: RefNumberRange | None = element(tag="RefNumberRangeFilter", default=None)
    paid_status: Literal["All", "PaidOnly", "NotPaidOnly"] | None = element(tag="PaidStatus", default=None)
    include_line_items: bool | None = element(tag="IncludeLineItems", default=None)
    include_linked_txns: bool | None = element(tag="IncludeLinkedTxns", default=None)
    include_ret_elements: tuple[Str50, ...] = element(tag="IncludeRetElement", default=())

    @model_validator(mode="after")
    def _one_kind_of_question(self) -> Self:
        self._refuse_together(
            ("txn_ids", "ref_numbers", "ref_numbers_case_sensitive"),
            (
                "iterator",
                "max_returned",
                "modified_date_range",
                "txn_date_range",
                "entity_filter",
                "account_filter",
                "ref_number_filter",
                "ref_number_range",
                "paid_status",
            ),
        )
        if self.modified_date_range is not None and self.txn_date_range is not None:
            raise ValueError("modified_date_range and txn_date_range exclude each other")
        if self.ref_number_filter is not None and self.ref_number_range is not None:
            raise ValueError("ref_number_filter and ref_number_range exclude each other")
        return self
