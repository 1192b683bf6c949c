"""Linking by hand: one place of the mapping at a time, or many lines that were pasted from a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from activities.company_lists import StoreLists, loaded_lists
from mapping.fits import fits
from mapping.issues import Issue
from mapping.lists import ListItem, Lists
from mapping.pasted import LINES_MAX, PastedLine, read_pasted
from mapping.places import Place, entry_with, place, target_at
from mapping.roles import Role
from mapping.rules import Target
from mapping.targets import subject, target_issues
from store import mapping_changes
from store.mapping_tables import MappingChange
from store.tables import Company
from tms_api import saving
from tms_api.auto_retry import Retries
from tms_api.companies import CompanyPath, require_company
from tms_api.problems import ProblemError, documented
from tms_api.saving import LOOK_UPS_MAX, Entry, accepted, mapping_problem, put_entries
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import ApiServices, Services

TEXT_MAX = 1_000_000
SHOWN_OF_A_CHANGE = 3

router = APIRouter(
    prefix="/v1/companies/{company}/mapping",
    tags=["mapping"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


class PasteRequest(BaseModel):
    """Lines from a spreadsheet."""

    model_config = ConfigDict(extra="forbid")

    section: Literal["charges", "customers", "carriers", "terms", "classes"] = Field(description="Part of the mapping.")
    text: Annotated[str, StringConstraints(max_length=TEXT_MAX, pattern=r"^[^\x00]*$")] = Field(
        description="A line for each entry: code or id, then the name in QuickBooks; a charge has two names, for "
        f"invoices and for carrier bills. Tabs, semicolons or commas part the columns. At most {LINES_MAX} lines.",
        examples=["cus_88,Cafe Rio Foods\ncus_91,Bluebonnet Produce"],
    )
    save: bool = Field(default=False, strict=True, description="False: only say what saving would do.")


class PasteRow(BaseModel):
    """One line and what it does."""

    line: int = Field(description="Its number, from 1.")
    key: str = Field(description="Code or id of the TMS.")
    targets: list[str] = Field(description="Names of the entries of QuickBooks that it links to.")
    effect: Literal["new", "changed", "same", "error"] = Field(description="What saving it does to the mapping.")
    error: str = Field(description="Why the line cannot be used, in a sentence; the other lines are not held up by it.")
    next_step: str = Field(description="What to do about it.")


class PasteAnswer(BaseModel):
    """What each line does; one that has an error stops no other."""

    rows: list[PasteRow] = Field(description="The lines, in order.")
    usable: int = Field(description="How many can be saved.")
    wrong: int = Field(description="How many cannot.")
    saved: bool = Field(description="Whether those that can be saved were.")
    retrying: int = Field(description="Failed exports that waited for what was saved, and are started again.")


class ChangeView(BaseModel):
    """One saving of the mapping."""

    id: int = Field(description="Id.")
    at: str = Field(description="When, in UTC.", examples=["2026-11-23T10:00:00+00:00"])
    author: str = Field(description="Who; empty: the TMS.")
    entries: int = Field(description="How many entries it changed.")
    summary: str = Field(description="What it changed, in words.", examples=["The charge FUEL: Fuel Surcharge"])
    undone: bool = Field(description="Whether it was taken back.")
    can_undo: bool = Field(description="Whether it can be taken back now.")


class ChangeList(BaseModel):
    """The newest changes, newest first."""

    items: list[ChangeView] = Field(description="Changes.")


class Undone(BaseModel):
    """What taking back did."""

    retrying: int = Field(description="Failed exports that waited for what is back, and are started again.")


@router.post("/paste")
async def paste_entries(company: CompanyPath, body: PasteRequest, services: Services, retries: Retries) -> PasteAnswer:
    """Link many codes at once from pasted lines, or see first what that would do."""
    answer = await to_thread.run_sync(lambda: paste(services, company, body.section, body.text, save=body.save))
    retries.after(company, answer.retrying)
    return answer


@router.get("/changes")
def list_changes(company: CompanyPath, services: Services) -> ChangeList:
    """List what was changed in the mapping lately; each can be taken back as long as nothing changed it since."""
    return ChangeList(items=changes(services, company))


@router.post("/changes/{change}/undo", responses=documented(409))
async def undo(company: CompanyPath, change: int, services: Services, retries: Retries) -> Undone:
    """Take a change back: what stood there before stands there again."""
    retrying = await to_thread.run_sync(saving.undo_change, services, company, change)
    retries.after(company, retrying)
    return Undone(retrying=retrying)


def choose(
    services: ApiServices,
    company_id: str,
    place: Place,
    key: str,
    *,
    list_id: str | None,
    name: str | None,
    author: str = "",
) -> int:
    """Link one place to an entry, by its ListID or its full name; neither: take out what stands there.

    Gives how many failed exports start again. Raises `ProblemError` with the reason when the entry does not fit.
    """
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        known = StoreLists(session, company_id)
        key = place.key or key
        stored = row.mapping.get(place.section, {}).get(key)
        if not list_id and not name:
            body = entry_with(place, stored, None)
        else:
            role, target = _found(place, known, list_id=list_id, name=name)
            # Held against the lists here, so that what was linked beside it before cannot stand in its way.
            issues = target_issues(Target.model_validate(target), role, subject(place.section, key), place.id, known)
            if any(issue.is_error for issue in issues):
                raise mapping_problem([issue for issue in issues if issue.is_error])
            body = entry_with(place, stored, target, role)
        if body is not None:
            return put_entries(services, session, row, [Entry(place.section, key, body)], author=author).retrying
    saving.remove_entry(services, company_id, place.section, key, author=author)
    return 0


def paste(
    services: ApiServices, company_id: str, section: str, text: str, *, save: bool, author: str = ""
) -> PasteAnswer:
    """Read pasted lines against the lists, and store those that can be when `save` says so."""
    lines = read_pasted(section, text)
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=save)
        known = _lists(session, company_id, len(lines))
        stored = row.mapping.get(section, {})
        entries: list[Entry] = []
        rows = [_pasted(line, section, stored.get(line.key), known, entries) for line in lines]
        retrying = put_entries(services, session, row, entries, author=author).retrying if save and entries else 0
    wrong = sum(one.effect == "error" for one in rows)
    return PasteAnswer(rows=rows, usable=len(rows) - wrong, wrong=wrong, saved=save, retrying=retrying)


def changes(services: ApiServices, company_id: str, *, limit: int = 20) -> list[ChangeView]:
    """Give the newest changes, each with whether it can be taken back."""
    with services.database.transaction() as session:
        row = require_company(session, company_id)
        return [_change_view(change, row) for change in mapping_changes.newest(session, company_id, limit=limit)]


def _found(place: Place, known: Lists, *, list_id: str | None, name: str | None) -> tuple[Role, dict[str, str]]:
    """Find what is meant among the lists of a place, by its id or its name; one that fits goes first."""
    found: list[tuple[Role, ListItem]] = []
    for role in place.roles:
        if list_id:
            entry = known.by_list_id(role.kind, list_id)
            found += [] if entry is None else [(role, entry)]
        elif name:
            found += [(role, entry) for entry in known.by_full_name(role.kind, name)]
    usable = [(role, entry) for role, entry in found if fits(entry, role, known)]
    # Two of one name are left to the rule that refuses them.
    if len(usable) == 1 or (usable and list_id):
        role, entry = usable[0]
        return role, {"list_id": entry.list_id, "full_name": entry.full_name}
    role = found[0][0] if found else place.roles[-1]
    return role, {"list_id": list_id} if list_id else {"full_name": name or ""}


def _pasted(
    line: PastedLine, section: str, stored: Mapping[str, Any] | None, known: Lists, entries: list[Entry]
) -> PasteRow:
    """Say what a line does; what it saves is added to `entries`."""
    if line.error:
        return _refused(line, line.error, "Correct the line, or leave it out.")
    body: dict[str, Any] | None = dict(stored) if stored else None
    names: list[str] = []
    for place_id, text in line.names.items():
        where = place(place_id)
        if where is None:
            continue
        role, target = _found(where, known, list_id=None, name=text)
        if role.kind and "list_id" not in target:
            role, target = _by_id(where, known, text) or (role, target)
        try:
            issues = target_issues(Target.model_validate(target), role, subject(section, line.key), place_id, known)
        except ValueError:
            return _refused(line, f"{text[:60]} is no name that QuickBooks could hold.", "Correct the line.")
        error = next((issue for issue in issues if issue.is_error), None)
        if error is not None:
            return _refused(line, error.message, error.next_step, [text])
        at = target_at(where, body)
        if at is None or at[1] != target:
            body = entry_with(where, body, target, role)
        names.append(target.get("full_name") or text)
    if body is None:
        return _refused(line, "The line links nothing.", "Put a name from QuickBooks into the second column.")
    if (problem := _unreadable(section, line.key, body)) is not None:
        return _refused(line, problem.message, problem.next_step, names)
    effect: Literal["new", "changed", "same"] = "new" if not stored else "same" if body == stored else "changed"
    if effect != "same":
        entries.append(Entry(section, line.key, body))
    return PasteRow(line=line.number, key=line.key, targets=names, effect=effect, error="", next_step="")


def _by_id(where: Place, known: Lists, text: str) -> tuple[Role, dict[str, str]] | None:
    """Find an entry whose ListID was pasted instead of its name."""
    role, target = _found(where, known, list_id=text, name=None)
    return (role, target) if "full_name" in target else None


def _unreadable(section: str, key: str, body: Mapping[str, Any]) -> Issue | None:
    try:
        accepted({section: {key: body}})
    except ProblemError as problem:
        return problem.issues[0]
    return None


def _refused(line: PastedLine, error: str, next_step: str, names: Sequence[str] = ()) -> PasteRow:
    return PasteRow(
        line=line.number, key=line.key, targets=list(names), effect="error", error=error, next_step=next_step
    )


def _lists(session: Session, company_id: str, looked_up: int) -> Lists:
    return StoreLists(session, company_id) if looked_up <= LOOK_UPS_MAX else loaded_lists(session, company_id)


def _change_view(change: MappingChange, row: Company) -> ChangeView:
    stands = bool(change.entries) and all(
        row.mapping.get(one["section"], {}).get(one["key"]) == one["after"] for one in change.entries
    )
    return ChangeView(
        id=change.id,
        at=change.at.isoformat(),
        author=change.author,
        entries=change.entry_count,
        summary=_summary(change),
        undone=change.undone_at is not None,
        can_undo=stands and change.undone_at is None,
    )


def _summary(change: MappingChange) -> str:
    if not change.entries:
        return f"{change.entry_count} entries"
    told = [_told(one) for one in change.entries[:SHOWN_OF_A_CHANGE]]
    rest = change.entry_count - len(told)
    return "; ".join(told) + (f"; and {rest} more" if rest else "")


def _told(one: Mapping[str, Any]) -> str:
    what = subject(one["section"], one["key"])
    names = list(dict.fromkeys(_names_in(one["after"])))
    if one["after"] is None or not names:
        return f"{what}: link removed"
    return f"{what}: {', '.join(names)}"


def _names_in(entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return []
    own = [str(entry["full_name"])] if entry.get("full_name") else []
    return own + [name for part in entry.values() for name in _names_in(part)]
