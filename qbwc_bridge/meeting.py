"""Meeting the company file that is open, before anything of the business leaves: guard, facts, other computers."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from mapping.editions import LIMITS, NAMES, Edition, edition_of, unsupported
from mapping.lists import CompanyFacts
from qbwc_bridge import books_check
from qbwc_bridge.guard import Binding, Code, Judgement, OpenFile, is_same_place, judge_file, resembles
from qbwc_bridge.list_entries import facts_of_company
from qbwc_bridge.twins import Visit, twin_notice
from qbxml.hcp import HostAndCompany, choose_version, parse_hcp
from qbxml.values import normalise_guid, same_guid
from store import books, queue, webhooks
from store.companies import record_incident, record_incident_once
from store.tables import Company, WebConnectorSession

TWIN_WINDOW = timedelta(hours=24)
HOST_MAX = 100
SHARED_WINDOW = timedelta(days=30)
EDITION_TOLD_AGAIN = timedelta(days=365)
_ANSWER = "Answer on this connection's page whether it is the right company file, or have TMS.ai answer for you."
NEXT_STEPS = {
    Code.WRONG: "Open the right company file. If the books really moved to another file, say so on this connection's "
    "page under “Another company file”, or ask TMS.ai to.",
    Code.TAKEN: "Remove this connection from the Web Connector, open the right company file and add the .qwc file "
    "again. If both connections are meant for the same books, say so on this connection's page under “Another company "
    "file”, or ask TMS.ai to.",
    Code.EDITION: "Ask the support of your transport software; nothing is sent to this QuickBooks until then.",
    Code.UNCONFIRMED: _ANSWER,
    Code.MOVED: f"Open the company file that you work in. If the file moved here, or an older state of it was put "
    f"back: {_ANSWER[0].lower()}{_ANSWER[1:]}",
}


def meet(
    session: Session, owner: Company, wc: WebConnectorSession, *, hcp_response: str, company_file: str, now: datetime
) -> Judgement:
    """Compare the open file with the binding and note what the Web Connector says of it; gives the judgement.

    `hcp_response` is the answer to Host, Company and Preferences queries (web-connector.md 2.1).
    """
    seen = parse_hcp(hcp_response) or HostAndCompany()
    wc.company_file = company_file
    neighbours = _neighbours(session, owner, seen)
    judgement = judge_file(
        _binding(owner),
        OpenFile(
            file_id=seen.file_id(owner.owner_id),
            company_name=seen.company_name,
            company_file=company_file,
            is_taken=any(_works_in(one, seen.company_name or "", company_file) for one in neighbours),
        ),
    )
    if judgement.allowed and edition_of(seen.country) is None:
        text = unsupported(seen.country).message
        judgement = Judgement(allowed=False, code=Code.EDITION, text=text)
    if not judgement.allowed:
        if judgement.asks:
            ask(owner, judgement.code, name=seen.company_name or "", path=company_file, at=now, release=seen.product)
        refuse(session, owner, wc, judgement.code or Code.WRONG, judgement.text, now)
        return judgement
    wc.guard_passed = True
    wc.is_elsewhere = judgement.is_elsewhere
    wc.qbxml_version = choose_version(seen.supported_versions)
    wc.host = (seen.locked_by(owner.owner_id) or "")[:HOST_MAX] or None
    owner.qbxml_version = wc.qbxml_version
    owner.product = owner.product if seen.product is None else seen.product
    facts = facts_of_company(seen.preferences, seen.country)
    if facts is not None:
        known = CompanyFacts.model_validate(owner.preferences or {})
        edition = edition_of(facts.country, owner.country)
        if known.country != facts.country:
            _tell_edition(session, owner, edition, now)
        if known.shape != facts.shape or edition is not edition_of(known.country, owner.country):
            owner.mapping_version += 1  # what waits may carry what a preference has no place for by now
        owner.preferences = facts.model_dump(mode="json")
    if judgement.asks:
        ask(owner, judgement.code, name=seen.company_name or "", path=company_file, at=now, release=seen.product)
        _tell_problem(session, owner, judgement.code or Code.UNCONFIRMED, judgement.text, now)
        wc.last_error = f"{judgement.text} {_ANSWER}"
        return judgement
    if judgement.text:
        record_incident(session, company_id=owner.id, at=now, code="company_file", text=judgement.text)
    if judgement.is_elsewhere:
        return judgement
    owner.file_question = None
    owner.bound_company_name = seen.company_name
    owner.bound_company_file = company_file or owner.bound_company_file
    if judgement.binds_anew:
        owner.last_restore_time = None
        owner.rebind_requested_at = None
        owner.books = None
    _tell_neighbours(session, owner, neighbours, company_file, now)
    return judgement


def _tell_edition(session: Session, owner: Company, edition: Edition | None, now: datetime) -> None:
    """Say once what is not supported in this edition, before the first export finds out."""
    if edition is not None and edition.has_tax_on_every_line:
        text = LIMITS.format(country=NAMES[edition])
        record_incident_once(
            session, company_id=owner.id, at=now, code="edition_limits", text=text, within=EDITION_TOLD_AGAIN
        )


def ask(owner: Company, code: Code | None, *, name: str, path: str, at: datetime, release: str | None = None) -> None:
    """Have a person asked whether this is the right file; a question that is asked already stays as it is."""
    before = owner.file_question or {}
    if before.get("name") == name and before.get("code") == code and is_same_place(before.get("path", ""), path):
        return
    owner.file_question = {
        "code": code,
        "name": name,
        "path": path,
        "release": release or owner.product,
        "resembles": resembles(owner.name, name),
        "at": at.isoformat(),
        "answer": None,
    }


def refuse(session: Session, owner: Company, wc: WebConnectorSession, code: Code, text: str, now: datetime) -> None:
    """Let nothing of the business pass in this session, and say why."""
    wc.guard_passed = False
    wc.last_error = text
    _tell_problem(session, owner, code, text, now)
    record_incident_once(session, company_id=owner.id, at=now, code=code, text=text, within=TWIN_WINDOW)


def is_unconfirmed(owner: Company) -> bool:
    """Say whether the file that was open last was never used before and nobody has said that it is the right one."""
    return owner.file_question is not None and owner.file_question.get("code") == Code.UNCONFIRMED


def _tell_problem(session: Session, owner: Company, code: Code, text: str, now: datetime) -> None:
    problem = {
        "code": code,
        "cause": text,
        "owner": "bookkeeper",
        "next_step": NEXT_STEPS[code],
        "at": now.isoformat(),
    }
    owner.problem = webhooks.noted_problem(session, owner, problem, at=now)


def _binding(owner: Company) -> Binding:
    question, known = owner.file_question or {}, books_check.read_books(owner.books)
    is_refused = question.get("answer") == "no"
    return Binding(
        file_id=owner.file_id,
        company_name=owner.bound_company_name,
        company_file=owner.bound_company_file,
        may_move=owner.rebind_requested_at is not None,
        expected_file=owner.company_file,
        confirms_first=owner.confirm_first_file,
        spellings=known.spellings,
        refused=(question["name"], question["path"]) if is_refused else None,
        # Of a connection that is older than this knowledge the exports are asked (books.py).
        has_written=known.is_known or (known.newest is None and owner.last_success_at is not None),
    )


def _neighbours(session: Session, owner: Company, seen: HostAndCompany) -> list[Company]:
    """Give our other connections whose mark the open file bears, both ids of it."""
    marks = {one.owner_id: one.value for one in seen.private if one.name == "FileID" and one.value}
    others: dict[str, str] = {}
    for owner_id, value in marks.items():
        if not same_guid(owner_id, owner.owner_id) and same_guid(owner_id, owner_id):
            others[normalise_guid(owner_id)] = value
    found = books.by_owner_ids(session, others, besides=owner.id)
    return [one for one in found if same_guid(one.file_id, others[one.owner_id])]


def _works_in(other: Company, name: str, path: str) -> bool:
    """Say whether a connection that has left its mark in a file is bound to it.

    One that is bound to a file of another name at another place was moved there: its old mark stays behind.
    """
    if other.bound_company_name is None:
        return False
    is_called_so = other.bound_company_name.strip().casefold() == name.strip().casefold()
    return is_called_so or is_same_place(other.bound_company_file or "", path)


def _tell_neighbours(session: Session, owner: Company, neighbours: list[Company], path: str, now: datetime) -> None:
    """Say to both that two connections work in one file: the same document may be exported by each."""
    for other in neighbours:
        if not _works_in(other, owner.bound_company_name or "", path):
            continue
        for one, its_neighbour in ((owner, other), (other, owner)):
            text = f"The company file {owner.bound_company_name} ({path}) belongs to another connection too"
            text += f" ({its_neighbour.id}). What both export is in the books twice."
            record_incident_once(
                session, company_id=one.id, at=now, code="company_file_shared", text=text, within=SHARED_WINDOW
            )


def look_for_twins(session: Session, owner: Company, wc: WebConnectorSession, now: datetime) -> None:
    """Tell the operator when two computers run this connection."""
    others = queue.hosts_since(session, wc, now - TWIN_WINDOW)
    earlier = [Visit(host=host, at=at) for host, at in others]
    text = twin_notice(wc.host, earlier, now=now, interval=timedelta(minutes=owner.run_every_minutes))
    if text:
        note_twin(session, owner, text, now)


def note_twin(session: Session, owner: Company, text: str, now: datetime) -> None:
    """Tell the operator of a second Web Connector, once a day."""
    record_incident_once(
        session, company_id=owner.id, at=now, code="second_web_connector", text=text, within=TWIN_WINDOW
    )
