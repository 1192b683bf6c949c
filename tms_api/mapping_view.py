"""A section of the mapping as a person works on it: what is missing first, then what went bad, then the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy.orm import Session

from activities.company_lists import StoreLists
from mapping.documents import CarrierBill, Invoice
from mapping.issues import Issue
from mapping.links import excerpt, links_of
from mapping.places import SECTIONS, Place, places_of, target_at
from mapping.rules import Target
from mapping.suggestions import SURE, Suggestion
from mapping.targets import subject, target_issues
from mapping.unmapped import Unmapped, unmapped
from store import lists
from store.tables import Company
from tms_api import suggesting
from tms_api.companies import require_company
from tms_api.saving import accepted
from tms_api.services import ApiServices

PAGE = 50
Show = Literal["all", "unmapped", "problems", "mapped"]
_Suggested = dict[tuple[str, str | None], Suggestion]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of an entry."""

    place: Place
    list_id: str | None = None
    full_name: str | None = None
    is_missing: bool = False
    """Documents use it, and nothing is linked."""
    suggestion: Suggestion | None = None
    issues: list[Issue] = field(default_factory=list)
    """What speaks against what is linked, today."""

    @property
    def is_set(self) -> bool:
        """Say whether something is linked."""
        return self.list_id is not None or self.full_name is not None

    @property
    def is_wrong(self) -> bool:
        """Say whether something stands in the way, and not only a warning."""
        return any(issue.is_error for issue in self.issues)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One code or id of the TMS."""

    section: str
    key: str
    name: str
    """As the TMS calls it; the key where it has no other name."""
    uses: int
    """In how many places of the newest documents it stands."""
    cells: list[Cell]

    @property
    def is_missing(self) -> bool:
        """Say whether documents wait for it."""
        return any(cell.is_missing for cell in self.cells)

    @property
    def has_problem(self) -> bool:
        """Say whether something that is linked went bad."""
        return any(cell.is_wrong for cell in self.cells)


@dataclass(frozen=True, kw_only=True)
class MappingPage:
    """One page of a section."""

    section: str
    rows: list[Row]
    missing: dict[str, int]
    """How many entries each section lacks."""
    problems: dict[str, int]
    """How many entries of each section lead to what is inactive or gone in QuickBooks."""
    total: int
    """Entries of this section that match, on all pages."""
    start: int
    lists_known: bool
    sure: int
    """How many suggestions of this page have a score of 90 or more and no equal rival."""

    @property
    def next_start(self) -> int | None:
        """Give where the next page begins; None on the last one."""
        end = self.start + PAGE
        return end if end < self.total else None


def mapping_page(
    services: ApiServices, company_id: str, section: str, *, text: str = "", show: Show = "all", start: int = 0
) -> MappingPage:
    """Show a page of a section; only what is on it is looked up."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        documents = suggesting.seen_documents(session, company)
        missing = unmapped(documents, accepted(excerpt(company.mapping, *documents)))
        bad = _bad_keys(session, company)
        known = StoreLists(session, company_id)
        uses, names = _uses(documents)
        keys = _ordered(company.mapping.get(section, {}), missing, bad, section, show)
        wanted = text.casefold()
        stored = company.mapping.get(section, {})
        if wanted:
            keys = [key for key in keys if wanted in _searched(key, names.get((section, key), ""), stored.get(key))]
        shown = keys[start : start + PAGE]
        # Only for what is shown: thousands that are not linked yet would take seconds.
        here = [one for one in missing if one.section == section and one.key in shown]
        suggested: _Suggested = {(one.key, one.side): one for one in _suggested(session, company, here, documents)}
        rows = [_row(section, key, uses, names, stored, suggested, known) for key in shown]
        return MappingPage(
            section=section,
            rows=rows,
            missing={one: len({gap.key for gap in missing if gap.section == one}) for one in SECTIONS},
            problems={one: len(bad.get(one, ())) for one in SECTIONS},
            total=len(keys),
            start=start,
            lists_known=any(known.is_known(kind) for place in places_of(section) for kind in place.kinds),
            sure=sum(_is_sure(one) for one in suggested.values()),
        )


def row_of(services: ApiServices, company_id: str, section: str, key: str) -> Row:
    """Show one entry, such as after it was saved."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        documents = suggesting.seen_documents(session, company)
        gaps = unmapped(documents, accepted(excerpt(company.mapping, *documents)))
        here = [one for one in gaps if (one.section, one.key) == (section, key)]
        suggested: _Suggested = {(one.key, one.side): one for one in _suggested(session, company, here, documents)}
        uses, names = _uses(documents)
        known = StoreLists(session, company_id)
        stored = company.mapping.get(section, {})
        return _row(section, key, uses, names, stored, suggested, known)


def _row(
    section: str,
    key: str,
    uses: Counter[tuple[str, str]],
    names: Mapping[tuple[str, str], str],
    stored: Mapping[str, Any],
    suggested: _Suggested,
    known: StoreLists,
) -> Row:
    return Row(
        section=section,
        key=key,
        name=names.get((section, key), key),
        uses=uses[section, key],
        cells=[_cell(place, key, stored.get(place.key or key), suggested, known) for place in _places(section, key)],
    )


def missing_counts(session: Session, company: Company) -> dict[str, int]:
    """Count what each section of the mapping lacks for the newest documents."""
    documents = suggesting.seen_documents(session, company)
    missing = unmapped(documents, accepted(excerpt(company.mapping, *documents)))
    return {section: len({one.key for one in missing if one.section == section}) for section in SECTIONS}


def _places(section: str, key: str) -> list[Place]:
    return [place for place in places_of(section) if place.key in (None, key)]


def _cell(
    place: Place,
    key: str,
    entry: Mapping[str, Any] | None,
    suggested: _Suggested,
    known: StoreLists,
) -> Cell:
    found = target_at(place, entry)
    side = place.field if place.section == "charges" else None
    if found is None:
        suggestion = suggested.get((key, side))
        return Cell(place=place, suggestion=suggestion, is_missing=suggestion is not None)
    role, target = found
    issues = target_issues(Target.model_validate(target), role, subject(place.section, key), place.id, known)
    return Cell(place=place, list_id=target.get("list_id"), full_name=target.get("full_name"), issues=issues)


def _suggested(
    session: Session, company: Company, missing: Sequence[Unmapped], documents: Sequence[Invoice | CarrierBill]
) -> list[Suggestion]:
    return suggesting.suggested_for(session, company, missing, documents)


def _is_sure(one: Suggestion) -> bool:
    return suggesting.reason_against(one.candidates, SURE) is None


def _uses(
    documents: Sequence[Invoice | CarrierBill],
) -> tuple[Counter[tuple[str, str]], dict[tuple[str, str], str]]:
    uses: Counter[tuple[str, str]] = Counter()
    names: dict[tuple[str, str], str] = {}
    nothing = accepted({})
    for document in documents:
        for link in links_of(document, nothing):
            uses[link.section, link.key] += 1
            names.setdefault((link.section, link.key), link.name)
    return uses, names


def _bad_keys(session: Session, company: Company) -> dict[str, set[str]]:
    """Give the entries that lead to what is inactive or gone; the rules say the rest where an entry is shown."""
    unusable = lists.unusable(session, company.id)
    found: dict[str, set[str]] = {}
    if not unusable:
        return found
    for section in SECTIONS:
        places = places_of(section)
        for key, entry in company.mapping.get(section, {}).items():
            for place in places:
                at = target_at(place, entry) if place.key in (None, key) else None
                if at is not None and (at[0].kind.value, at[1].get("list_id")) in unusable:
                    found.setdefault(section, set()).add(key)
    return found


def _ordered(
    stored: Mapping[str, Any], missing: Sequence[Unmapped], bad: Mapping[str, set[str]], section: str, show: Show
) -> list[str]:
    """Give the keys in the order of the page; `missing` has what is used most first already."""
    if section == "defaults":
        return ["invoice", "carrier_bill"]
    gaps = list(dict.fromkeys(one.key for one in missing if one.section == section))
    problems = sorted(bad.get(section, ()))
    rest = sorted(stored, key=str.casefold)
    groups = {"unmapped": gaps, "problems": problems, "mapped": rest, "all": [*gaps, *problems, *rest]}
    return list(dict.fromkeys(groups[show]))


def _searched(key: str, name: str, entry: Mapping[str, Any] | None) -> str:
    return f"{key}\n{name}\n{' '.join(_names_in(entry))}".casefold()


def _names_in(entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return []
    own = [entry["full_name"]] if isinstance(entry.get("full_name"), str) else []
    return own + [name for part in entry.values() for name in _names_in(part)]
