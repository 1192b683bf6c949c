"""Meeting the company file that is open, before anything of the business leaves: guard, facts, other computers."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from qbwc_bridge.guard import Binding, Judgement, OpenFile, judge_file
from qbwc_bridge.list_entries import facts_of_company
from qbwc_bridge.twins import Visit, twin_notice
from qbxml.hcp import HostAndCompany, choose_version, parse_hcp
from store import queue, webhooks
from store.companies import is_bound_elsewhere, record_incident, record_incident_once
from store.tables import Company, WebConnectorSession

TWIN_WINDOW = timedelta(hours=24)
HOST_MAX = 100
WRONG_FILE = "wrong_company_file"
TAKEN = "company_file_taken"
WRONG_STEP = (
    "Open the right company file. If the books really moved to another file, say so on this connection's page under "
    "“Another company file”, or ask TMS.ai to."
)
TAKEN_STEP = (
    "Remove this connection from the Web Connector, open the right company file and add the .qwc file again. "
    "If both connections are meant for the same books, say so on this connection's page under “Another company file”, "
    "or ask TMS.ai to."
)


def meet(
    session: Session, owner: Company, wc: WebConnectorSession, *, hcp_response: str, company_file: str, now: datetime
) -> Judgement:
    """Compare the open file with the binding and note what the Web Connector says of it; gives the judgement.

    `hcp_response` is the answer to Host, Company and Preferences queries (web-connector.md 2.1).
    """
    seen = parse_hcp(hcp_response) or HostAndCompany()
    judgement = judge_file(
        Binding(
            file_id=owner.file_id,
            company_name=owner.bound_company_name,
            company_file=owner.bound_company_file,
            may_move=owner.rebind_requested_at is not None,
        ),
        OpenFile(
            file_id=seen.file_id(owner.owner_id),
            company_name=seen.company_name,
            company_file=company_file,
            is_taken=owner.bound_company_name is None
            and is_bound_elsewhere(session, owner.id, name=seen.company_name or "", path=company_file),
        ),
    )
    if not judgement.allowed:
        _refuse(session, owner, wc, judgement, now)
        return judgement
    if judgement.text:
        record_incident(session, company_id=owner.id, at=now, code="company_file", text=judgement.text)
    wc.guard_passed = True
    wc.qbxml_version = choose_version(seen.supported_versions)
    wc.host = (seen.locked_by(owner.owner_id) or "")[:HOST_MAX] or None
    owner.bound_company_name = seen.company_name
    owner.bound_company_file = company_file or owner.bound_company_file
    owner.qbxml_version = wc.qbxml_version
    owner.product = owner.product if seen.product is None else seen.product
    facts = facts_of_company(seen.preferences)
    if facts is not None:
        owner.preferences = facts.model_dump(mode="json")
    if judgement.binds_anew:
        owner.last_restore_time = None
        owner.rebind_requested_at = None
    return judgement


def _refuse(session: Session, owner: Company, wc: WebConnectorSession, judgement: Judgement, now: datetime) -> None:
    wc.guard_passed = False
    wc.last_error = judgement.text
    problem = {
        "code": TAKEN if judgement.is_taken else WRONG_FILE,
        "cause": judgement.text,
        "owner": "bookkeeper",
        "next_step": TAKEN_STEP if judgement.is_taken else WRONG_STEP,
        "at": now.isoformat(),
    }
    owner.problem = webhooks.noted_problem(session, owner, problem, at=now)
    record_incident(
        session, company_id=owner.id, at=now, code=TAKEN if judgement.is_taken else WRONG_FILE, text=judgement.text
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
