"""Companies: connecting them, their settings, the .qwc file and the Web Connector's password."""

from __future__ import annotations

import hashlib
import secrets as random
import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.responses import Response

from mapping.rules import CompanyMapping, RefNumberRule
from store import companies, list_syncs, queue, secrets
from store.tables import Company
from tms_api.company_models import (
    CompanyChanges,
    CompanyId,
    CompanyList,
    CompanyView,
    NewCompany,
    NewCompanyView,
    PasswordView,
    company_view,
)
from tms_api.list_models import lists_view
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
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


def require_company(session: Session, company_id: str, *, lock: bool = False) -> Company:
    """Find the company or end the request with 404; `lock` keeps others from changing it meanwhile."""
    row = session.get(Company, company_id, with_for_update=True) if lock else companies.company(session, company_id)
    if row is None:
        raise ProblemError(404, "company_not_found", "There is no company with this id.")
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
        quickbooks_release=body.quickbooks_release,
        country=body.country,
        run_every_minutes=body.run_every_minutes,
        owner_id=_new_guid(),
        file_id=_new_guid(),
        ref_number_rule=RefNumberRule.KEEP_END,
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
            view = _view(session, row, services, request)
    except IntegrityError as error:
        # Somebody else connected it between the look and the insert.
        raise _exists() from error
    response.headers.update(SHOWN_ONCE)
    response.headers["Location"] = str(request.url_for("get_company", company=company_id))
    return NewCompanyView(**dict(view), password=password)


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
        rows = companies.companies(session, after=cursor or "", limit=limit + 1)
        items = [_view(session, row, services, request) for row in rows[:limit]]
    return CompanyList(items=items, cursor=items[-1].id if len(rows) > limit else None)


@router.get("/{company}")
def get_company(company: CompanyPath, services: Services, request: Request) -> CompanyView:
    """Show a company and how its Web Connector fares."""
    with services.database.transaction() as session:
        return _view(session, require_company(session, company), services, request)


@router.patch("/{company}")
def change_company(company: CompanyPath, body: CompanyChanges, services: Services, request: Request) -> CompanyView:
    """Change settings of a company."""
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(row, name, value)
        session.flush()
        return _view(session, row, services, request)


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


@router.post("/{company}/password")
def renew_password(company: CompanyPath, services: Services, response: Response) -> PasswordView:
    """Make a new password for the Web Connector; the old one ends at once."""
    password = secrets.new_password()
    with services.database.transaction() as session:
        row = require_company(session, company, lock=True)
        row.password_hash = secrets.hash_password(password)
        username = row.username
    response.headers.update(SHOWN_ONCE)
    return PasswordView(id=company, username=username, password=password)


def username_for(company_id: str) -> str:
    """Derive the Web Connector's user name; a long id is cut and made unique by a hash."""
    name = f"qbwc-{company_id}"
    if len(name) <= USERNAME_LENGTH_MAX:
        return name
    digest = hashlib.sha256(company_id.encode()).hexdigest()[:12]
    return f"{name[: USERNAME_LENGTH_MAX - 13]}-{digest}"


def _exists() -> ProblemError:
    return ProblemError(409, "company_exists", "There is a company with this id; choose another or leave it out.")


def _new_guid() -> str:
    return "{" + str(uuid.uuid4()).upper() + "}"


def _view(session: Session, row: Company, services: ApiServices, request: Request) -> CompanyView:
    return company_view(
        row,
        now=services.clock(),
        waiting=queue.count_waiting(session, row.id),
        in_flight=queue.count_in_flight(session, row.id),
        lists=lists_view(
            list_syncs.company_sync(session, row.id),
            {one.kind: one for one in list_syncs.list_syncs(session, row.id)},
        ),
        qwc_url=str(request.url_for("get_qwc", company=row.id)),
        soap_url=services.public_soap_url,
    )
