"""The look at whoever signs in: who is it, and is there anything to do?

A thousand companies that poll find nothing to do nearly each time, so it is one statement. Without a transaction its
answer is as good as that of one a moment earlier; where there is something to do, it is asked again by who holds the
company.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, bindparam, exists, select

from store.queries import is_in
from store.sign_ins import WINDOW, is_held
from store.states import SENT, WAITING
from store.sync_tables import CompanySync
from store.tables import Company, MessageSet, Request, UtcDateTime, WebConnectorSession


@dataclass(frozen=True)
class Glance:
    """What decides whether a company's session would have anything to do."""

    company_id: str
    password_hash: str
    previous_password_hash: str | None
    previous_password_until: datetime | None
    paused: bool
    problem: dict[str, Any] | None
    is_waiting: bool
    """A request waits that may go now."""
    is_unresolved: bool
    """A write set left whose answer is not known."""
    sync_state: str | None
    last_sync_at: datetime | None
    retry_at: datetime | None
    quiet_hours: dict[str, Any] | None
    company_file: str
    is_held: bool
    """Too many wrong passwords came: none is looked at now."""
    has_open_session: bool
    last_seen_at: datetime | None
    web_connector_version: str | None


class Polls:
    """The statement, built once: building it takes longer than running it."""

    def __init__(self) -> None:
        now = bindparam("now", type_=UtcDateTime())
        address = bindparam("address", type_=String())
        waiting = exists().where(
            Request.company_id == Company.id, is_in(Request.state, WAITING), Request.available_at <= now
        )
        unresolved = exists().where(
            MessageSet.company_id == Company.id, is_in(MessageSet.state, SENT), MessageSet.kind == "write"
        )
        opened = exists().where(WebConnectorSession.company_id == Company.id, WebConnectorSession.state == "open")
        self._look = (
            select(
                Company.id,
                Company.password_hash,
                Company.previous_password_hash,
                Company.previous_password_until,
                Company.paused,
                Company.problem,
                waiting.correlate(Company),
                unresolved.correlate(Company),
                CompanySync.state,
                CompanySync.last_sync_at,
                CompanySync.retry_at,
                Company.quiet_hours,
                Company.company_file,
                is_held(address, bindparam("failed_since", type_=UtcDateTime())),
                opened.correlate(Company),
                Company.last_seen_at,
                Company.web_connector_version,
            )
            .outerjoin(CompanySync, CompanySync.company_id == Company.id)
            .where(Company.username == bindparam("username"))
        )

    def look(self, connection: Connection, username: str, *, address: str, now: datetime) -> Glance | None:
        """Look at the company whose Web Connector signs in with this name; None when there is none."""
        values = {"username": username, "address": address, "now": now, "failed_since": now - WINDOW}
        row = connection.execute(self._look, values).one_or_none()
        return Glance(*tuple(row)) if row is not None else None
