"""A mapped document as a request of the queue, and mapping one again that still waits there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from activities.checking import checked
from activities.failures import failure_of
from activities.look_before import CLOCKS_MAY_DIFFER, facts_of
from mapping.documents import CarrierBill, Invoice, parse_document, party_of
from mapping.issues import Issue
from mapping.result import Mapped
from qbxml.envelope import build_request_element
from store import exports
from store.tables import Company, Export, Request
from workflows.contracts import Failure

CHANGED_TEXT = "The mapping, or the lists of QuickBooks, changed while it waited"


def request_values(
    document: Invoice | CarrierBill, mapped: Mapped, *, request_id: str, external_guid: str
) -> dict[str, Any]:
    """Give the columns of a request that follow from the mapping."""
    return {
        "operation": "BillAdd" if isinstance(document, CarrierBill) else "InvoiceAdd",
        "body": build_request_element(mapped.transaction, request_id),
        "facts": facts_of(document, mapped, external_guid),
        "currency": mapped.sent["currency"],
    }


def reserve_number(
    session: Session, company: Company, document: Invoice | CarrierBill, ref_number: str, *, holds_none: bool = False
) -> None:
    """Keep a number from other documents; `holds_none` says that the document reserved none before."""
    exports.reserve_ref_number(
        session,
        company_id=company.id,
        kind=document.kind,
        party_id=party_of(document),
        ref_number=ref_number,
        document_id=document.id,
        holds_none=holds_none,
    )


class Remapping:
    """Maps waiting requests again when the mapping or the lists changed since: what leaves is what is true today.

    The bridge calls it when it hands requests out, and holds the company: what QuickBooks may have is never altered.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def __call__(self, session: Session, request: Request) -> Failure | None:
        """Bring one waiting request to today's mapping; gives why it cannot be sent any more, if so.

        The GUID stays, and with it what a look for an earlier attempt finds.
        """
        if not request.body:
            return None  # it looks up a person's word and writes nothing
        company, export = session.get_one(Company, request.company_id), session.get_one(Export, request.export_id)
        document, guid = parse_document(export.document), request.facts["external_guid"]
        if isinstance(document, list):
            return _unsendable(document)
        mapped = checked(session, company, document, external_guid=guid)
        if isinstance(mapped, list):
            return _unsendable(mapped)
        values = request_values(document, mapped, request_id=request.id, external_guid=guid)
        if values["body"] == request.body:
            return None
        if mapped.ref_number != export.ref_number:
            reserve_number(session, company, document, mapped.ref_number)
        self._note(session, export, request, mapped, values["facts"], company.mapping_version)
        if request.attempt:
            request.look = _with_earlier(request)
        request.body, request.facts, request.currency = values["body"], values["facts"], values["currency"]
        request.looked_by = None  # what was looked for before may have been of another customer or vendor
        return None

    def _note(
        self, session: Session, export: Export, request: Request, mapped: Mapped, facts: dict[str, Any], version: int
    ) -> None:
        now = self._clock()
        export.ref_number, export.sent = mapped.ref_number, mapped.sent
        export.changes = [change.model_dump(mode="json") for change in mapped.changes]
        export.updated_at = now
        before, after = (one["entity_full_name"] or one["entity_list_id"] for one in (request.facts, facts))
        goes = f"it now goes to {after} instead of {before}" if before != after else "it goes with today's mapping"
        key = f"{request.run_id}/mapped/{version}"
        exports.add_timeline(session, export.id, at=now, state=export.state, text=f"{CHANGED_TEXT}: {goes}", key=key)


def _with_earlier(request: Request) -> dict[str, Any]:
    """Let the look before the next attempt find the one before, too, under the party and number that it left with."""
    look, before = dict(request.look or {}), request.facts
    names = ("ref_number", "entity_list_id", "entity_full_name")
    look["earlier"] = [*look.get("earlier", ()), {name: before[name] for name in names}]
    look["since"] = look.get("since") or (request.created_at - CLOCKS_MAY_DIFFER).date().isoformat()
    return look


def _unsendable(issues: list[Issue]) -> Failure:
    failure = failure_of(issues)
    return failure.model_copy(update={"explanation": f"{CHANGED_TEXT}. {failure.explanation}"})
