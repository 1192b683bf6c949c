"""Saving a mapping: read, held against the lists, stored, and what waited for it released, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy.orm import Session

from activities.company_lists import StoreLists, loaded_lists
from mapping.issues import Issue
from mapping.lists import Lists
from mapping.rules import CompanyMapping, parse_mapping
from mapping.targets import resolve_mapping, subject
from store import mapping_changes, waits
from store.tables import Company
from tms_api.companies import require_company
from tms_api.problems import ProblemError
from tms_api.services import ApiServices

LOOK_UPS_MAX = 200
"""With more entries than this, one reading of all lists is cheaper than a query for each."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a mapping, as it is posted; `body` is in the shape of its section."""

    section: str
    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving set in motion."""

    retrying: int
    """Exports that start again."""
    warnings: list[Issue]


class SavedMapping(CompanyMapping):
    """The mapping as it is stored now, and what its saving set in motion."""

    retrying: int = Field(
        default=0, description="Failed exports that waited for what was saved, and are started again in the background."
    )
    warnings: list[Issue] = Field(
        default=[], description="What somebody should look at in what was saved, such as a taxable sales tax code."
    )


def save_whole(services: ApiServices, company_id: str, posted: Mapping[str, Any], *, author: str = "") -> SavedMapping:
    """Replace the whole mapping; raises `ProblemError` with every reason why it cannot stand."""
    mapping = accepted(posted)
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        resolved, warnings = _resolved(session, row, mapping)
        retrying = _write(services, session, row, resolved.model_dump(mode="json"), author)
        return _saved(row, Saved(retrying, warnings))


def save_entries(services: ApiServices, company_id: str, entries: Sequence[Entry], *, author: str = "") -> SavedMapping:
    """Set some entries and leave the others as they are, even those that would not be accepted today."""
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        return _saved(row, put_entries(services, session, row, entries, author=author))


def put_entries(
    services: ApiServices, session: Session, row: Company, entries: Sequence[Entry], *, author: str = ""
) -> Saved:
    """Set some entries inside the caller's transaction, which holds the company."""
    part: dict[str, dict[str, Any]] = {}
    for entry in entries:
        part.setdefault(entry.section, {})[entry.key] = entry.body
    found, warnings = _resolved(session, row, accepted(part))
    resolved = found.model_dump(mode="json")
    stored = dict(row.mapping)
    for section, keyed in part.items():
        stored[section] = {**stored.get(section, {}), **{key: resolved[section][key] for key in keyed}}
    keys = [f"{entry.section}/{entry.key}" for entry in entries]
    return Saved(_write(services, session, row, stored, author, keys), warnings)


def remove_entry(services: ApiServices, company_id: str, section: str, key: str, *, author: str = "") -> None:
    """Remove one entry; one that is not there is no error."""
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        stored = dict(row.mapping)
        stored[section] = {name: entry for name, entry in stored.get(section, {}).items() if name != key}
        _write(services, session, row, accepted(stored).model_dump(mode="json"), author, [])


def undo_change(services: ApiServices, company_id: str, change_id: int) -> int:
    """Put back what a change replaced; gives how many failed exports start again.

    What stood before is put back unchecked, for it was accepted then; what became unfit since is shown as an issue.
    Raises `ProblemError` when the change is not known, was taken back already, or something changed its entries since.
    """
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        change = mapping_changes.change(session, company_id, change_id)
        if change is None:
            raise ProblemError(404, "change_not_found", "This change of the mapping is not known, or too old.")
        if change.undone_at is not None:
            raise ProblemError(409, "already_undone", "This change was taken back already.")
        if not change.entries:
            detail = "This change had too many entries to keep; put the mapping that you want over it."
            raise ProblemError(409, "change_too_large", detail)
        stored = {section: dict(entries) for section, entries in row.mapping.items()}
        for one in change.entries:
            if stored.get(one["section"], {}).get(one["key"]) != one["after"]:
                what = subject(one["section"], one["key"])
                detail = f"{what} was changed again since; take the newer change back first, or set it by hand."
                raise ProblemError(409, "changed_since", detail)
        for one in change.entries:
            section = stored.setdefault(one["section"], {})
            if one["before"] is None:
                section.pop(one["key"], None)
            else:
                section[one["key"]] = one["before"]
        row.mapping = stored
        row.mapping_version += 1
        change.undone_at = services.clock()
        session.flush()
        keys = [f"{one['section']}/{one['key']}" for one in change.entries if one["before"] is not None]
        return waits.release(session, row.id, keys, services.clock()) if row.auto_retry and keys else 0


def accepted(data: Mapping[str, Any]) -> CompanyMapping:
    """Read a mapping or end the request with every reason why it cannot be read."""
    parsed = parse_mapping(data)
    if isinstance(parsed, list):
        raise mapping_problem(parsed)
    return parsed


def mapping_problem(issues: list[Issue]) -> ProblemError:
    """Say that a mapping cannot be used, with every reason."""
    return ProblemError(
        422, "mapping_invalid", "The mapping cannot be used; each reason is in `issues`.", issues=issues
    )


def lists_for(session: Session, company_id: str, mapping: CompanyMapping) -> Lists:
    """Give the lists in the way that is cheapest for a mapping of this size."""
    entries = len(mapping.charges) + len(mapping.customers) + len(mapping.carriers)
    return StoreLists(session, company_id) if entries <= LOOK_UPS_MAX else loaded_lists(session, company_id)


def _resolved(session: Session, row: Company, mapping: CompanyMapping) -> tuple[CompanyMapping, list[Issue]]:
    """Give the mapping as it is stored, and warnings about it."""
    warnings: list[Issue] = []
    resolved = resolve_mapping(mapping, lists_for(session, row.id, mapping), warnings=warnings)
    if isinstance(resolved, list):
        raise mapping_problem(resolved)
    return resolved, warnings


def _write(
    services: ApiServices,
    session: Session,
    row: Company,
    data: dict[str, Any],
    author: str,
    keys: list[str] | None = None,
) -> int:
    """Store a mapping, note what changed, and mark the exports that waited for it; gives how many those are now.

    `keys` names the entries whose saving ends a wait, even when they are the same as before; None: what changed.
    """
    before, row.mapping = row.mapping, data
    session.flush()
    changed = _differences(before, data)
    if changed:
        row.mapping_version += 1
        mapping_changes.record(session, row.id, at=services.clock(), author=author, entries=changed)
    if keys is None:
        keys = [f"{one['section']}/{one['key']}" for one in changed if one["after"] is not None]
    return waits.release(session, row.id, keys, services.clock()) if row.auto_retry and keys else 0


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for section in dict.fromkeys([*before, *after]):
        old, new = before.get(section, {}), after.get(section, {})
        if old is new:
            continue
        found += [
            {"section": section, "key": key, "before": old.get(key), "after": new.get(key)}
            for key in dict.fromkeys([*old, *new])
            if old.get(key) != new.get(key)
        ]
    return found


def _saved(row: Company, saved: Saved) -> SavedMapping:
    return SavedMapping.model_validate({**row.mapping, "retrying": saved.retrying, "warnings": saved.warnings})
