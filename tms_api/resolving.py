"""What a person decides about an export that is not as it should be: each choice is one short transaction."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from tms_api import claims
from tms_api.companies import CompanyPath
from tms_api.export_models import ExportPanel, TxnId
from tms_api.exports import DocumentPath, KindPath, panel_of
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute, caller_of
from tms_api.services import Services

router = APIRouter(
    prefix="/v1/companies/{company}",
    tags=["exports"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 409, 422, 500, 503),
)


class Resolution(BaseModel):
    """What to do about an export about which a person must decide."""

    model_config = ConfigDict(extra="forbid")

    choice: Literal["adopt", "export_anyway"] = Field(
        description="`adopt`: the transaction `txn_id` in QuickBooks is this document; nothing is sent. "
        "`export_anyway`: what was found is something else; the document is sent, if nothing more is found."
    )
    txn_id: TxnId | None = Field(
        default=None, description="With `adopt`: TxnID of the transaction, one of `error.candidates` for example."
    )


@router.post("/exports/{kind}/{document_id}/resolve", status_code=202)
def resolve_export(
    company: CompanyPath,
    kind: KindPath,
    document_id: DocumentPath,
    body: Resolution,
    services: Services,
    request: Request,
) -> ExportPanel:
    """Decide about an export for which QuickBooks holds what looks like it, `error.candidates` of the export."""
    caller = caller_of(request)
    if body.choice == "adopt":
        if body.txn_id is None:
            raise ProblemError(422, "txn_id_missing", "Name the transaction: `adopt` needs its `txn_id`.")
        claims.confirm_present(services, company, kind, document_id, txn_id=body.txn_id, caller=caller)
    else:
        claims.export_anyway(services, company, kind, document_id, caller=caller)
    return panel_of(services, company, kind, document_id)
