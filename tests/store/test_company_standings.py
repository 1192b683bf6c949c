"""The list that begins with the worst: the database puts it in order, and says of each what the API says."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from store import companies, company_standings, figures, list_syncs, queue, states
from store.engine import Database
from store.tables import Company, Export, Request
from tests.support import stores
from tms_api.connection import ConnectionState, connection_state

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AS_THE_API_SAYS = {
    figures.PAUSED: ConnectionState.PAUSED,
    figures.REFUSED: ConnectionState.REFUSED,
    figures.NEVER_SEEN: ConnectionState.WAITING,
    figures.STALE: ConnectionState.STALE,
    figures.CONNECTED: ConnectionState.CONNECTED,
}


def _ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def _add(database: Database, company_id: str, *, lists_are_here: bool = False, **fields: Any) -> None:
    stores.add_company(database, company_id, lists_are_here=lists_are_here, password_hash="", **fields)


def _request(database: Database, company_id: str, *, at: datetime, state: str = states.WAITING) -> None:
    with database.transaction() as session:
        number = session.scalar(select(func.count()).select_from(Export))
        common = {"company_id": company_id, "created_at": at}
        export = Export(
            kind="invoice",
            document_id=f"i{number}",
            number="1",
            content_hash="",
            document={},
            state="Queued",
            updated_at=at,
            **common,
        )
        session.add(export)
        session.flush()
        session.add(
            Request(
                id=f"R{number}",
                export_id=export.id,
                run_id="r",
                workflow_id="w",
                operation="InvoiceAdd",
                body="",
                facts={},
                state=state,
                batch_max=1,
                available_at=at,
                **common,
            )
        )


def test_the_database_judges_a_connection_as_the_api_does(database: Database) -> None:
    """Every pause, problem, mended problem, interval and time of the last call, at the second where it turns stale."""
    seen_at = (None, _ago(minutes=45), _ago(minutes=45, seconds=1), _ago(minutes=180), _ago(minutes=180, seconds=1))
    choices = list(itertools.product((False, True), (None, {"code": "x"}), seen_at, (15, 60)))
    for number, (paused, problem, last_seen_at, minutes) in enumerate(choices):
        fields: dict[str, Any] = {"paused": paused, "last_seen_at": last_seen_at, "run_every_minutes": minutes}
        _add(database, f"c{number}", problem=problem, **fields)
    with database.transaction() as session:
        for row in session.scalars(select(Company).where(Company.id.in_(["c3", "c13"]))):
            row.problem = {"code": "x"}
    with database.transaction() as session:
        for row in session.scalars(select(Company).where(Company.id.in_(["c3", "c13"]))):
            row.problem = None  # mended: JSON's null stands there
    with database.transaction() as session:
        found = session.execute(select(Company, figures.standing(NOW))).all()
        assert {row.id: AS_THE_API_SAYS[state] for row, state in found} == {
            row.id: connection_state(row, NOW) for row, _ in found
        }
        assert {state for _, state in found} == set(AS_THE_API_SAYS)
        counted = figures.connections(session, NOW)
        assert sum(vars(counted).values()) == len(choices)
        assert counted.paused == len(choices) // 2


def test_pages_follow_state_oldest_request_and_name(database: Database) -> None:
    """Each company once, whichever page it stands on; `only` leaves one of them."""
    names = {"zulu": "alpha", "yankee": "Bravo", "xray": "charlie", "late": "zz waits", "later": "yy waits"}
    for company_id, name in names.items():
        _add(database, company_id, name=name, last_seen_at=NOW)
    _add(database, "refused", name="zz", last_seen_at=NOW, problem={"code": "x"})
    for company_id, hours in (("late", 3), ("later", 1)):
        _request(database, company_id, at=_ago(hours=hours))
    order = ["refused", "late", "later", "zulu", "yankee", "xray"]
    with database.transaction() as session:
        assert company_standings.count_companies(session) == len(order)
        pages = [
            [row.id for row in company_standings.worst_first(session, now=NOW, limit=4, offset=offset)]
            for offset in (0, 4, 8)
        ]
        assert pages == [order[:4], order[4:], []]
        alone = company_standings.worst_first(session, now=NOW, limit=4, only="xray")
        assert ([row.id for row in alone], company_standings.count_companies(session, only="xray")) == (["xray"], 1)


def test_what_belongs_to_a_company_is_found_for_many_as_for_one(database: Database) -> None:
    """Queue, its head, lists and the last wrong password; a company without any of it has none."""
    _add(database, "busy", lists_are_here=True)
    _add(database, "idle")
    for hours, state in ((3, states.DONE), (2, states.WAITING), (1, states.WAITING), (1, states.IN_FLIGHT)):
        _request(database, "busy", at=_ago(hours=hours), state=state)
    with database.transaction() as session:
        for hours, code in ((5, "wrong_password"), (4, "wrong_password"), (3, "file_restored")):
            companies.record_incident(session, company_id="busy", at=_ago(hours=hours), code=code, text="")
    with database.transaction() as session:
        parts = company_standings.parts_of(session, ["idle", "busy"])
        assert parts["idle"] == company_standings.CompanyParts()
        busy = parts["busy"]
        assert (busy.waiting, busy.in_flight) == (2, 1)
        assert busy.oldest_waiting_at == queue.oldest_waiting_at(session, "busy") == _ago(hours=2)
        assert busy.sync is list_syncs.company_sync(session, "busy")
        assert busy.lists == {row.kind: row for row in list_syncs.list_syncs(session, "busy")}
        assert busy.wrong_password_at == companies.last_incident_at(session, "busy", "wrong_password")
        assert busy.wrong_password_at == _ago(hours=4)
