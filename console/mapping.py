"""Mapping: what stands for what in QuickBooks, section by section."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlencode

from anyio import to_thread
from fastapi import Form, Query, Request
from starlette.responses import JSONResponse, Response

from console.pages import go, note_done, render
from console.routes import acts_as, console_router, is_live, visitor_of
from mapping.places import SECTIONS
from tms_api import choosing, saving, suggesting
from tms_api.auto_retry import Retries
from tms_api.choosing import PasteAnswer
from tms_api.companies import get_company
from tms_api.mapping_view import Show, mapping_page
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, Services
from tms_api.targets import require_place, targets

Section = Literal["charges", "customers", "carriers", "terms", "classes", "defaults"]
Key = Annotated[str, Form(max_length=100)]
Words = Annotated[str, Query(max_length=100)]
Back = Annotated[str, Form(max_length=400)]
TITLES = {name: name.capitalize() for name in SECTIONS}
CHOICES = 30
LEFT_OUT_TOLD = 5
"""Lines left out of a pasted table that are spelled out after saving."""
Message = tuple[str, str]

router = console_router()


@router.get("/c/{company}/mapping", name="console:mapping")
def show_first(company: str, request: Request) -> Response:
    """Lead to the first section."""
    return go(request, f"/c/{company}/mapping/charges")


@router.get("/c/{company}/mapping/{section}", name="console:mapping_section")
def show_section(
    company: str,
    section: Section,
    services: Services,
    request: Request,
    q: Words = "",
    show: Show = "all",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Show a section, or the part of it that a script asks for."""
    return _page(request, services, company, section, {"q": q, "show": show, "start": start})


@router.get("/c/{company}/targets", name="console:targets")
def find_targets(
    company: str, services: Services, place: Annotated[str, Query(max_length=40)], q: Words = ""
) -> Response:
    """Give what a searchable field offers."""
    found = targets(services, company, require_place(place), q.strip(), limit=CHOICES)
    options = [
        {
            "value": one.list_id,
            "label": one.full_name,
            "note": " · ".join(part for part in (_kind(one.kind, one.type), one.reason) if part),
            "disabled": not one.fits,
            "reason": one.reason,
        }
        for one in found.items
    ]
    return JSONResponse({"options": options, "more": found.more})


@router.post("/c/{company}/mapping/{section}/link", **acts_as("PUT", "/mapping/{section}/{key}"))
async def link_one(
    company: str,
    section: Section,
    services: Services,
    retries: Retries,
    request: Request,
    place: Annotated[str, Form(max_length=40)],
    key: Key,
    name: Annotated[str, Form(max_length=300)] = "",
    list_id: Annotated[str, Form(max_length=36)] = "",
    back: Back = "",
) -> Response:
    """Link one place to what was chosen or typed; an empty field takes the link out."""
    where = require_place(place)

    def choose() -> int:
        return choosing.choose(
            services,
            company,
            where,
            key,
            list_id=list_id or None,
            name=name.strip() or None,
            author=author_of(request),
        )

    try:
        retrying = await to_thread.run_sync(choose)
    except ProblemError as problem:
        return await _after(request, services, company, section, back, _told(problem))
    retries.after(company, retrying)
    done = f"{_subject(section, key)} is linked to {name.strip()}." if name.strip() else "The link was taken out."
    return await _after(request, services, company, section, back, [("ok", done + started(retrying))])


@router.post("/c/{company}/mapping/{section}/accept", **acts_as("POST", "/mapping/suggestions/accept"))
async def accept(
    company: str,
    section: Section,
    services: Services,
    retries: Retries,
    request: Request,
    min_score: Annotated[int, Form(ge=1, le=100)],
    back: Back = "",
) -> Response:
    """Accept every suggestion of the section with at least this score and no equal rival."""
    done = await to_thread.run_sync(
        lambda: suggesting.accept_above(services, company, min_score, (), section=section, author=author_of(request))
    )
    retries.after(company, done.retrying)
    count = len(done.linked)
    text = (
        f"{count} link{'' if count == 1 else 's'} made." if count else "No suggestion has that score without a rival."
    )
    kind = "ok" if count else "warn"
    return await _after(request, services, company, section, back, [(kind, text + started(done.retrying))])


@router.get("/c/{company}/mapping/{section}/paste", name="console:paste")
def show_paste(company: str, section: Section, services: Services, request: Request) -> Response:
    """Show where lines from a spreadsheet are pasted."""
    return _paste_page(request, services, company, section, "", None)


@router.post("/c/{company}/mapping/{section}/paste", **acts_as("POST", "/mapping/paste"))
async def paste(
    company: str,
    section: Section,
    services: Services,
    retries: Retries,
    request: Request,
    text: Annotated[str, Form(max_length=choosing.TEXT_MAX)] = "",
    save: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Show what pasted lines would do, or do it."""
    answer = await to_thread.run_sync(
        lambda: choosing.paste(services, company, section, text, save=bool(save), author=author_of(request))
    )
    retries.after(company, answer.retrying)
    if answer.saved and answer.usable:
        told = f"{answer.usable} line{'' if answer.usable == 1 else 's'} saved." + started(answer.retrying)
        wrong = [row for row in answer.rows if row.effect == "error"]
        left_out = [f"Line {row.line} was left out: {row.error} {row.next_step or ''}" for row in wrong[:LEFT_OUT_TOLD]]
        if len(wrong) > LEFT_OUT_TOLD:
            left_out.append(f"{len(wrong) - LEFT_OUT_TOLD} more lines were left out.")
        return go(request, f"/c/{company}/mapping/{section}", ("ok", told), *[("bad", text) for text in left_out])
    return await to_thread.run_sync(_paste_page, request, services, company, section, text, answer)


@router.get("/c/{company}/mapping-changes", name="console:changes")
def show_changes(company: str, services: Services, request: Request) -> Response:
    """Show what was changed lately."""
    return render(
        request,
        "mapping_changes.html",
        company=get_company(company, services, request),
        changes=choosing.changes(services, company, limit=50),
    )


@router.post("/c/{company}/mapping-changes/{change}/undo", **acts_as("POST", "/mapping/changes/{change}/undo"))
async def undo(company: str, change: int, services: Services, retries: Retries, request: Request) -> Response:
    """Take a change back."""
    try:
        retrying = await to_thread.run_sync(saving.undo_change, services, company, change)
    except ProblemError as problem:
        return go(request, f"/c/{company}/mapping-changes", *_told(problem))
    retries.after(company, retrying)
    return go(request, f"/c/{company}/mapping-changes", ("ok", "The change was taken back." + started(retrying)))


def author_of(request: Request) -> str:
    """Name who changes something, as the history shows it."""
    visitor = visitor_of(request)
    return f"Staff ({visitor.caller.key_id})" if visitor.is_staff else "Bookkeeper"


def _page(
    request: Request,
    services: ApiServices,
    company: str,
    section: Section,
    query: dict[str, Any],
    messages: list[Message] | None = None,
) -> Response:
    view = mapping_page(
        services, company, section, text=str(query["q"]).strip(), show=query["show"], start=int(query["start"])
    )
    newest = choosing.changes(services, company, limit=1)
    template = "mapping_part.html" if is_live(request) else "mapping.html"
    return render(
        request,
        template,
        company=get_company(company, services, request),
        view=view,
        query=query,
        back=urlencode(query),
        messages=messages or [],
        titles=TITLES,
        last_change=newest[0] if newest and newest[0].can_undo else None,
    )


async def _after(
    request: Request, services: ApiServices, company: str, section: Section, back: str, messages: list[Message]
) -> Response:
    """Show the section again: the part for a script, the page that the form was on for a browser without."""
    query = _query(back)
    address = f"/c/{company}/mapping/{section}?{urlencode(query)}"
    if is_live(request):
        note_done(request, address, messages)
        return await to_thread.run_sync(_page, request, services, company, section, query, messages)
    return go(request, address, *messages)


def _paste_page(
    request: Request, services: ApiServices, company: str, section: Section, text: str, answer: PasteAnswer | None
) -> Response:
    return render(
        request,
        "mapping_paste_part.html" if is_live(request) else "mapping_paste.html",
        company=get_company(company, services, request),
        section=section,
        text=text,
        answer=answer,
        titles=TITLES,
    )


def _query(back: str) -> dict[str, Any]:
    found = {name: values[0] for name, values in parse_qs(back).items()}
    show = found.get("show", "all")
    start = found.get("start", "0")
    return {
        "q": found.get("q", "")[:100],
        "show": show if show in ("all", "unmapped", "problems", "mapped") else "all",
        "start": int(start) if start.isdecimal() and len(start) < 8 else 0,
    }


def _told(problem: ProblemError) -> list[Message]:
    if problem.issues:
        return [("bad", f"{issue.message} {issue.next_step}") for issue in problem.issues[:3]]
    return [("bad", problem.detail)]


def started(retrying: int) -> str:
    """Say how many failed exports a new link starts again, as the end of a message."""
    if not retrying:
        return ""
    return f" {retrying} failed export{' that waited for it starts' if retrying == 1 else 's that waited start'} again."


def _subject(section: str, key: str) -> str:
    return "The default" if section == "defaults" else key


def _kind(kind: str, kind_type: str) -> str:
    words = "".join(f" {char.lower()}" if char.isupper() else char for char in kind_type).strip()
    if kind == "account":
        return f"{words} account" if words else "account"
    return f"{words} item" if kind == "item" and words else ""
