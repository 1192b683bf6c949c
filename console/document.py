"""One invoice or carrier bill with its Data Panel: what goes where, what is wrong with it, what QuickBooks says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Form, Request
from starlette.responses import Response

from console.documents import KINDS, OWNERS, STATUSES
from console.mapping import author_of, started
from console.pages import go, note_done, render
from console.routes import acts_as, console_router, is_live, visitor_of
from tms_api import choosing, claims, exporting
from tms_api.auto_retry import Retries
from tms_api.companies import get_company
from tms_api.documents import export_handed
from tms_api.exports import DocumentPath, KindPath
from tms_api.pending import checks_of
from tms_api.problems import ProblemError
from tms_api.resolving import MissingChoice, resolve_one
from tms_api.review import exchanges, review
from tms_api.services import ApiServices, Services
from tms_api.targets import require_place

Message = tuple[str, str]
TXN_ID = re.compile(r"[0-9A-Fa-f]+-[0-9]+")
ADDRESS = "/c/{company}/documents/{kind}/{document_id}"
API = "/exports/{kind}/{document_id}"

router = console_router()


@router.get(ADDRESS, name="console:document")
def show_document(
    company: str, kind: KindPath, document_id: DocumentPath, services: Services, request: Request
) -> Response:
    """Show the document; every few seconds a script asks for it again."""
    return _page(request, services, company, kind, document_id)


@router.post(f"{ADDRESS}/export", **acts_as("POST", "/documents/{kind}/{document_id}/export"))
async def export_document(
    company: str, kind: KindPath, document_id: DocumentPath, services: Services, request: Request
) -> Response:
    """Export it to QuickBooks Desktop as it was handed over."""
    return await _do(
        request,
        services,
        (company, kind, document_id),
        "The export was started; its status stands below.",
        lambda: export_handed(services, company, kind, document_id, confirmed_absent=False),
    )


@router.post(f"{ADDRESS}/retry", **acts_as("POST", f"{API}/retry"))
async def retry(
    company: str,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    request: Request,
    absent: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Try it again; `absent` is a person's word that it is not in QuickBooks."""
    return await _do(
        request,
        services,
        (company, kind, document_id),
        "It was started again; its status stands below.",
        lambda: exporting.prepare_retry(services, company, kind, document_id, confirmed_absent=bool(absent)),
    )


@router.post(f"{ADDRESS}/confirm", **acts_as("POST", f"{API}/confirm"))
async def confirm(
    company: str,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    request: Request,
    txn_id: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """Take a person's word that it is in QuickBooks."""
    given = txn_id.strip()
    if given and (len(given) > 36 or not TXN_ID.fullmatch(given)):
        told = "This is no QuickBooks ID number: it looks like 5A2B-1767225600. Leave the field empty if you have none."
        return await _after(request, services, (company, kind, document_id), [("bad", told)])
    return await _do(
        request,
        services,
        (company, kind, document_id),
        "Noted: it will not be sent again. The next update looks it up in QuickBooks.",
        lambda: claims.confirm_present(
            services, company, kind, document_id, txn_id=given or None, caller=visitor_of(request).caller
        ),
    )


@router.post(f"{ADDRESS}/export-anyway", **acts_as("POST", f"{API}/resolve"))
async def export_anyway(
    company: str, kind: KindPath, document_id: DocumentPath, services: Services, request: Request
) -> Response:
    """Take a person's word that what was found in QuickBooks is something else."""
    return await _do(
        request,
        services,
        (company, kind, document_id),
        "The export was started; its status stands below.",
        lambda: claims.export_anyway(services, company, kind, document_id, caller=visitor_of(request).caller),
    )


@router.post(f"{ADDRESS}/resolve", **acts_as("POST", f"{API}/resolve"))
async def resolve(
    company: str,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    request: Request,
    choice: Annotated[MissingChoice, Form()],
) -> Response:
    """Decide about a transaction that is not in QuickBooks any more."""
    done = (
        "The export was started again; its status stands below."
        if choice == "export_again"
        else "Noted: nothing is sent."
    )
    caller = visitor_of(request).caller
    return await _do(
        request,
        services,
        (company, kind, document_id),
        done,
        lambda: resolve_one(services, company, kind, document_id, choice, caller),
    )


@router.post(f"{ADDRESS}/cancel", **acts_as("POST", f"{API}/cancel"))
async def cancel(
    company: str, kind: KindPath, document_id: DocumentPath, services: Services, request: Request
) -> Response:
    """Take it back before it is sent."""
    messages: list[Message] = [("info", "Cancelling was asked for; its status stands below.")]
    try:
        await exporting.cancel(services, company, kind, document_id, reason="")
    except ProblemError as problem:
        messages = told(problem)
    return await _after(request, services, (company, kind, document_id), messages)


@router.post(f"{ADDRESS}/link", **acts_as("PUT", "/mapping/{section}/{key}"))
async def link(
    company: str,
    kind: KindPath,
    document_id: DocumentPath,
    services: Services,
    retries: Retries,
    request: Request,
    place: Annotated[str, Form(max_length=40)],
    key: Annotated[str, Form(max_length=100)],
    name: Annotated[str, Form(max_length=300)] = "",
    list_id: Annotated[str, Form(max_length=36)] = "",
) -> Response:
    """Link a customer, a carrier or a charge of the document where it stands: the same entry of the mapping."""
    where = require_place(place)
    author = author_of(request)
    if not list_id and not name.strip():
        messages: list[Message] = [("warn", "Choose an entry of QuickBooks first.")]
        return await _after(request, services, (company, kind, document_id), messages)
    try:
        retrying = await to_thread.run_sync(
            lambda: choosing.choose(
                services, company, where, key, list_id=list_id or None, name=name.strip() or None, author=author
            )
        )
    except ProblemError as problem:
        return await _after(request, services, (company, kind, document_id), told(problem))
    retries.after(company, retrying)
    text = (f"Linked to {name.strip()}." if name.strip() else "Linked.") + started(retrying)
    return await _after(request, services, (company, kind, document_id), [("ok", text)])


def told(problem: ProblemError) -> list[Message]:
    """Say a refusal as messages of a page."""
    if problem.issues:
        return [("bad", f"{issue.message} {issue.next_step}") for issue in problem.issues[:3]]
    return [("bad", problem.detail)]


async def _do(
    request: Request, services: ApiServices, which: tuple[str, str, str], done: str, act: Callable[[], object]
) -> Response:
    # Nothing has ended yet, so nothing of it is green.
    messages: list[Message] = [("info", done)]
    try:
        await to_thread.run_sync(act)
    except ProblemError as problem:
        messages = told(problem)
    return await _after(request, services, which, messages)


async def _after(
    request: Request, services: ApiServices, which: tuple[str, str, str], messages: list[Message]
) -> Response:
    company, kind, document_id = which
    address = f"/c/{company}/documents/{kind}/{document_id}"
    if is_live(request):
        note_done(request, address, messages)
        return await to_thread.run_sync(_page, request, services, *which, messages)
    return go(request, address, *messages)


def _page(
    request: Request,
    services: ApiServices,
    company: str,
    kind: str,
    document_id: str,
    messages: list[Message] | None = None,
) -> Response:
    view = review(services, company, kind, document_id)
    is_staff = request.state.visitor.is_staff
    return render(
        request,
        "document_part.html" if is_live(request) else "document.html",
        company=get_company(company, services, request),
        view=view,
        checks=checks_of(services, company) if view.status == "Pending" else [],
        exchanges=exchanges(services, company, kind, document_id) if is_staff else [],
        messages=messages or [],
        statuses=STATUSES,
        owners=OWNERS,
        kinds=KINDS,
        word="carrier bill" if kind == "carrier_bill" else "invoice",
    )
