"""What can stand in a place of the mapping: entries of QuickBooks' lists, each with the reason if it does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from activities.company_lists import StoreLists, item_of
from mapping.fits import Unfit, unfit
from mapping.issues import Issue
from mapping.lists import ListItem, ListKind, Lists
from mapping.places import PLACES, Place, place
from mapping.roles import WORDS
from store import lists
from tms_api.companies import CompanyPath, require_company
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import ApiServices, Services

PlaceId = Annotated[
    str,
    Query(
        alias="place",
        max_length=40,
        description="Where it shall stand: " + ", ".join(f"`{one.id}`" for one in PLACES) + ".",
        examples=["charges/invoice"],
    ),
]

router = APIRouter(
    prefix="/v1/companies/{company}/mapping",
    tags=["mapping"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 422, 500, 503),
)


class TargetChoice(BaseModel):
    """An entry of QuickBooks' lists, and whether it can stand there."""

    kind: ListKind = Field(description="Its list.")
    list_id: str = Field(description="QuickBooks' id of it.", examples=["80000001-1767225600"])
    full_name: str = Field(description="Its name with its parents' names.", examples=["Linehaul"])
    type: str = Field(description="Item type or account type; empty for other lists.")
    active: bool = Field(description="Whether QuickBooks lets it be used.")
    fits: bool = Field(description="Whether it can be chosen.")
    reason: str = Field(description="Why it does not fit, or what speaks against it; empty: nothing does.")


class TargetChoices(BaseModel):
    """The best matches, those that fit before those that do not."""

    items: list[TargetChoice] = Field(description="Entries.")
    more: bool = Field(description="Whether more match; a longer text finds fewer.")
    lists_known: bool = Field(description="False: this list did not come over from QuickBooks yet.")


@router.get("/targets")
def search_targets(
    company: CompanyPath,
    services: Services,
    place_id: PlaceId,
    q: Annotated[
        str, Query(max_length=200, pattern=r"^[^\x00]*$", description="Words that the name holds, or their beginnings.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=100, description="Most entries.")] = 20,
) -> TargetChoices:
    """Search what can stand in a place of the mapping; what does not fit says why."""
    return targets(services, company, require_place(place_id), q, limit=limit)


def require_place(place_id: str) -> Place:
    """Find a place or end the request."""
    found = place(place_id)
    if found is None:
        issue = Issue(
            code="place_unknown",
            path="place",
            message=f"`{place_id[:40]}` is no place of the mapping.",
            next_step="Use one of the places that /openapi.json names.",
        )
        raise ProblemError(422, "request_invalid", "There is no such place in the mapping.", issues=[issue])
    return found


def targets(services: ApiServices, company_id: str, place: Place, text: str, *, limit: int) -> TargetChoices:
    """Search the lists of a place; the best matches come first, active ones before inactive ones."""
    with services.database.transaction() as session:
        require_company(session, company_id)
        known = StoreLists(session, company_id)
        found = _matching(session, company_id, place.kinds, text, limit + 1)
        return TargetChoices(
            items=sorted((choice_of(entry, place, known) for entry in found[:limit]), key=lambda one: not one.fits),
            more=len(found) > limit,
            lists_known=any(known.is_known(kind) for kind in place.kinds),
        )


def choice_of(entry: ListItem, place: Place, known: Lists) -> TargetChoice:
    """Say of an entry whether it can stand in a place, and if not, why."""
    role = next((one for one in place.roles if one.kind is entry.kind), place.roles[0])
    reasons = list(unfit(entry, role, known))
    errors = [reason for reason in reasons if reason.is_error]
    return TargetChoice(
        kind=entry.kind,
        list_id=entry.list_id,
        full_name=entry.full_name,
        type=entry.type,
        active=entry.is_active,
        fits=not errors,
        reason=in_short(entry, (errors or reasons)[0]) if reasons else "",
    )


def in_short(entry: ListItem, reason: Unfit) -> str:
    """Say the reason as a sentence of its own, where the name of the entry stands beside it."""
    text = reason.message.removeprefix(f"the {WORDS[entry.kind]} {entry.full_name}").lstrip(", ")
    for word in ("which ", "but "):
        text = text.removeprefix(word)
    text = text.replace(", which cannot", " cannot").replace(", and that is", ", which is")
    return f"{text[:1].upper()}{text[1:]}."


def _matching(session: Session, company_id: str, kinds: Sequence[ListKind], text: str, limit: int) -> list[ListItem]:
    """Give the best matches of all lists together: active ones first, each in the order of the search."""
    found: list[ListItem] = []
    for is_active in (True, False):
        if len(found) >= limit:
            break
        ranked = [
            (rank, row.name_key, item_of(row))
            for kind in kinds
            for row, rank in lists.search(
                session, company_id, kind=kind, text=text, is_active=is_active, after=None, limit=limit - len(found)
            )
        ]
        found += _first(sorted(ranked, key=lambda one: one[:2]), limit - len(found))
    return found


def _first(ranked: Iterable[tuple[int, str, ListItem]], limit: int) -> list[ListItem]:
    return [entry for _, _, entry in ranked][:limit]
