"""`qbd restored`: what must happen after the database was put back from a backup, before anything is sent again.

A restored database forgot what happened since. What it calls waiting may be in QuickBooks, and what Temporal knows of
it may be unknown to it. So everything that waits is treated as sent with an answer that was lost: the recovery of lost
answers (qbwc_bridge/recovery.py) then looks each one up before it leaves. And what Temporal knows is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, update
from temporalio.client import Client

from ops.database import open_database
from ops.exits import settle
from ops.fresh import new_id, now
from ops.problems import ProblemError
from ops.settings import Settings
from ops.wiring import connect_temporal
from qbwc_bridge.epoch import EpochWatch
from store import epochs
from store.engine import Database
from store.tables import OutboxSignal

SHOWN_MAX = 10
"""Workflow ids that one line names."""


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
    """Say that the database stepped back to `backup_at`, and write down what Temporal knows since.

    What waits is looked up in QuickBooks before it is sent. Runs whose requests were lost are asked to queue them
    again; that goes on by itself once bridge and worker run, and until then nothing is written for their companies. A
    second call finds nothing new to write down.
    """
    with database.transaction() as session:
        epochs.step_back(session, since=backup_at, now=clock())
    told = await EpochWatch(database, clock=clock, new_id=new_id).compare(client)
    words = {
        "there": "were in QuickBooks and are Successful again",
        "failed": "had failed and are Failed again",
        "cancelled": "had been taken back and are Cancelled again",
    }
    lines = [f"{told.read_back[name]} exports {text}" for name, text in words.items() if name in told.read_back]
    if told.asked_again:
        lines.append(f"{len(told.asked_again)} exports had begun since and are queued again once the worker runs")
    if told.unreadable:
        lines.append(
            f"{len(told.unreadable)} runs have an input or a result that cannot be read and were passed over; look at "
            f"them in Temporal: {_some(told.unreadable)}"
        )
    if told.strangers:
        lines.append(
            f"{len(told.strangers)} companies are not known to the backup: {_some(told.strangers)}; connect them again "
            "under the same id, then run this again"
        )
    held = f"{told.looked_up} waiting requests are looked up in QuickBooks before they are sent"
    return [*lines, held if told.is_over else f"{held}; nothing else is sent until the rest is queued again"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN_MAX]) + (", ..." if len(names) > SHOWN_MAX else "")


def deliver_again(database: Database, *, since: datetime) -> list[str]:
    """Let what was delivered since go to Temporal once more, after *Temporal* was put back; gives a line.

    A signal that a run knows changes nothing, nor does the start of an export that runs or has succeeded
    (design.md 3.1, 3.2). Everything may run meanwhile.
    """
    again = update(OutboxSignal).where(OutboxSignal.delivered_at >= since).values(delivered_at=None, note="")
    with database.transaction() as session:
        count = cast("CursorResult[Any]", session.execute(again)).rowcount
    return [f"{count} starts and signals are delivered again"]
