"""What a person decides about an export that is not as it should be: each choice is one short transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from store import books, exports, queue, states
from store.tables import Company, Export
from tms_api import exporting
from tms_api.access import Caller
from tms_api.companies import CompanyPath, require_company
from tms_api.company_file import name_of
from tms_api.export_models import ExportPanel
from tms_api.exports import DocumentPath, KindPath, panel_of
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute, caller_of
from tms_api.services import ApiServices, Services
from workflows.contracts import ExportState

AT_ONCE = 200
"""Missing exports that one call decides about; the answer says how many are left."""
EXPORT_AGAIN = "export_again"
LEAVE = "leave"
AGAIN_TEXT = "It was not in QuickBooks any more; {who} had it exported again"
LEAVE_TEXT = "It is not in QuickBooks any more; {who} said that it was entered by hand"

Choice = Literal["export_again", "leave"]

router = APIRouter(
    prefix="/v1/companies/{company}",
    tags=["exports"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 409, 422, 500, 503),
)


class Resolution(BaseModel):
    """What to do about an export whose transaction is not in QuickBooks any more."""

    model_config = ConfigDict(extra="forbid")

    choice: Choice = Field(
        description="`export_again`: it goes to QuickBooks once more, as a new transaction. `leave`: it was entered by "
        "hand there, or is not wanted; nothing is sent."
    )


class Resolved(BaseModel):
    """What became of all missing exports."""

    resolved: int = Field(description="How many were decided about by this call.")
    left: int = Field(description="How many are still missing and not decided about: call again until it is 0.")


@router.post("/exports/{kind}/{document_id}/resolve", status_code=202)
def resolve_export(
    company: CompanyPath, kind: KindPath, document_id: DocumentPath, body: Resolution, services: Services,
    request: Request,
) -> ExportPanel:  # fmt: skip
    """Decide about an export whose transaction is not in QuickBooks any more, after a restored backup for example."""
    resolve_one(services, company, kind, document_id, body.choice, caller_of(request))
    return panel_of(services, company, kind, document_id)


@router.post("/missing/resolve", status_code=202)
def resolve_missing(company: CompanyPath, body: Resolution, services: Services, request: Request) -> Resolved:
    """Decide about every export that is not in QuickBooks any more, `connection.missing` of the company."""
    return resolve_all(services, company, body.choice, caller_of(request))


def resolve_one(
    services: ApiServices, company_id: str, kind: str, document_id: str, choice: Choice, caller: Caller
) -> None:
    """Decide about one export; raises `ProblemError` when there is nothing to decide."""
    with services.database.transaction("resolve") as session:
        owner = require_company(session, company_id, lock=True)
        row = exporting.require_export(session, company_id, kind, document_id, lock=True)
        if row.state != ExportState.SUCCESSFUL or row.missing_since is None:
            detail = "Its transaction was not found missing in QuickBooks: there is nothing to decide."
            raise ProblemError(409, "nothing_to_resolve", detail)
        _resolve(services, session, owner, row, choice, name_of(session, caller))


def resolve_all(services: ApiServices, company_id: str, choice: Choice, caller: Caller) -> Resolved:
    """Decide about the missing exports of a company, `AT_ONCE` at most."""
    with services.database.transaction("resolve") as session:
        owner = require_company(session, company_id, lock=True)
        who = name_of(session, caller)
        rows = books.missing_exports(session, company_id, limit=AT_ONCE)
        for row in rows:
            _resolve(services, session, owner, row, choice, who)
        session.flush()
        left, _ = books.count_missing(session, [company_id]).get(company_id, (0, None))
    return Resolved(resolved=len(rows), left=left)


def list_missing(services: ApiServices, company_id: str, *, limit: int) -> Sequence[Export]:
    """Give what is not in QuickBooks any more and undecided, oldest first."""
    with services.database.transaction() as session:
        require_company(session, company_id)
        return books.missing_exports(session, company_id, limit=limit)


def _resolve(services: ApiServices, session: Session, owner: Company, row: Export, choice: Choice, who: str) -> None:
    now = services.clock()
    if choice == LEAVE:
        row.missing_answer = {"choice": choice, "by": who, "at": now.isoformat()}
        row.updated_at = now
        _note(session, row, LEAVE_TEXT.format(who=who), now)
        return
    _note(session, row, AGAIN_TEXT.format(who=who), now)
    for request in queue.requests_of_export(session, row.id):
        if request.state == states.DONE:
            request.state = states.CANCELLED  # its outcome is of the generation that is gone
    books.forget(owner, row)
    row.generation += 1
    row.quickbooks = None
    row.has_differences = False
    row.missing_since = row.missing_answer = None
    exporting.start_anew(services, session, row)


def _note(session: Session, row: Export, text: str, now: datetime) -> None:
    exports.add_timeline(session, row.id, at=now, state=row.state, text=text, key=f"resolve/{row.id}/{now.isoformat()}")
