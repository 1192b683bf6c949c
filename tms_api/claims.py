"""A person's word about an export and QuickBooks: it is there as this transaction, or none of those there is it.

Neither is believed blindly: the next session looks it up, compares it and says what it found (qbwc_bridge/looking.py).
Each is one short transaction; who said it is kept.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from store import exports
from store.tables import ApiKey, Export
from tms_api.access import Caller
from tms_api.companies import require_company
from tms_api.exporting import Accepted, require_export, restart
from tms_api.problems import ProblemError
from tms_api.services import ApiServices
from workflows.contracts import OUTCOME_UNKNOWN, ExportState

ENDED = (ExportState.FAILED, ExportState.CANCELLED)


def said_by(session: Session, caller: Caller) -> str:
    """Name who sent a request, for the history."""
    key = session.get(ApiKey, caller.key_id)
    return f'key "{key.name}"' if key is not None else "a bookkeeper in the console"


def confirm_present(
    services: ApiServices, company_id: str, kind: str, document_id: str, *, txn_id: str | None, caller: Caller
) -> Accepted:
    """Take a person's word that it is in QuickBooks; it becomes Successful when the next session has seen it there."""
    now = services.clock()
    with services.database.transaction("confirm") as session:
        row = _ended(session, company_id, kind, document_id, "not_confirmable", "confirmed")
        by = said_by(session, caller)
        is_seen = txn_id is not None and txn_id in candidates_of(row)
        row.claim = {"txn_id": txn_id, "by": by, "at": now.isoformat(), "is_seen": is_seen}
        under = f" under the TxnID {txn_id}" if txn_id else ""
        _note(services, session, row, f"{_sentence(by)} said that it is in QuickBooks{under}; that is looked up there")
        return restart(services, session, row, confirmed_absent=False)


def export_anyway(services: ApiServices, company_id: str, kind: str, document_id: str, *, caller: Caller) -> Accepted:
    """Take a person's word that what was found is something else; only what they saw is left out of the next look."""
    with services.database.transaction("export_anyway") as session:
        row = _ended(session, company_id, kind, document_id, "nothing_to_resolve", "exported all the same")
        found = candidates_of(row)
        if not found:
            detail = "Nothing was found in QuickBooks that resembles it: retry the export, or confirm it."
            raise ProblemError(409, "nothing_to_resolve", detail)
        row.claim = None
        row.ruled_out = sorted({*(row.ruled_out or ()), *found})
        by, named = said_by(session, caller), ", ".join(found)
        _note(services, session, row, f"{_sentence(by)} said that it is not {named}, and had it exported all the same")
        is_unknown = (row.error or {}).get("code") == OUTCOME_UNKNOWN
        return restart(services, session, row, confirmed_absent=is_unknown)


def candidates_of(row: Export) -> list[str]:
    """Give the TxnIDs that were found for an export that failed."""
    return [one["txn_id"] for one in (row.error or {}).get("candidates", ())]


def _ended(session: Session, company_id: str, kind: str, document_id: str, code: str, what: str) -> Export:
    require_company(session, company_id)
    row = require_export(session, company_id, kind, document_id, lock=True)
    if row.state not in ENDED:
        raise ProblemError(409, code, f"The export is {row.state}; only a Failed or Cancelled one can be {what}.")
    return row


def _note(services: ApiServices, session: Session, row: Export, text: str) -> None:
    now = services.clock()
    key = f"said/{row.id}/{now.isoformat()}"
    exports.add_timeline(session, row.id, at=now, state=row.state, text=text, key=key)


def _sentence(who: str) -> str:
    return who[0].upper() + who[1:]
