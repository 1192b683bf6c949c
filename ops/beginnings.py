"""Noticing that an installation begins anew where one has been: an empty database beside a full one, or Temporal.

What was exported would be exported again, or would wait for somebody who does not know of it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from sqlalchemy import func, select

from ops.problems import ProblemError
from ops.settings import Settings
from store.engine import Database
from store.epochs import MOVED
from store.tables import Company

if TYPE_CHECKING:
    from temporalio.client import Client

RPC_TIMEOUT = timedelta(seconds=10)
_LEFT = "select (select count(*) from exports), (select count(*) from companies)"


class BeginningAnewError(ProblemError):
    """The database that was named is empty, and another one beside it is not."""


def require_no_full_file(settings: Settings, database: Database) -> None:
    """Raise `BeginningAnewError` when an empty database was named while the data folder's file holds exports.

    A file that was moved counts no more, nor does one that this version cannot read.
    """
    path = settings.embedded_file
    if settings.database == settings.embedded_database or not path.exists() or not _is_empty(database):
        return
    found = _exports_in(path)
    if found is None or not found[0]:
        return
    raise BeginningAnewError(
        f"The database {database.shown} is empty, while {path} holds {found[0]} exports of {found[1]} companies. "
        "Move them with ./qbd move-database; or, to begin anew although they may be exported a second time, put "
        "that file elsewhere."
    )


async def unknown_to_database(database: Database, client: Client) -> str | None:
    """Say in a sentence that Temporal knows exports while the database knows no company; None when all is well.

    Raises RPCError.
    """
    if not _is_empty(database):
        return None
    from workflows import contracts  # noqa: PLC0415

    query = f"WorkflowType = '{contracts.WORKFLOW_TYPE}'"
    async for one in client.list_workflows(query, limit=1, rpc_timeout=RPC_TIMEOUT):
        return (
            f"The database {database.shown} knows no company, while Temporal's namespace {client.namespace} knows "
            f"exports such as {one.id}: is QBD_DATABASE_URL right? An older database is moved by ./qbd move-database; "
            "if it is lost, connect the companies again under the same ids before anything is exported."
        )
    return None


async def tell_of_unknown_exports(database: Database, client: Client) -> None:
    """Say it in the log, as a worker does at its start; a Temporal that cannot list yet is no reason not to work."""
    from temporalio.service import RPCError  # noqa: PLC0415

    with suppress(RPCError):
        if (unknown := await unknown_to_database(database, client)) is not None:
            structlog.get_logger(__name__).error(unknown)


def _is_empty(database: Database) -> bool:
    with database.transaction() as session:
        return not session.scalar(select(func.count()).select_from(select(Company.id).limit(1).subquery()))


def _exports_in(path: Path) -> tuple[int, int] | None:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as connection:
            if connection.execute("select 1 from epochs where name = ?", (MOVED,)).fetchone():
                return None
            row = connection.execute(_LEFT).fetchone()
    except sqlite3.Error:
        return None
    return int(row[0]), int(row[1])
