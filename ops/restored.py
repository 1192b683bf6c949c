"""`qbd restored`: what must happen after the database was put back from a backup, before anything is sent again.

A restored database forgot what happened since. What it calls waiting may be in QuickBooks, and what Temporal knows of
it may be unknown to it. So everything that waits is treated as sent with an answer that was lost: the recovery of lost
answers (qbwc_bridge/recovery.py) then looks each one up before it leaves. And what Temporal knows is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from ops.database import open_database
from ops.exits import settle
from ops.fresh import new_id, now
from ops.problems import ProblemError
from ops.settings import Settings
from ops.wiring import connect_temporal
from qbwc_bridge.known_runs import Unreadable, newest_runs, read_run, write_down
from store import secrets, states
from store.engine import Database
from store.tables import MessageSet, OutboxSignal, Request, WebConnectorSession

log = structlog.get_logger(__name__)

SET_SIZE = 20
"""Requests that are looked up together; each asks QuickBooks two questions."""
SHOWN_MAX = 10
"""Workflow ids that one line names."""
MARGIN = timedelta(hours=1)
"""The clocks of the backup and of Temporal are not one."""


async def run_restored(
    settings: Settings, environ: Mapping[str, str], *, backup_at: datetime, temporal: bool = False
) -> list[str]:
    """Mend what follows a restore of the database, or of Temporal; gives one line for each kind of finding.

    After the database's, bridge, API and worker must not run meanwhile. Raises `ProblemError`.
    """
    if backup_at > now():
        raise ProblemError("The backup cannot be from the future; give its time as in 2026-11-25T03:00:00+00:00.")
    database = open_database(settings)
    try:
        if temporal:
            return deliver_again(database, since=backup_at)
        client = await connect_temporal(settings, environ)
        return await restored(database, client, backup_at=backup_at)
    finally:
        database.close()
        await settle()


async def restored(
    database: Database, client: Client, *, backup_at: datetime, clock: Callable[[], datetime] = now
) -> list[str]:
    """Write down what Temporal knows since the backup, then hold back what waits until it was looked up.

    A second call finds nothing new to write down, and looks up again what still waits.
    """
    counts: dict[str, int] = {}
    unreadable: list[str] = []
    async for execution in newest_runs(client, backup_at - MARGIN):
        known = await read_run(client, execution)
        if isinstance(known, Unreadable):
            log.warning("a run cannot be read", workflow=known.workflow_id, run=known.run_id, why=known.why)
            unreadable.append(known.workflow_id)
            continue
        with database.transaction() as session:
            found = write_down(session, known, at=clock())
        if found == "unknown":
            # After the commit: a run that is gone while nothing says so could be exported a second time.
            await _terminate(client, known.execution)
        counts[found] = counts.get(found, 0) + 1
    with database.transaction() as session:
        held = sum(look_before_sending(session, since=backup_at))
    words = {
        "there": "were in QuickBooks and are Successful again",
        "failed": "had failed and are Failed again",
        "cancelled": "had been taken back and are Cancelled again",
        "unknown": "may be in QuickBooks and are Failed with outcome_unknown: the bookkeeper looks",
        "no company": "belong to companies that the backup did not have yet: connect them again under the same id, "
        "then run this again",
    }
    lines = [f"{counts[name]} exports {text}" for name, text in words.items() if name in counts]
    if unreadable:
        lines.append(
            f"{len(unreadable)} runs have an input or a result that cannot be read and were passed over; look at them "
            f"in Temporal: {', '.join(unreadable[:SHOWN_MAX])}{', ...' if len(unreadable) > SHOWN_MAX else ''}"
        )
    return [*lines, f"{held} waiting requests are looked up in QuickBooks before they are sent"]


def look_before_sending(session: Session, *, since: datetime, set_size: int = SET_SIZE) -> Iterator[int]:
    """Turn what waits into sets whose answer was lost, for every company; gives the size of each set.

    The next session asks QuickBooks for each set, which has never heard of it, and then looks each request up: by
    number, and by customer or vendor and time from a day before `since`.
    """
    by_company: dict[str, list[Request]] = {}
    for request in session.scalars(select(Request).where(Request.state == states.WAITING).order_by(Request.seq)):
        by_company.setdefault(request.company_id, []).append(request)
    for company_id, requests in by_company.items():
        ticket_hash = secrets.fingerprint(secrets.new_ticket())  # nobody holds this ticket
        session.add(
            WebConnectorSession(
                ticket_hash=ticket_hash,
                company_id=company_id,
                state="abandoned",
                started_at=since,
                last_call_at=since,
                last_error="The database was restored from a backup.",
            )
        )
        session.flush()
        for start in range(0, len(requests), set_size):
            part = requests[start : start + set_size]
            lost = MessageSet(
                id=new_id(),
                company_id=company_id,
                ticket_hash=ticket_hash,
                kind="write",
                state=states.SENT,
                text="",
                seq=start // set_size + 1,
                sent_at=since,
            )
            session.add(lost)
            for request in part:
                request.state = states.IN_FLIGHT
                request.attempt += 1
                request.message_set_id = lost.id
            yield len(part)


def deliver_again(database: Database, *, since: datetime) -> list[str]:
    """Let what was delivered since go to Temporal once more, after *Temporal* was put back; gives a line.

    A signal that a run knows changes nothing, nor does the start of an export that runs or has succeeded
    (design.md 3.1, 3.2). Everything may run meanwhile.
    """
    again = update(OutboxSignal).where(OutboxSignal.delivered_at >= since).values(delivered_at=None, note="")
    with database.transaction() as session:
        count = cast("CursorResult[Any]", session.execute(again)).rowcount
    return [f"{count} starts and signals are delivered again"]


async def _terminate(client: Client, execution: WorkflowExecution) -> None:
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    try:
        await handle.terminate(reason="Its request was lost with the database; a person looks into QuickBooks")
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
