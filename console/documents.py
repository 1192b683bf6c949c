"""The list of invoices and carrier bills: what waits, what is in QuickBooks, what failed; and doing many at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qs, urlencode

from anyio import to_thread
from fastapi import Form, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from console.pages import go, note_done, render
from console.routes import acts_as, console_router, is_live, visitor_of
from tms_api import many
from tms_api.bulk_models import BULK_MAX, BulkAnswer, ExportRef
from tms_api.companies import get_company
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, Services
from tms_api.work import AGES, Status, WorkQuery, work_items, work_list

Message = tuple[str, str]
Filter = Annotated[str, Query(max_length=100)]
Chosen = Annotated[list[str] | None, Form(max_length=BULK_MAX)]
"""What is ticked in the list."""
Back = Annotated[str, Form(max_length=1000)]
"""The filters that the list had, to show the same one again."""
STATUSES: dict[str, str] = {
    "NotExported": "Not exported",
    "Pending": "Pending",
    "Failed": "Failed",
    "Successful": "Successful",
    "Cancelled": "Cancelled",
}
KINDS = {"invoice": "Invoices", "carrier_bill": "Carrier bills"}
OWNERS = {"tms_user": "TMS user", "bookkeeper": "Bookkeeper", "it": "IT", "us": "TMS.ai"}
OLDER = {"day": "Older than a day", "week": "Older than a week", "month": "Older than a month"}
FILTERS = ("status", "kind", "owner", "older", "books", "q")
TOLD_MAX = 5
"""Refusals of one action that are spelled out; the list shows the others."""

router = console_router()


@router.get("/c/{company}/documents", name="console:documents")
def show_documents(
    company: str,
    services: Services,
    request: Request,
    status: Filter = "",
    kind: Filter = "",
    owner: Filter = "",
    older: Filter = "",
    books: Filter = "",
    q: Filter = "",
    after: Annotated[str, Query(max_length=200)] = "",
    sort: Filter = "",
) -> Response:
    """Show a page of the list; every few seconds a script asks for it again."""
    query = {"status": status, "kind": kind, "owner": owner, "older": older, "books": books, "q": q}
    query |= {"after": after, "sort": sort}
    return _page(request, services, company, query)


@router.post("/c/{company}/documents", **acts_as("POST", "/exports/bulk"))
async def do_nothing(company: str, services: Services, request: Request, back: Back = "") -> Response:
    """Take the form without one of its buttons: which one was meant is never guessed."""
    query = _query(back)
    messages: list[Message] = [("warn", "Nothing was done. Select invoices or carrier bills and press a button.")]
    if is_live(request):
        return await to_thread.run_sync(_page, request, services, company, query, messages)
    return go(request, f"/c/{company}/documents?{urlencode(query)}", *messages)


@router.post("/c/{company}/documents/export", **acts_as("POST", "/exports/bulk"))
async def export_many(
    company: str, services: Services, request: Request, chosen: Chosen = None, back: Back = ""
) -> Response:
    """Export what was selected to QuickBooks Desktop."""
    return await _do(request, services, company, chosen, back, "export")


@router.post("/c/{company}/documents/retry", **acts_as("POST", "/exports/retry"))
async def retry_many(
    company: str, services: Services, request: Request, chosen: Chosen = None, back: Back = ""
) -> Response:
    """Try what failed again."""
    return await _do(request, services, company, chosen, back, "retry")


@router.post("/c/{company}/documents/cancel", **acts_as("POST", "/exports/cancel"))
async def cancel_many(
    company: str, services: Services, request: Request, chosen: Chosen = None, back: Back = ""
) -> Response:
    """Take back what was not sent yet."""
    return await _do(request, services, company, chosen, back, "cancel")


@router.post("/c/{company}/documents/done", **acts_as("POST", "/exports/{kind}/{document_id}/confirm"))
async def mark_done(
    company: str, services: Services, request: Request, chosen: Chosen = None, back: Back = ""
) -> Response:
    """Take a person's word that what was selected is in QuickBooks already."""
    return await _do(request, services, company, chosen, back, "done")


DONE_WORDS = {
    "export": "{} started. Each status stands in the list.",
    "retry": "{} started again. Each status stands in the list.",
    "cancel": "Asked to cancel {}. Each status stands in the list.",
    "done": "Noted for {}. The next update looks it up in QuickBooks.",
}


async def _do(
    request: Request,
    services: ApiServices,
    company: str,
    chosen: list[str] | None,
    back: str,
    what: Literal["export", "retry", "cancel", "done"],
) -> Response:
    refs = _refs(chosen or [])
    messages: list[Message] = [("warn", "Select at least one invoice or carrier bill first.")]
    if refs:
        match what:
            case "export":
                answer = await many.export_handed_each(services, company, refs)
            case "retry":
                answer = await many.retry_each(services, company, refs)
            case "cancel":
                answer = await many.cancel_each(services, company, refs, reason="")
            case "done":
                answer = await many.confirm_each(services, company, refs, caller=visitor_of(request).caller)
        messages = await to_thread.run_sync(_told, services, company, refs, answer, what)
    query = _query(back)
    if is_live(request):
        note_done(request, f"/c/{company}/documents?{urlencode(query)}", messages)
        return await to_thread.run_sync(_page, request, services, company, query, messages)
    return go(request, f"/c/{company}/documents?{urlencode(query)}", *messages)


def _page(
    request: Request,
    services: ApiServices,
    company: str,
    query: dict[str, str],
    messages: list[Message] | None = None,
) -> Response:
    view = work_list(
        services,
        company,
        WorkQuery(
            status=_known(query["status"], get_args(Status)),
            kind=_known(query["kind"], KINDS),
            owner=_known(query["owner"], OWNERS),
            older_than=_known(query["older"], AGES),
            only_differing=query["books"] == "differs",
            text=query["q"].strip() or None,
            after=query["after"] or None,
            oldest_first=query["sort"] == "oldest",
        ),
    )
    return render(
        request,
        "documents_part.html" if is_live(request) else "documents.html",
        company=get_company(company, services, request),
        view=view,
        query=query,
        address=f"/c/{company}/documents?{urlencode(query)}",
        back=urlencode(query),
        link=lambda **changed: f"/c/{company}/documents?{urlencode(_changed(query, changed))}",
        messages=messages or [],
        moved=view.moved if view.counts["Pending"] else None,
        statuses=STATUSES,
        kinds=KINDS,
        owners=OWNERS,
        older=OLDER,
        is_filtered=any(query[name] for name in FILTERS),
    )


def _changed(query: dict[str, str], changed: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in {**query, "after": "", **changed}.items() if value}


def _query(back: str) -> dict[str, str]:
    found = {name: values[0][:200] for name, values in parse_qs(back).items()}
    return {name: found.get(name, "") for name in (*FILTERS, "after", "sort")}


def _refs(chosen: list[str]) -> list[ExportRef]:
    try:
        named = [one.split("/", 1) for one in dict.fromkeys(chosen)]
        return [ExportRef.model_validate({"kind": kind, "document_id": key}) for kind, key in named]
    except (ValueError, ValidationError) as error:
        raise ProblemError(422, "request_invalid", "The selection cannot be read; select again.") from error


def _told(services: ApiServices, company: str, refs: list[ExportRef], answer: BulkAnswer, what: str) -> list[Message]:
    messages: list[Message] = []
    if answer.accepted:
        # Nothing has ended yet, so nothing of it is green.
        counted = f"{answer.accepted} export{'' if answer.accepted == 1 else 's'}"
        messages.append(("info", DONE_WORDS[what].format(counted)))
    refused = [item for item in answer.items if item.problem is not None]
    named = [refs[item.index] for item in refused[:TOLD_MAX]]
    numbers = {one.document_id: one.number for one in work_items(services, company, named)}
    for item in refused[:TOLD_MAX]:
        problem = item.problem
        text = problem.detail if problem is not None else ""
        if problem is not None and problem.issues:
            text = f"{problem.issues[0].message} {problem.issues[0].next_step}"
        messages.append(("bad", f"{numbers.get(str(item.document_id), item.document_id)}: {text}"))
    if len(refused) > TOLD_MAX:
        messages.append(("bad", f"{len(refused) - TOLD_MAX} more could not be done; the list shows why."))
    return messages


def _known(value: str, known: Any) -> Any:
    return value if value in known else None
