"""The figures of the installation read small indexes and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from store import figures
from store.engine import Database, after_commit
from tests.support import stores

READS: dict[str, tuple[Callable[[Session], Any], str]] = {
    "queues": (figures.queues, "ix_requests_open"),
    "in flight": (figures.in_flight, "ix_requests_open"),
    "unresolved sets": (figures.unresolved_sets, "ix_message_sets_unanswered"),
    "outbox": (figures.outbox, "ix_outbox_undelivered"),
    "webhooks": (figures.webhook_messages, "ix_webhook_deliveries_unstarted"),
    "given up": (figures.failed_webhook_messages, "ix_webhook_deliveries_unstarted"),
    "failed": (figures.failed_by_owner, "ix_exports_unsuccessful"),
}


@pytest.mark.parametrize("name", READS)
def test_a_figure_is_read_through_its_index(database: Database, name: str) -> None:
    """SQLite's own plan names the index and scans no table."""
    read, index = READS[name]
    said: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: said.append((a[2], a[3])))
    with database.transaction() as session:
        read(session)
        statement, parameters = next(one for one in said if one[0].lower().startswith("select"))
        plan = session.connection().exec_driver_sql(f"explain query plan {statement}", parameters).all()
    steps = " | ".join(str(row[3]) for row in plan)
    assert index in steps, steps


def test_what_is_told_after_a_commit_is_not_told_after_a_rollback(database: Database) -> None:
    """Metrics, log lines and spans say only what became true."""
    told: list[str] = []
    stores.add_company(database)
    with database.transaction() as session:
        after_commit(session, lambda: told.append("true"))
        assert not told
    with pytest.raises(RuntimeError), database.transaction() as session:
        after_commit(session, lambda: told.append("false"))
        raise RuntimeError
    assert told == ["true"]
