"""QuickBooks' lists: looking entries up, and asking for a sync."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query

from mapping.lists import ListKind
from store import list_syncs, lists, outbox
from store.lists import Position
from tms_api.companies import CompanyPath, require_company
from tms_api.list_models import ExternalItemList, ListsView, SyncRequest, item_view, lists_view
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import ApiServices, Services
from workflows import contracts

router = APIRouter(
    prefix="/v1/companies/{company}",
    tags=["lists"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.post("/sync", status_code=202)
async def sync_lists(
    company: CompanyPath, services: Services, body: Annotated[SyncRequest | None, Body()] = None
) -> ListsView:
    """Refresh QuickBooks' lists at the Web Connector's next session. Repeating it is harmless."""
    return await to_thread.run_sync(lambda: _request(services, company, full=body is not None and body.full))


@router.get("/external-items")
def list_external_items(
    company: CompanyPath,
    services: Services,
    kind: Annotated[ListKind | None, Query(description="Only this list.")] = None,
    q: Annotated[
        str, Query(max_length=200, pattern=r"^[^\x00]*$", description="Words that the name holds, or their beginnings.")
    ] = "",
    active: Annotated[bool | None, Query(description="Only active, or only inactive entries.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Entries on a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=1000, pattern=r"^[A-Za-z0-9_\-=]*$", description="From the page before.")
    ] = None,
) -> ExternalItemList:
    """Search the lists that came over from QuickBooks; without case, the best matches first."""
    after = _position(cursor) if cursor else None
    with services.database.transaction() as session:
        require_company(session, company)
        found = lists.search(
            session, company, kind=kind, text=q, is_active=active, after=after, limit=limit + 1
        )  # fmt: skip
    page = found[:limit]
    return ExternalItemList(
        items=[item_view(row) for row, _ in page],
        cursor=_cursor(Position(rank=page[-1][1], name_key=page[-1][0].name_key, list_id=page[-1][0].list_id))
        if len(found) > limit
        else None,
    )


def _request(services: ApiServices, company: str, *, full: bool) -> ListsView:
    with services.database.transaction() as session:
        require_company(session, company, lock=True)
        sync = list_syncs.request_sync(session, company, at=services.clock(), full=full)
        event = contracts.SyncMoved(company_id=company, run=sync.run, state=sync.state)
        outbox.add_start(
            session,
            workflow_id=contracts.sync_workflow_id(company),
            start=contracts.sync_start(event).model_dump(mode="json"),
            at=services.clock(),
        )
        rows = {row.kind: row for row in list_syncs.list_syncs(session, company)}
        return lists_view(sync, rows)


def _cursor(position: Position) -> str:
    text = json.dumps([position.rank, position.name_key, position.list_id])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _position(cursor: str) -> Position:
    try:
        rank, name_key, list_id = json.loads(base64.urlsafe_b64decode(cursor))
        return Position(rank=int(rank), name_key=str(name_key), list_id=str(list_id))
    except (ValueError, TypeError, binascii.Error) as error:
        raise ProblemError(400, "cursor_invalid", "The cursor is not one that a page before gave.") from error
