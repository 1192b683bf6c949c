"""One document as a person reviews it: each field with its link to QuickBooks and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mapping.documents import BillLine, CarrierBill, Invoice, InvoiceLine, parse_document
from mapping.fitting import without_class
from mapping.issues import Change, Issue
from mapping.links import Link, excerpt, links_of
from mapping.lists import CompanyFacts
from mapping.places import Place, places_of
from mapping.roles import WORDS
from qbxml.redact import redacted
from store import exports, queue, worklist
from store.tables import Company, MessageSet, Request
from tms_api import exporting
from tms_api.companies import require_company
from tms_api.export_models import ExportPanel, Preview
from tms_api.exports import panel_of
from tms_api.problems import ProblemError
from tms_api.saving import accepted
from tms_api.sent import SentDocument
from tms_api.services import ApiServices
from workflows.contracts import OUTCOME_UNKNOWN, ExportState

PLAIN_FIELDS = ("number", "date", "due_date", "currency", "total", "bill_to", "remit_to", "memo", "references")


@dataclass(frozen=True, kw_only=True)
class LinkView:
    """What a field of the document is in QuickBooks."""

    place: Place
    section: str
    key: str
    name: str
    word: str
    """What the entry is: `item`, `account`, `customer`."""
    list_id: str | None
    full_name: str | None
    is_default: bool
    """The company's default applies, for there is no entry of its own."""
    issues: list[Issue]

    @property
    def is_set(self) -> bool:
        """Say whether something is linked."""
        return self.list_id is not None or self.full_name is not None

    @property
    def is_wrong(self) -> bool:
        """Say whether something stands in the way, and not only a warning."""
        return any(issue.is_error for issue in self.issues)


@dataclass(frozen=True, kw_only=True)
class LineView:
    """One charge."""

    number: int
    charge: str
    description: str
    quantity: str
    rate: str
    amount: str
    link: LinkView | None
    customer: LinkView | None
    issues: list[Issue]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request of an export and what came of it, without what is private."""

    request_id: str
    state: str
    attempt: int
    queued_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    request: str | None
    answer: str | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class Review:
    """Everything that the page of a document shows."""

    kind: str
    document_id: str
    number: str
    document: dict[str, Any]
    is_readable: bool
    is_handed: bool
    differs: bool
    created_at: datetime
    party: LinkView | None
    terms: LinkView | None
    class_link: LinkView | None
    defaults: list[LinkView]
    lines: list[LineView]
    beside: dict[str, list[Issue]] = field(default_factory=dict)
    """Issues by the field that they stand beside: `number`, `date`, `due_date`, `total`, `currency`, `bill_to`."""
    general: list[Issue] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    ref_number: str | None = None
    export: ExportPanel | None = None
    errors: int = 0
    """How many issues keep it back; counted only where an export would check them now."""

    @property
    def status(self) -> str:
        """Give the word that people see."""
        return "NotExported" if self.export is None else self.export.status

    @property
    def is_unknown(self) -> bool:
        """Say whether it may already be in QuickBooks."""
        return self.export is not None and self.export.error is not None and self.export.error.code == OUTCOME_UNKNOWN

    @property
    def is_out(self) -> bool:
        """Say whether QuickBooks has it, or has been handed it: no link changes it any more."""
        return self.export is not None and self.export.state in (ExportState.SENT, ExportState.SUCCESSFUL)

    @property
    def sent(self) -> SentDocument | None:
        """Give what was sent, for what is out."""
        return self.export.sent if self.export is not None and self.is_out else None

    @property
    def can_export(self) -> bool:
        """Say whether exporting it is the next step."""
        return self.is_handed and not self.errors and (self.status == "NotExported" or self._is_changed_and_ended)

    @property
    def can_retry(self) -> bool:
        """Say whether it can start again as it stands."""
        return self.status in ("Failed", "Cancelled") and not self.is_unknown

    @property
    def can_confirm(self) -> bool:
        """Say whether a person's word can end it."""
        return self.status in ("Failed", "Cancelled")

    @property
    def can_cancel(self) -> bool:
        """Say whether it was not sent yet."""
        return self.export is not None and self.export.state in (ExportState.MAPPED, ExportState.QUEUED)

    @property
    def _is_changed_and_ended(self) -> bool:
        return self.differs and self.status in ("Failed", "Cancelled")


def review(services: ApiServices, company_id: str, kind: str, document_id: str) -> Review:
    """Show one document; raises `ProblemError` when neither the TMS handed it over nor anybody exported it."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        row = worklist.find(session, company_id, kind, document_id)
        if row is None:
            raise ProblemError(404, "document_not_found", "This document was not handed over, or was taken back.")
        parsed = parse_document(row.document)
        links = [] if isinstance(parsed, list) else _links(company, parsed)
    export = None if row.export is None else panel_of(services, company_id, kind, document_id)
    is_open = export is None or export.status in ("Failed", "Cancelled")
    preview = exporting.preview(services, company_id, row.document) if is_open else None
    issues = preview.issues if preview is not None else []
    has_errors = any(issue.is_error for issue in issues)
    fields = _Fields(kind, links, issues)
    document = row.document
    return Review(
        kind=kind,
        document_id=document_id,
        number=_text(document.get("number")) or document_id,
        document=document,
        is_readable=not isinstance(parsed, list),
        is_handed=row.handed is not None,
        differs=row.handed is not None
        and row.export is not None
        and row.handed.content_hash != row.export.content_hash,
        created_at=row.created_at,
        party=fields.link("carrier.id" if kind == "carrier_bill" else "customer.id"),
        terms=fields.link("terms"),
        class_link=fields.link("class"),
        defaults=fields.defaults(),
        lines=[fields.line(index, line) for index, line in enumerate(_lines(parsed))],
        beside=fields.beside(),
        general=fields.general(),
        changes=export.changes if export is not None and (preview is None or has_errors) else _changes(preview),
        ref_number=(export.ref_number if export else None) or (preview.ref_number if preview else None),
        export=export,
        errors=sum(issue.is_error for issue in issues),
    )


class _Fields:
    """The links and issues of a document, given out field by field; what no field takes is general."""

    def __init__(self, kind: str, links: list[Link], issues: list[Issue]) -> None:
        self._kind = kind
        self._links = {link.path: link for link in links}
        self._left = list(issues)
        self._beside: dict[str, list[Issue]] = {}

    def link(self, path: str) -> LinkView | None:
        """Give the link of a field with the issues that stand there."""
        link = self._links.get(path)
        if link is None:
            return None
        return self._view(link, self._take(path, path.removesuffix(".id")))

    def defaults(self) -> list[LinkView]:
        """Give the links that the company's defaults add."""
        found = [link for link in self._links.values() if link.section == "defaults"]
        return [self._view(link, self._take(link.path)) for link in found]

    def line(self, index: int, line: InvoiceLine | BillLine) -> LineView:
        """Give one line."""
        path = f"lines[{index}]"
        return LineView(
            number=index + 1,
            charge=line.charge,
            description=line.description or "",
            quantity="" if line.quantity is None else f"{line.quantity.normalize():f}",
            rate="" if line.rate is None else str(line.rate),
            amount=str(line.amount),
            link=self.link(f"{path}.charge"),
            customer=self.link(f"{path}.customer.id"),
            issues=self._take(path, under=f"{path}."),
        )

    def beside(self) -> dict[str, list[Issue]]:
        """Give the issues of the plain fields."""
        return {name: found for name in PLAIN_FIELDS if (found := self._take(name, under=f"{name}."))}

    def general(self) -> list[Issue]:
        """Give what is left."""
        return self._left

    def _take(self, *paths: str, under: str | None = None) -> list[Issue]:
        def is_meant(issue: Issue) -> bool:
            return issue.path in paths or (under is not None and issue.path.startswith(under))

        found = [issue for issue in self._left if is_meant(issue)]
        self._left = [issue for issue in self._left if not is_meant(issue)]
        return found

    def _view(self, link: Link, issues: list[Issue]) -> LinkView:
        return LinkView(
            place=self._place(link),
            section=link.section,
            key=link.key,
            name=link.name,
            word=WORDS[link.role.kind],
            list_id=link.target.list_id if link.target else None,
            full_name=link.target.full_name if link.target else None,
            is_default=link.is_default,
            issues=issues,
        )

    def _place(self, link: Link) -> Place:
        wanted = self._kind if link.section == "charges" else link.name if link.section == "defaults" else None
        return next(
            place
            for place in places_of(link.section)
            if (place.field == wanted or wanted is None) and place.key in (None, link.key)
        )


def exchanges(services: ApiServices, company_id: str, kind: str, document_id: str) -> list[Exchange]:
    """Give what went to QuickBooks for a document and what came back, newest first; for staff."""
    with services.database.transaction() as session:
        require_company(session, company_id)
        export = exports.find_export(session, company_id, kind, document_id)
        if export is None:
            return []
        found = queue.requests_of_export(session, export.id)
        return [_exchange(session, request) for request in found]


def _exchange(session: Session, request: Request) -> Exchange:
    sent = session.get(MessageSet, request.message_set_id) if request.message_set_id else None
    return Exchange(
        request_id=request.id,
        state=request.state,
        attempt=request.attempt,
        queued_at=request.created_at,
        sent_at=sent.sent_at if sent is not None else None,
        answered_at=sent.answered_at if sent is not None else None,
        request=redacted(request.body),
        answer=redacted(sent.response, request.id) if sent is not None and sent.response else None,
        problem=(sent.hresult or "") if sent is not None else "",
    )


def _links(company: Company, document: Invoice | CarrierBill) -> list[Link]:
    document = without_class(document, CompanyFacts.model_validate(company.preferences or {}))
    return links_of(document, accepted(excerpt(company.mapping, document)))


def _lines(parsed: Invoice | CarrierBill | list[Issue]) -> Sequence[InvoiceLine | BillLine]:
    return () if isinstance(parsed, list) else parsed.lines


def _changes(preview: Preview | None) -> list[Change]:
    return preview.changes if preview is not None else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
