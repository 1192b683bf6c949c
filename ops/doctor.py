"""`qbd doctor`: what an operator wants to know first about one company, in a few lines."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from ops.keys import checked_database
from ops.problems import ProblemError
from ops.settings import Settings
from store import companies, exports, outbox, queue
from store.tables import Company

INCIDENTS_SHOWN = 3


def describe_company(settings: Settings, company_id: str) -> list[str]:
    """Give the lines; raise `ProblemError` when the company is unknown."""
    now = datetime.now(UTC)
    with checked_database(settings) as database, database.transaction() as session:
        company = companies.company(session, company_id)
        if company is None:
            known = ", ".join(one.id for one in companies.companies(session, limit=5)) or "none yet"
            raise ProblemError(f"There is no company {company_id}; known: {known}")
        return [
            f"{company.id}: {company.name}" + (" (paused)" if company.paused else ""),
            f"Web Connector  seen {_ago(company.last_seen_at, now)}, "
            f"last success {_ago(company.last_success_at, now)}, "
            f"should come every {company.run_every_minutes} min",
            f"QuickBooks     {_quickbooks(company)}",
            f"Problem        {_problem(company)}",
            f"Queue          {_queue(session, company.id, now)}",
            f"Exports        {_exports(session, company.id)}",
            *_incidents(session, company.id, now),
        ]


def _quickbooks(company: Company) -> str:
    if not company.bound_company_file and not company.bound_company_name:
        return "no company file bound yet"
    facts = (company.product, company.bound_company_name, company.bound_company_file)
    return ", ".join(fact for fact in facts if fact) + f", qbXML {company.qbxml_version or 'unknown'}"


def _problem(company: Company) -> str:
    if not company.problem:
        return "none"
    return "; ".join(str(value) for value in company.problem.values() if value)


def _queue(session: Session, company_id: str, now: datetime) -> str:
    waiting = queue.count_waiting(session, company_id)
    in_flight = queue.count_in_flight(session, company_id)
    oldest = queue.oldest_waiting_at(session, company_id)
    signals = outbox.count_undelivered(session)
    since = f", the oldest since {_ago(oldest, now)}" if oldest else ""
    return f"{waiting} waiting{since}, {in_flight} in flight; {signals} signals not delivered (all companies)"


def _exports(session: Session, company_id: str) -> str:
    counts = sorted(exports.count_by_state(session, company_id).items())
    return ", ".join(f"{count} {state}" for state, count in counts) or "none yet"


def _incidents(session: Session, company_id: str, now: datetime) -> list[str]:
    found = companies.incidents(session, company_id, INCIDENTS_SHOWN)
    if not found:
        return ["Incidents      none"]
    return [f"Incident       {_ago(one.at, now)}: {one.code}: {one.text}" for one in found]


def _ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
