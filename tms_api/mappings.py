"""A company's mapping: whole, or one entry at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from mapping.issues import Issue
from mapping.rules import CompanyMapping, parse_mapping
from store.tables import Company
from tms_api.companies import CompanyPath, require_company
from tms_api.posted import JsonObject, PostedMapping
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import Services

Section = Annotated[
    Literal["charges", "customers", "carriers", "terms", "classes", "defaults"],
    Path(description="Part of the mapping."),
]
Key = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f]+$",
        description="Code or id of the TMS; in `defaults`: `invoice` or `carrier_bill`.",
        examples=["LINEHAUL"],
    ),
]

router = APIRouter(
    prefix="/v1/companies/{company}/mapping",
    tags=["mapping"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.get("")
def get_mapping(company: CompanyPath, services: Services) -> CompanyMapping:
    """Show the whole mapping."""
    with services.database.transaction() as session:
        return _accepted(dict(require_company(session, company).mapping))


@router.put("")
def put_mapping(company: CompanyPath, body: Annotated[PostedMapping, Body()], services: Services) -> CompanyMapping:
    """Replace the whole mapping."""
    mapping = _accepted(body)
    with services.database.transaction() as session:
        _store(require_company(session, company, lock=True), mapping)
    return mapping


# A terms code such as "2/10 net 30" holds a slash, so the key is the rest of the address.
@router.put("/{section}/{key:path}")
def put_entry(
    company: CompanyPath,
    section: Section,
    key: Key,
    services: Services,
    body: Annotated[
        JsonObject,
        Body(
            description="A target `{list_id, full_name}`; in `charges` and `defaults` an object of targets.",
            examples=[{"full_name": "Cafe Rio Foods"}],
        ),
    ],
) -> CompanyMapping:
    """Set one entry; the answer is the whole mapping."""
    _accepted({section: {key: body}})
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        stored = dict(row.mapping)
        stored[section] = {**stored.get(section, {}), key: body}
        mapping = _accepted(stored)
        _store(row, mapping)
    return mapping


@router.delete("/{section}/{key:path}", status_code=204, response_class=Response)
def delete_entry(company: CompanyPath, section: Section, key: Key, services: Services) -> Response:
    """Remove one entry; one that is not there is no error."""
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        stored = dict(row.mapping)
        stored[section] = {name: entry for name, entry in stored.get(section, {}).items() if name != key}
        _store(row, _accepted(stored))
    return Response(status_code=204)


def _accepted(data: dict[str, Any]) -> CompanyMapping:
    parsed = parse_mapping(data)
    if isinstance(parsed, list):
        raise mapping_problem(parsed)
    return parsed


def mapping_problem(issues: list[Issue]) -> ProblemError:
    """Say that a mapping cannot be used, with every reason."""
    return ProblemError(
        422, "mapping_invalid", "The mapping cannot be used; each reason is in `issues`.", issues=issues
    )


def _store(row: Company, mapping: CompanyMapping) -> None:
    row.mapping = mapping.model_dump(mode="json")
