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
from mapping.targets import resolve_mapping
from store import waits
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


class SavedMapping(CompanyMapping):
    """The mapping as it is stored now, and what its saving set in motion."""

    retrying: int = Field(
        default=0, description="Failed exports that waited for what was saved, and are started again in the background."
    )


def save_whole(services: ApiServices, company_id: str, posted: Mapping[str, Any]) -> SavedMapping:
    """Replace the whole mapping; raises `ProblemError` with every reason why it cannot stand."""
    mapping = accepted(posted)
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        data = _resolved(session, row, mapping).model_dump(mode="json")
        before, row.mapping = row.mapping, data
        keys = [
            f"{section}/{key}"
            for section, entries in data.items()
            for key, entry in entries.items()
            if before.get(section, {}).get(key) != entry
        ]
        return _saved(services, session, row, keys)


def save_entries(services: ApiServices, company_id: str, entries: Sequence[Entry]) -> SavedMapping:
    """Set some entries and leave the others as they are, even those that would not be accepted today."""
    with services.database.transaction() as session:
        row = require_company(session, company_id, lock=True)
        return store_entries(services, session, row, entries)


def store_entries(services: ApiServices, session: Session, row: Company, entries: Sequence[Entry]) -> SavedMapping:
    """Set some entries inside the caller's transaction, which holds the company."""
    part: dict[str, dict[str, Any]] = {}
    for entry in entries:
        part.setdefault(entry.section, {})[entry.key] = entry.body
    resolved = _resolved(session, row, accepted(part)).model_dump(mode="json")
    stored = dict(row.mapping)
    for section, keyed in part.items():
        stored[section] = {**stored.get(section, {}), **{key: resolved[section][key] for key in keyed}}
    row.mapping = stored
    return _saved(services, session, row, [f"{entry.section}/{entry.key}" for entry in entries])


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


def _resolved(session: Session, row: Company, mapping: CompanyMapping) -> CompanyMapping:
    resolved = resolve_mapping(mapping, lists_for(session, row.id, mapping))
    if isinstance(resolved, list):
        raise mapping_problem(resolved)
    return resolved


def _saved(services: ApiServices, session: Session, row: Company, keys: list[str]) -> SavedMapping:
    session.flush()
    retrying = waits.release(session, row.id, keys, services.clock()) if row.auto_retry and keys else 0
    return SavedMapping.model_validate({**row.mapping, "retrying": retrying})
