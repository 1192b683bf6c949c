"""Finds what a query asks for (qbxml.md 4.2, 4.5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from lxml import etree

from .errors import NO_MATCH, OK, RequestProblem, Status, bad_reference, not_found
from .records import Account, DeletedEntry, ListObject, Posted
from .references import text_of
from .values import read_datetime

if TYPE_CHECKING:
    from .company import CompanyFile


DELETED_KEPT = timedelta(days=90)


@dataclass(frozen=True)
class Found:
    """Rows in the order of the answer, and the status that goes with them."""

    status: Status
    rows: Sequence[ListObject | Posted]


def _texts(element: etree._Element, name: str) -> list[str]:
    return [child.text or "" for child in element.iterchildren(name)]


def _look_up(
    values: list[str],
    rows: Sequence[ListObject | Posted],
    key: Callable[[ListObject | Posted], str],
    *,
    fold_case: bool = False,
) -> Found:
    """A look-up by name or id: rows in the order asked, a missing value makes it a warning (qbxml.md 4.2)."""
    found: list[ListObject | Posted] = []
    missing = []
    for value in values:
        hits = [row for row in rows if key(row) == (value.lower() if fold_case else value)]
        found += hits
        if not hits:
            missing.append(value)
    return Found(not_found(missing[0]) if missing else OK, found)


def _result(rows: Sequence[ListObject | Posted], element: etree._Element, paged: bool) -> Found:
    limit = element.findtext("MaxReturned")
    if limit and not paged:
        rows = rows[: int(limit)]
    return Found(OK if rows else NO_MATCH, rows)


def find_entries(
    company: "CompanyFile", entries: Sequence[ListObject], element: etree._Element, *, paged: bool
) -> Found:
    """List entries; only active ones unless asked otherwise (qbxml.md 4.2). A paged query is cut by its iterator."""
    list_ids, names = _texts(element, "ListID"), _texts(element, "FullName")
    if list_ids:
        return _look_up(list_ids, entries, lambda row: row.list_id if isinstance(row, ListObject) else "")
    if names:
        return _look_up(
            names,
            entries,
            lambda row: row.full_name.lower() if isinstance(row, ListObject) else "",
            fold_case=True,
        )
    status = element.findtext("ActiveStatus") or "ActiveOnly"
    types = _texts(element, "AccountType")
    has_time = element.find("FromModifiedDate") is not None or element.find("ToModifiedDate") is not None
    name_fits = _name_filter(element)
    rows = [
        entry
        for entry in entries
        if (status == "All" or entry.is_active == (status == "ActiveOnly"))
        and (not has_time or _in_time(entry.time_modified, element))
        and name_fits(entry.full_name)
        and (not types or (isinstance(entry, Account) and entry.account_type in types))
    ]
    return _result(_by_balance(company, rows, element), element, paged)


def is_cut(element: etree._Element) -> bool:
    """Whether a list query brings only a part, for which QuickBooks gives the list in order."""
    return element.get("iterator") is not None or any(
        element.find(name) is not None for name in ("MaxReturned", "NameRangeFilter")
    )


def find_deleted(company: "CompanyFile", element: etree._Element) -> Sequence[DeletedEntry]:
    """What was deleted in the last 90 days, by type and then by time (qbxml.md 4.4)."""
    types = _texts(element, "ListDelType")
    oldest = company.clock().replace(tzinfo=None) - DELETED_KEPT
    bounds = element.find("DeletedDateRangeFilter")
    found = [
        entry
        for entry in company.state.deleted
        if entry.type in types
        and datetime.fromisoformat(entry.time_deleted).replace(tzinfo=None) >= oldest
        and _in_time(entry.time_deleted, bounds, "FromDeletedDate", "ToDeletedDate")
    ]
    return sorted(found, key=lambda entry: (types.index(entry.type), entry.time_deleted))


def _by_balance(company: "CompanyFile", rows: list[ListObject], element: etree._Element) -> list[ListObject]:
    wanted = element.find("TotalBalanceFilter")
    if wanted is None:
        return rows
    limit, operator = Decimal(wanted.findtext("Amount") or "0"), wanted.findtext("Operator")

    def fits(row: ListObject) -> bool:
        total = sum(
            (
                entry.balance
                for entry in company.ledger
                if f"{company.full_name(entry.entity)}:".startswith(f"{row.full_name}:")
            ),
            Decimal(0),
        )
        return {
            "LessThan": total < limit,
            "LessThanEqual": total <= limit,
            "Equal": total == limit,
            "GreaterThan": total > limit,
        }.get(operator or "", total >= limit)

    return [row for row in rows if fits(row)]


def _in_time(
    modified: str,
    element: etree._Element | None,
    first: str = "FromModifiedDate",
    last: str = "ToModifiedDate",
) -> bool:
    """Both bounds belong to the range, and a bound without an offset is local time (qbxml.md 4.2, 5.4)."""
    if element is None:
        return True
    start, end = element.findtext(first), element.findtext(last)
    moment = datetime.fromisoformat(modified)

    def comparable(bound: datetime) -> datetime:
        return moment if bound.tzinfo else moment.replace(tzinfo=None)

    if start and comparable(low := read_datetime(start)) < low:
        return False
    return not (end and comparable(high := read_datetime(end, end_of_day=True)) > high)


def _matches(value: str, criterion: str | None, wanted: str) -> bool:
    value, wanted = value.lower(), wanted.lower()
    if criterion == "StartsWith":
        return value.startswith(wanted)
    return value.endswith(wanted) if criterion == "EndsWith" else wanted in value


def _name_filter(element: etree._Element) -> Callable[[str], bool]:
    pattern, bounds = element.find("NameFilter"), element.find("NameRangeFilter")
    if pattern is not None:
        criterion, wanted = pattern.findtext("MatchCriterion"), pattern.findtext("Name") or ""
        return lambda name: _matches(name, criterion, wanted)
    if bounds is None:
        return lambda _: True
    low, high = (bounds.findtext("FromName") or "").lower(), (bounds.findtext("ToName") or "").lower()
    return lambda name: low <= name.lower() and (not high or name.lower() <= high)


def find_transactions(
    company: "CompanyFile",
    rows: Sequence[Posted],
    entities: Sequence[ListObject],
    element: etree._Element,
    *,
    paged: bool,
) -> Found:
    """Invoices or bills (qbxml.md 4.5); RefNumber look-ups exclude all other filters."""
    ids, numbers = _texts(element, "TxnID"), _texts(element, "RefNumber")
    exact = _texts(element, "RefNumberCaseSensitive")
    if ids:
        return _look_up(ids, rows, lambda row: row.txn_id if not isinstance(row, ListObject) else "")
    if numbers or exact:
        return _by_number(numbers, exact, rows)
    if element.find("TxnDateRangeFilter/DateMacro") is not None:
        raise RequestProblem(531, "The enumerated value of DateMacro is not supported by this implementation.")
    allowed = _filtered_ids(element.find("EntityFilter"), entities, "Name")
    accounts = _filtered_ids(element.find("AccountFilter"), company.state.accounts, "Account")
    paid = element.findtext("PaidStatus") or "All"
    found = [
        row
        for row in rows
        if (allowed is None or row.entity in allowed)
        and (accounts is None or row.account in accounts)
        and _in_time(row.time_modified, element.find("ModifiedDateRangeFilter"))
        and _on_date(row.txn_date, element.find("TxnDateRangeFilter"))
        and _number_fits(row.ref_number or "", element)
        and (paid == "All" or (row.balance == 0) == (paid == "PaidOnly"))
    ]
    return _result(found, element, paged)


def _by_number(numbers: list[str], exact: list[str], rows: Sequence[Posted]) -> Found:
    def number(row: ListObject | Posted) -> str:
        return "" if isinstance(row, ListObject) else row.ref_number or ""

    if numbers:
        return _look_up(numbers, rows, lambda row: number(row).lower(), fold_case=True)
    return _look_up(exact, rows, number)


def _filtered_ids(element: etree._Element | None, entries: Sequence[ListObject], kind: str) -> set[str] | None:
    """The ListIDs an entity or account filter lets through; None when there is no filter."""
    if element is None:
        return None
    allowed = set()
    for child in element:
        value = (child.text or "").lower()
        by_id = str(child.tag).startswith("ListID")
        found = [e for e in entries if (e.list_id.lower() if by_id else e.full_name.lower()) == value]
        if not found:
            raise bad_reference(kind, child.text or "", "query")
        allowed.add(found[0].list_id)
        if str(child.tag).endswith("WithChildren"):
            allowed |= {e.list_id for e in entries if e.full_name.startswith(f"{found[0].full_name}:")}
    return allowed


def _on_date(day: date, element: etree._Element | None) -> bool:
    if element is None:
        return True
    start, end = text_of(element, "FromTxnDate"), text_of(element, "ToTxnDate")
    return (not start or date.fromisoformat(start) <= day) and (not end or day <= date.fromisoformat(end))


def _number_fits(number: str, element: etree._Element) -> bool:
    pattern = element.find("RefNumberFilter")
    if pattern is not None:
        return _matches(number, pattern.findtext("MatchCriterion"), pattern.findtext("RefNumber") or "")
    bounds = element.find("RefNumberRangeFilter")
    if bounds is None:
        return True
    low, high = bounds.findtext("FromRefNumber") or "", bounds.findtext("ToRefNumber") or ""
    # Numbers are compared as numbers only when all of them are digits (qbxml.md 4.5).
    if all(text.isdecimal() for text in (number, *filter(None, (low, high)))):
        return (not low or int(low) <= int(number)) and (not high or int(number) <= int(high))
    return low.lower() <= number.lower() and (not high or number.lower() <= high.lower())
