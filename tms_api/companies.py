"""Companies: connecting them, their settings, the .qwc file and the Web Connector's password."""

from __future__ import annotations

import hashlib
import secrets as random
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.responses import Response

from mapping.issues import Issue
from mapping.rules import CompanyMapping, RefNumberRule
from store import companies, company_standings, secrets
from store.tables import Company
from tms_api.access import company_not_found
from tms_api.company_models import (
    CompanyChanges,
    CompanyId,
    CompanyList,
    CompanyView,
    NewCompany,
    NewCompanyView,
    NewIdsView,
    PasswordRequest,
    PasswordView,
    ReleaseList,
    StepList,
    company_view,
    release_list,
)
from tms_api.connect_steps import Step, connect_steps, new_ids_steps, password_steps
from tms_api.problems import ProblemError, documented
from tms_api.releases import ReleaseRefusedError, ReleaseUnknownError, read_release
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute, caller_of
from tms_api.services import ApiServices, Services

USERNAME_LENGTH_MAX = 64
SHOWN_ONCE = {"Cache-Control": "no-store"}

CompanyPath = Annotated[CompanyId, Path(description="Id of the company.", examples=["acme-logistics"])]

router = APIRouter(
    prefix="/v1/companies",
    tags=["companies"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)

releases_router = APIRouter(
    prefix="/v1/releases",
    tags=["companies"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(401, 500, 503),
)


def require_company(session: Session, company_id: str, *, lock: bool = False) -> Company:
    """Find the company or end the request with 404; `lock` keeps others from changing it meanwhile."""
    row = companies.lock_company(session, company_id) if lock else companies.company(session, company_id)
    if row is None:
        raise company_not_found()
    return row


@router.post("", status_code=201, responses=documented(409))
def connect_company(body: NewCompany, services: Services, request: Request, response: Response) -> NewCompanyView:
    """Connect a company. The answer holds the Web Connector's password, which is never shown again."""
    company_id = body.id or f"co_{random.token_hex(8)}"
    password = secrets.new_password()
    row = Company(
        id=company_id,
        name=body.name,
        username=username_for(company_id),
        password_hash=secrets.hash_password(password),
        quickbooks_release=_accepted_release(body.quickbooks_release, services, is_confirmed=body.release_confirmed),
        country=body.country,
        run_every_minutes=body.run_every_minutes,
        owner_id=_new_guid(),
        file_id=_new_guid(),
        ref_number_rule=RefNumberRule.KEEP_END,
        look_before_adding=body.look_before_adding,
        auto_retry=True,
        mapping=CompanyMapping().model_dump(mode="json"),
        created_at=services.clock(),
    )
    try:
        with services.database.transaction() as session:
            if companies.company(session, company_id) is not None:
                raise _exists()
            session.add(row)
            session.flush()
            view = company_view_of(session, row, services, request)
    except IntegrityError as error:
        # Somebody else connected it between the look and the insert.
        raise _exists() from error
    response.headers.update(SHOWN_ONCE)
    response.headers["Location"] = str(request.url_for("get_company", company=company_id))
    return NewCompanyView(**dict(view), password=password, steps=_steps(row, services))


@router.get("")
def list_companies(
    services: Services,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="Companies on a page.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_.\-]+$", description="From the page before.")
    ] = None,
) -> CompanyList:
    """List the companies, by id."""
    with services.database.transaction() as session:
        only = caller_of(request).company_id
        rows = companies.companies(session, after=cursor or "", limit=limit + 1, only=only)
        items = company_views_of(session, rows[:limit], services, request)
    return CompanyList(items=items, cursor=items[-1].id if len(rows) > limit else None)


@router.get("/{company}")
def get_company(company: CompanyPath, services: Services, request: Request) -> CompanyView:
    """Show a company and how its Web Connector fares."""
    with services.database.transaction() as session:
        return company_view_of(session, require_company(session, company), services, request)


@router.patch("/{company}")
def change_company(company: CompanyPath, body: CompanyChanges, services: Services, request: Request) -> CompanyView:
    """Change settings of a company."""
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        changes = body.model_dump(exclude_none=True)
        is_confirmed = changes.pop("release_confirmed", False)
        if "quickbooks_release" in changes:
            release = _accepted_release(changes["quickbooks_release"], services, is_confirmed=is_confirmed)
            changes["quickbooks_release"] = release
        if changes.get("ref_number_rule", row.ref_number_rule) != row.ref_number_rule:
            row.mapping_version += 1
        for name, value in changes.items():
            setattr(row, name, value)
        row.look_at = services.clock()  # what counts as silence may be another
        session.flush()
        return company_view_of(session, row, services, request)


@router.get(
    "/{company}/qwc",
    response_class=Response,
    responses={200: {"content": {"application/xml": {"schema": {"type": "string"}}}, "description": "The .qwc file."}},
)
def get_qwc(company: CompanyPath, services: Services) -> Response:
    """Download the file that the bookkeeper opens with the Web Connector. It holds no password."""
    with services.database.transaction() as session:
        row = require_company(session, company)
        text = services.qwc_file(row)
    disposition = {"Content-Disposition": f'attachment; filename="{company}.qwc"'}
    return Response(text.encode(), media_type="application/xml", headers=disposition)


@router.get("/{company}/steps")
def get_steps(company: CompanyPath, services: Services) -> StepList:
    """Show the steps that connect QuickBooks, in order, with the words of its dialogs."""
    with services.database.transaction() as session:
        return StepList(steps=_steps(require_company(session, company), services))


@router.post("/{company}/password")
def renew_password(
    company: CompanyPath,
    services: Services,
    response: Response,
    body: Annotated[PasswordRequest | None, Body()] = None,
) -> PasswordView:
    """Make a new password for the Web Connector. The old one works for a grace time, so that nothing stops."""
    grace = body.grace_minutes if body is not None else None
    minutes = services.password_grace_minutes if grace is None else grace
    old_until = services.clock() + timedelta(minutes=minutes) if minutes else None
    password = secrets.new_password()
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        companies.renew_password(row, secrets.hash_password(password), old_until=old_until)
        username = row.username
    response.headers.update(SHOWN_ONCE)
    return PasswordView(
        id=company,
        username=username,
        password=password,
        old_password_valid_until=old_until,
        steps=password_steps(username=username, grace_minutes=minutes),
    )


@router.post("/{company}/rotate-ids")
def rotate_ids(company: CompanyPath, services: Services, request: Request) -> NewIdsView:
    """Make a new OwnerID and FileID: the mend for QBWC1039. The .qwc file has to be added again."""
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        # Both: a file that has the old pair only would otherwise count as a foreign one.
        row.owner_id, row.file_id = _new_guid(), _new_guid()
        companies.record_incident(
            session,
            company_id=row.id,
            at=services.clock(),
            code="ids_rotated",
            text="New ids were made. Add the new .qwc file to the Web Connector.",
        )
        return NewIdsView(
            id=row.id,
            owner_id=row.owner_id,
            file_id=row.file_id,
            qwc_url=str(request.url_for("get_qwc", company=row.id)),
            steps=new_ids_steps(username=row.username, run_every_minutes=row.run_every_minutes),
        )


@releases_router.get("")
def list_releases(services: Services) -> ReleaseList:
    """List the releases of QuickBooks Desktop: which can be connected, and why others cannot."""
    return release_list(services.clock().date())


def username_for(company_id: str) -> str:
    """Derive the Web Connector's user name; a long id is cut and made unique by a hash."""
    name = f"qbwc-{company_id}"
    if len(name) <= USERNAME_LENGTH_MAX:
        return name
    digest = hashlib.sha256(company_id.encode()).hexdigest()[:12]
    return f"{name[: USERNAME_LENGTH_MAX - 13]}-{digest}"


def _accepted_release(text: str, services: ApiServices, *, is_confirmed: bool) -> str:
    try:
        return read_release(text, today=services.clock().date(), is_confirmed=is_confirmed).text
    except ReleaseRefusedError as error:
        code, detail = "release_refused", "This release of QuickBooks cannot be connected; the reason is in `issues`."
        step = "Choose a release from /v1/releases; upgrade QuickBooks if the PC has none of them."
        if isinstance(error, ReleaseUnknownError):
            code, detail = "release_unknown", "This release of QuickBooks is not known here; the reason is in `issues`."
            step = "Correct it, or send it again with `release_confirmed`: true if QuickBooks really shows it."
        message = f"`quickbooks_release` cannot be used: {error}."
        issue = Issue(code=code, path="quickbooks_release", message=message, next_step=step)
        raise ProblemError(422, code, detail, issues=[issue]) from error


def _steps(row: Company, services: ApiServices) -> list[Step]:
    return connect_steps(
        username=row.username,
        soap_url=services.public_soap_url,
        run_every_minutes=row.run_every_minutes,
        quickbooks_release=row.quickbooks_release,
    )


def _exists() -> ProblemError:
    return ProblemError(409, "company_exists", "There is a company with this id; choose another or leave it out.")


def _new_guid() -> str:
    return "{" + str(uuid.uuid4()).upper() + "}"


def company_view_of(session: Session, row: Company, services: ApiServices, request: Request) -> CompanyView:
    """Show a company inside the caller's transaction."""
    return company_views_of(session, [row], services, request)[0]


def company_views_of(
    session: Session, rows: Sequence[Company], services: ApiServices, request: Request
) -> list[CompanyView]:
    """Show companies inside the caller's transaction; the database is asked as often as for one."""
    parts = company_standings.parts_of(session, [row.id for row in rows])
    return [
        company_view(
            row,
            now=services.clock(),
            parts=parts[row.id],
            qwc_url=str(request.url_for("get_qwc", company=row.id)),
            soap_url=services.public_soap_url,
        )
        for row in rows
    ]
