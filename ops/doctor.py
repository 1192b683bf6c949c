"""`qbd doctor COMPANY`: what an operator wants to know first about one company, in ten lines."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ops.keys import checked_database
from ops.problems import ProblemError
from ops.settings import Settings
from store import companies, exports, figures, list_syncs, queue, webhooks
from store.tables import Company, MessageSet, OutboxSignal
from store.webhook_tables import WebhookDelivery
from tms_api.connection import connection_state, diagnose
from workflows import contracts

INCIDENTS_SHOWN = 2
CODES_SHOWN = 4


def describe_company(settings: Settings, company_id: str) -> list[str]:
    """Give the lines; raise `ProblemError` when the company is unknown."""
    now = datetime.now(UTC)
    with checked_database(settings) as database, database.transaction() as session:
        company = companies.company(session, company_id)
        if company is None:
            known = ", ".join(one.id for one in companies.companies(session, limit=5)) or "none yet"
            raise ProblemError(f"There is no company {company_id}; known: {known}")
        return [
            f"{company.id}: {company.name}, {connection_state(company, now)}",
            f"Web Connector  seen {ago(company.last_seen_at, now)}, "
            f"last success {ago(company.last_success_at, now)}, "
            f"should come every {company.run_every_minutes} min",
            f"QuickBooks     {_quickbooks(company)}",
            f"Problem        {_problem(session, company, now)}",
            f"Queue          {_queue(session, company, now)}",
            f"Exports        {_exports(session, company.id)}",
            f"Lists          {_lists(session, company.id, now)}",
            f"Signals        {_signals(session, company.id, now)}",
            f"Webhooks       {_webhooks(session, company.id)}",
            f"Incidents      {_incidents(session, company.id, now)}",
        ]


def _quickbooks(company: Company) -> str:
    if not company.bound_company_file and not company.bound_company_name:
        return "no company file bound yet"
    facts = (company.product, company.bound_company_name, company.bound_company_file)
    moving = "; binds to another file at the next session" if company.rebind_requested_at is not None else ""
    return ", ".join(fact for fact in facts if fact) + f", qbXML {company.qbxml_version or 'unknown'}{moving}"


def _problem(session: Session, company: Company, now: datetime) -> str:
    """Whose turn it is, why, and the next step: the same words as the API's."""
    wrong_password_at = companies.last_incident_at(session, company.id, "wrong_password")
    found = diagnose(company, now, soap_url="the bridge", wrong_password_at=wrong_password_at)
    if found.next_step is None:
        return "none"
    owner = (company.problem or {}).get("owner", "bookkeeper" if not company.paused else "us")
    return f"{owner}: {found.reason} {found.next_step}"


def _queue(session: Session, company: Company, now: datetime) -> str:
    company_id = company.id
    waiting = queue.count_waiting(session, company_id)
    at_once = queue.count_waiting(session, company_id, now=now)
    oldest = queue.oldest_waiting_at(session, company_id)
    since = f", the oldest since {ago(oldest, now)}" if oldest else ""
    later = f" ({waiting - at_once} postponed)" if waiting > at_once else ""
    unresolved = queue.unresolved_write_set(session, company_id)
    unknown = (
        f"; set {unresolved.id} left {ago(unresolved.sent_at, now)}, its outcome is not known" if unresolved else ""
    )
    if unresolved is not None and (asked := _asked(session, unresolved)):
        unknown += f" (asked {asked})"
    doubt = (
        f"; nothing is written: our database may have lost what it wrote since {ago(company.doubt_since, now)}, and "
        "Temporal is asked"
        if company.doubt_since is not None
        else ""
    )
    return f"{waiting} waiting{later}{since}, {queue.count_in_flight(session, company_id)} in flight{unknown}{doubt}"


def _asked(session: Session, unresolved: MessageSet) -> str:
    return ", ".join(step.kind for step in queue.recovery_steps(session, unresolved.id))


def _exports(session: Session, company_id: str) -> str:
    counts = sorted(exports.count_by_state(session, company_id).items())
    codes = figures.failed_by_code(session, company_id, limit=CODES_SHOWN)
    failed = ", ".join(f"{count} {code} ({owner})" for code, owner, count in codes)
    shown = ", ".join(f"{count} {state}" for state, count in counts) or "none yet"
    return shown + (f"; Failed: {failed}" if failed else "")


def _lists(session: Session, company_id: str, now: datetime) -> str:
    sync = list_syncs.company_sync(session, company_id)
    if sync is None:
        return "never asked for"
    rows = list_syncs.list_syncs(session, company_id)
    entries = sum(row.entries for row in rows)
    under_way = ", ".join(
        f"{row.kind} {row.seen}{f' of {row.total}' if row.total else ''}"
        for row in sorted(rows, key=lambda row: row.kind)
        if row.phase in ("pages", "settling")
    )
    note = f": {sync.note}" if sync.note else ""
    return f"{sync.state}{note}, {entries} entries, last good sync {ago(sync.last_sync_at, now)}" + (
        f"; under way: {under_way}" if under_way else ""
    )


def _signals(session: Session, company_id: str, now: datetime) -> str:
    """Give what Temporal has not taken of this company, and starts among it that it refused."""
    prefix = f"export/{company_id}/"
    # A range instead of LIKE: an id may hold the underscore, and the index serves it.
    of_company = (OutboxSignal.workflow_id >= prefix) & (OutboxSignal.workflow_id < prefix[:-1] + "0")
    undelivered = of_company | (OutboxSignal.workflow_id == contracts.sync_workflow_id(company_id))
    query = select(func.count(), func.min(OutboxSignal.created_at)).where(
        OutboxSignal.delivered_at.is_(None), undelivered
    )
    count, oldest = session.execute(query).one()
    refused = session.scalar(
        select(func.count()).where(OutboxSignal.delivered_at.is_(None), undelivered, OutboxSignal.available_at > now)
    )
    held_until = figures.leases(session).get("relay")
    relay = "a relay is at work" if held_until is not None and held_until > now else "no relay is at work"
    since = f", the oldest since {ago(oldest, now)}" if oldest else ""
    held = f", {refused} of them refused by Temporal or on their way" if refused else ""
    return f"{count} not delivered{since}{held}; {relay}"


def _webhooks(session: Session, company_id: str) -> str:
    found = webhooks.webhooks(session, company_id)
    if not found:
        return "none set up"
    rows = session.execute(
        select(WebhookDelivery.state, func.count())
        .where(WebhookDelivery.webhook_id.in_([one.id for one in found]))
        .group_by(WebhookDelivery.state)
    )
    counts = {state: count for state, count in rows}  # noqa: C416 rows are not pairs to the type checker
    off = sum(not one.enabled for one in found)
    return (
        f"{len(found)} ({off} switched off): {counts.get(webhooks.PENDING, 0)} messages due, "
        f"{counts.get(webhooks.DELIVERED, 0)} delivered, {counts.get(webhooks.FAILED, 0)} given up"
    )


def _incidents(session: Session, company_id: str, now: datetime) -> str:
    found = companies.incidents(session, company_id, INCIDENTS_SHOWN)
    return " | ".join(f"{ago(one.at, now)}: {one.code}: {one.text}" for one in found) or "none"


def ago(at: datetime | None, now: datetime) -> str:
    """Say how long ago, in the unit that people would use."""
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
