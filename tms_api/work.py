"""The bookkeeper's list of invoices and carrier bills: a page of it, its counts, and what speaks against each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.orm import Session

from activities.checking import checked_with
from activities.company_lists import StoreLists, item_of
from mapping.documents import parse_document
from mapping.issues import Issue
from mapping.links import excerpt
from mapping.lists import ListItem, ListKind
from mapping.places import PLACES, target_at
from store import lists, worklist
from store.tables import Company
from store.worklist import NOT_EXPORTED, Position, WorkFilter, WorkRow
from tms_api.bulk_models import ExportRef
from tms_api.companies import require_company
from tms_api.export_models import ExportSummary, summary_view
from tms_api.problems import ProblemError
from tms_api.services import ApiServices
from workflows.contracts import OUTCOME_UNKNOWN, ExportState

PAGE = 50
LATELY = timedelta(hours=1)
Status = Literal["NotExported", "Pending", "Successful", "Failed", "Cancelled"]
AGES = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
"""Filters by age: older than this."""


@dataclass(frozen=True, kw_only=True)
class WorkItem:
    """One row of the list."""

    kind: str
    document_id: str
    number: str
    party: str
    total: str | None
    """As it was sent, once it has left; until then as the TMS says."""
    total_now: str | None
    """As the TMS says today."""
    currency: str | None
    created_at: datetime
    status: Status
    export: ExportSummary | None
    is_handed: bool
    """Whether the TMS handed it over for review; others were exported at once."""
    differs: bool
    """Whether it was changed since it was exported."""
    blocked_by: Issue | None
    """Not exported yet: the first reason why it cannot be."""
    blocks: int
    """How many such reasons there are."""

    @property
    def is_unknown(self) -> bool:
        """Say whether it may already be in QuickBooks."""
        return self.export is not None and self.export.error is not None and self.export.error.code == OUTCOME_UNKNOWN

    @property
    def key(self) -> str:
        """Name it in a form."""
        return f"{self.kind}/{self.document_id}"


@dataclass(frozen=True, kw_only=True)
class WorkList:
    """One page."""

    items: list[WorkItem]
    counts: dict[Status, int]
    """Of all documents, whatever the filter says."""
    moved: dict[Status, int]
    """Exports that changed within the last hour, by status: how far a batch is that somebody just started."""
    next_after: str | None


@dataclass(frozen=True, kw_only=True)
class WorkQuery:
    """What somebody wants to see."""

    status: Status | None = None
    kind: str | None = None
    owner: str | None = None
    older_than: str | None = None
    only_differing: bool = False
    text: str | None = None
    after: str | None = None
    oldest_first: bool = False


def work_list(services: ApiServices, company_id: str, query: WorkQuery) -> WorkList:
    """Show a page of the list."""
    now = services.clock()
    age = AGES.get(query.older_than or "")
    wanted = WorkFilter(
        company_id=company_id,
        kind=query.kind,
        states=_states(query.status),
        owner=query.owner,
        created_before=now - age if age is not None else None,
        only_differing=query.only_differing,
        text=query.text or None,
    )
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        rows = worklist.page(
            session, wanted, after=_position(query.after), limit=PAGE + 1, oldest_first=query.oldest_first
        )
        items = _items(services, session, company, rows[:PAGE])
        counts = _counts(worklist.counts(session, company_id))
        moved = _counts(worklist.moved_since(session, company_id, now - LATELY))
    next_after = _cursor(rows[PAGE - 1]) if len(rows) > PAGE else None
    return WorkList(items=items, counts=counts, moved=moved, next_after=next_after)


def work_items(services: ApiServices, company_id: str, refs: Sequence[ExportRef]) -> list[WorkItem]:
    """Show some documents as they are now, in this order; one that is gone is left out."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        rows = worklist.named(session, company_id, [(ref.kind, ref.document_id) for ref in refs])
        return _items(services, session, company, rows)


class CachedLists(StoreLists):
    """`StoreLists` that was told which entries will be asked for: many documents ask once a list, not once an entry."""

    def __init__(self, session: Session, company_id: str) -> None:
        super().__init__(session, company_id)
        self._entries: dict[tuple[ListKind, str], ListItem | None] = {}
        self._for = (session, company_id)

    def fetch(self, wanted: set[tuple[ListKind, str]]) -> None:
        """Read these entries and those above them, one question a list and level."""
        session, company_id = self._for
        while wanted:
            for kind in {kind for kind, _ in wanted}:
                ids = [list_id for one, list_id in wanted if one is kind]
                self._entries |= dict.fromkeys((kind, list_id) for list_id in ids)
                for row in lists.entries_by_id(session, company_id, kind, ids):
                    self._entries[kind, row.list_id] = item_of(row)
            wanted = {above for key in wanted for above in self._needed(self._entries.get(key))} - set(self._entries)

    def by_list_id(self, kind: ListKind, list_id: str) -> ListItem | None:
        """Find an entry, inactive and vanished ones too."""
        if (kind, list_id) not in self._entries:
            self._entries[kind, list_id] = super().by_list_id(kind, list_id)
        return self._entries[kind, list_id]

    @staticmethod
    def _needed(entry: ListItem | None) -> set[tuple[ListKind, str]]:
        if entry is None:
            return set()
        found = {(entry.kind, entry.parent_list_id)} if entry.parent_list_id else set()
        accounts = (entry.facts.get(name) for name in ("income_account", "expense_account"))
        return found | {(ListKind.ACCOUNT, account) for account in accounts if account}


def _items(services: ApiServices, session: Session, company: Company, rows: Sequence[WorkRow]) -> list[WorkItem]:
    now, soap_url = services.clock(), services.public_soap_url
    blocks = _blocks(session, company, [row for row in rows if row.export is None])
    items = []
    for row in rows:
        document = row.document
        differs = (
            row.handed is not None and row.export is not None and row.handed.content_hash != row.export.content_hash
        )
        export = (
            None
            if row.export is None
            else summary_view(row.export, company, now=now, soap_url=soap_url, changed_in_tms=differs)
        )
        sent = export.sent if export is not None else None
        party = document.get("customer" if row.kind == "invoice" else "carrier")
        found = blocks.get(row.position.key, [])
        items.append(
            WorkItem(
                kind=row.kind,
                document_id=row.document_id,
                number=(sent.number if sent is not None else _text(document.get("number"))) or row.document_id,
                party=sent.party.name if sent is not None else _name(party),
                total=sent.total if sent is not None else _text(document.get("total")),
                total_now=_text(document.get("total")),
                currency=sent.currency if sent is not None else _text(document.get("currency")),
                created_at=row.created_at,
                status=_status(export),
                export=export,
                is_handed=row.handed is not None,
                differs=differs,
                blocked_by=found[0] if found else None,
                blocks=len(found),
            )
        )
    return items


def _blocks(session: Session, company: Company, rows: Sequence[WorkRow]) -> dict[str, list[Issue]]:
    """Check documents that were not exported, as an export would; what does not hold them back is left out."""
    known = CachedLists(session, company.id)
    parsed = {row.position.key: parse_document(row.document) for row in rows}
    readable = [document for document in parsed.values() if not isinstance(document, list)]
    known.fetch(_targets(excerpt(company.mapping, *readable)))
    found: dict[str, list[Issue]] = {}
    for key, document in parsed.items():
        issues = document if isinstance(document, list) else checked_with(session, company, document, known)
        errors = [issue for issue in issues if issue.is_error] if isinstance(issues, list) else []
        if errors:
            found[key] = errors
    return found


def _targets(mapping: dict[str, Any]) -> set[tuple[ListKind, str]]:
    found: set[tuple[ListKind, str]] = set()
    for place in PLACES:
        for key, entry in mapping.get(place.section, {}).items():
            at = target_at(place, entry) if place.key in (None, key) else None
            if at is not None and at[1].get("list_id"):
                found.add((at[0].kind, at[1]["list_id"]))
    return found


def _states(status: Status | None) -> list[str] | None:
    if status is None:
        return None
    if status == NOT_EXPORTED:
        return [NOT_EXPORTED]
    return [state.value for state in ExportState if state.status == status]


def _status(export: ExportSummary | None) -> Status:
    found: Any = NOT_EXPORTED if export is None else export.status
    return found  # type: ignore[no-any-return]


def _counts(states: dict[str, int]) -> dict[Status, int]:
    found: dict[Status, int] = dict.fromkeys(("NotExported", "Pending", "Successful", "Failed", "Cancelled"), 0)
    for state, count in states.items():
        status: Any = state if state == NOT_EXPORTED else ExportState(state).status
        found[status] += count
    return found


def _cursor(row: WorkRow) -> str:
    return f"{row.position.at.isoformat()}~{row.position.key}"


def _position(cursor: str | None) -> Position | None:
    if not cursor:
        return None
    at, _, key = cursor.partition("~")
    try:
        found = Position(at=datetime.fromisoformat(at), key=key)
    except ValueError as error:
        raise ProblemError(400, "cursor_invalid", "This page of the list cannot be found; begin at the top.") from error
    if found.at.tzinfo is None:
        raise ProblemError(400, "cursor_invalid", "This page of the list cannot be found; begin at the top.")
    return found


def _name(party: object) -> str:
    return (_text(party.get("name")) or "") if isinstance(party, dict) else ""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
