"""Which company file is the right one: the question that a person or the TMS answers (design.md 3.5)."""

from __future__ import annotations

import ntpath
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from store import books, companies, list_syncs
from store.tables import ApiKey, Company
from tms_api.access import Caller
from tms_api.companies import CompanyPath, get_company, require_company
from tms_api.company_models import CompanyView
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute, caller_of
from tms_api.services import ApiServices, Services

WRONG_STEP = "Open the right company file in QuickBooks and run an update in the Web Connector."

router = APIRouter(
    prefix="/v1/companies/{company}",
    tags=["companies"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 409, 422, 500, 503),
)


class FileAnswer(BaseModel):
    """The answer to "Is this your company file?"."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["yes", "no"] = Field(description="`yes`: it is the company file. `no`: it is the wrong one.")
    path: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f]*$")] | None = Field(
        default=None,
        description="Path of the file that the answer is about, as `file_to_confirm` shows it. With another file asked "
        "about meanwhile the answer is refused.",
        examples=["C:\\QuickBooks\\Acme.qbw"],
    )


@router.post("/company-file/confirm")
def confirm_company_file(company: CompanyPath, body: FileAnswer, services: Services, request: Request) -> CompanyView:
    """Say whether the company file that is open is the right one; what waits goes into it at the next call, or never.

    The question is asked at first contact, and again when the file is open from another place and what was exported
    last is not in it.
    """
    answer_file(services, company, body, caller_of(request))
    return get_company(company, services, request)


def answer_file(services: ApiServices, company_id: str, body: FileAnswer, caller: Caller) -> None:
    """Take an answer; raises `ProblemError` when nothing is asked, or another file is."""
    now = services.clock()
    with services.database.transaction("confirm_file") as session:
        row = require_company(session, company_id, lock=True)
        question = row.file_question
        if question is None:
            detail = "No company file waits for an answer: nothing was asked, or the right file is open again."
            raise ProblemError(409, "no_file_to_confirm", detail)
        if body.path is not None and _place(body.path) != _place(question["path"]):
            detail = "Another company file was opened meanwhile. Look at `file_to_confirm` again, then answer."
            raise ProblemError(409, "other_company_file", detail)
        who = name_of(session, caller)
        if body.answer == "yes":
            _accept(session, row, question, who, now)
        else:
            _reject(session, row, question, who, now)


def name_of(session: Session, caller: Caller) -> str:
    """Name who sent a request, for the history."""
    key = session.get(ApiKey, caller.key_id)
    return f"the key “{key.name}”" if key is not None else "a bookkeeper in the console"


def _accept(session: Session, row: Company, question: dict[str, Any], who: str, now: datetime) -> None:
    file = f"{question['name']} ({question['path']})"
    if row.bound_company_name is None:
        row.bound_company_name, row.bound_company_file = question["name"], question["path"]
        text = f"{who} said that {file} is the company file."
    else:
        books.accept_place(row, question["path"], at=now)
        text = f"{who} said that the company file moved to {question['path']}. What was exported is looked for in it."
    row.file_question = None
    row.problem = None
    _note(session, row, text, now)


def _reject(session: Session, row: Company, question: dict[str, Any], who: str, now: datetime) -> None:
    row.file_question = {**question, "answer": "no"}
    if row.bound_company_name is None:
        list_syncs.request_sync(session, row.id, at=now, full=True)  # those that came over are of the wrong file
    file = f"{question['name']} ({question['path']})"
    row.problem = {
        "code": "wrong_company_file",
        "cause": f"{file} is not the company file, as {who} said. Nothing was sent.",
        "owner": "bookkeeper",
        "next_step": WRONG_STEP,
        "at": now.isoformat(),
    }
    _note(session, row, f"{who} said that {file} is not the company file.", now)


def _note(session: Session, row: Company, text: str, now: datetime) -> None:
    text = text[0].upper() + text[1:]
    companies.record_incident(session, company_id=row.id, at=now, code="company_file_answered", text=text)


def _place(path: str) -> str:
    return ntpath.normpath(path.strip()).casefold()
