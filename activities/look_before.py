"""What the bridge must know to look for a document before it is written (qbwc_bridge/looking.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from activities.checking import UNSENT_GUID, checked
from activities.queued import request_values
from mapping.documents import CarrierBill, Invoice
from store import queue
from store.tables import Company, Export, Request
from workflows import contracts

CLOCKS_MAY_DIFFER = timedelta(days=1)
"""The clock and the zone of the QuickBooks computer are not ours."""
NUMBER_MAX = {"invoice": 11, "carrier_bill": 20}


def look_before(
    session: Session, row: Export, *, is_first: bool, confirmed_absent: bool, now: datetime
) -> dict[str, Any] | None:
    """Give what a look for an export needs beside its facts, as `qbwc_bridge.looking.Look`; None: nothing.

    `is_first` says that it was never queued. Where an earlier attempt may have arrived, the look is deep and never left
    out, whatever a person said of it.
    """
    earlier = () if is_first else queue.requests_of_export(session, row.id)
    guids = [guid for one in earlier if (guid := one.facts.get("external_guid"))]
    may_be_there = [one for one in earlier if _may_have_arrived(one)]
    look: dict[str, Any] = {}
    if guids:
        look["guids"] = guids
    if row.ruled_out:
        look["ruled_out"] = list(row.ruled_out)
    if may_be_there or confirmed_absent:
        first = min((one.created_at for one in may_be_there), default=row.created_at or now)
        look["since"] = (first - CLOCKS_MAY_DIFFER).date().isoformat()
    return look or None


def facts_of_claim(session: Session, owner: Company, row: Export, document: Invoice | CarrierBill) -> dict[str, Any]:
    """Give those of a document that was never queued: what is not mapped is not compared."""
    mapped = checked(session, owner, document, external_guid=UNSENT_GUID)
    if not isinstance(mapped, list):
        facts: dict[str, Any] = request_values(document, mapped, request_id="claim", external_guid="")["facts"]
        return facts
    return {
        "ref_number": row.ref_number or document.number[-NUMBER_MAX[row.kind] :],
        "entity_list_id": None,
        "entity_full_name": None,
        "total": str(document.total),
        "txn_date": document.date.isoformat(),
        "external_guid": "",
    }


def _may_have_arrived(request: Request) -> bool:
    """Say whether a request left and QuickBooks never said what became of it."""
    failure = (request.outcome or {}).get("failure") or {}
    return bool(request.attempt) and failure.get("code") == contracts.OUTCOME_UNKNOWN
