"""What the doctor and `qbd exports` tell, from rows as the system writes them."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from ops import export_list
from ops.doctor import describe_company
from ops.installation import STUCK, describe_installation
from ops.problems import ProblemError
from ops.settings import Settings, load_settings
from store import exports, list_syncs, outbox, states, webhooks
from store.engine import Database
from store.tables import Company, MessageSet, Request, WebConnectorSession
from store.webhook_tables import Webhook
from tests.support import stores
from workflows.export import QuickBooksExport

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""A Wednesday."""


@pytest.fixture
def settings(tmp_path: Path, database: Database) -> Settings:
    return load_settings({"QBD_DATA_DIR": str(tmp_path), "QBD_DATABASE_URL": f"sqlite:///{tmp_path / 'qbd.sqlite'}"})


def an_export(session: Any, company: str, number: int, state: str, at: datetime, **fields: Any) -> Any:
    new = exports.NewExport(
        company_id=company,
        kind="invoice",
        document_id=f"d{number}",
        number=f"N-{number}",
        content_hash="h",
        document={},
    )
    row = exports.add_export(session, new, state=state, at=at)
    for name, value in fields.items():
        setattr(row, name, value)
    session.flush()
    return row


def a_troubled_company(database: Database, now: datetime) -> None:
    """Everything that can be wrong with one company at once."""
    stores.add_company(database, "acme", last_seen_at=now - timedelta(days=3))
    with database.transaction() as session:
        owner = session.get(Company, "acme")
        assert owner is not None
        owner.problem = {
            "code": "wrong_company_file", "cause": "Another file is open.", "owner": "bookkeeper",
            "next_step": "Open the right company file.", "at": now.isoformat(),
        }  # fmt: skip
        owner.bound_company_name, owner.bound_company_file = "Acme Books", "C:\\acme.qbw"
        session.add(
            Webhook(
                id="wh1", company_id="acme", url="https://x.example", events=["export.failed"], secret="whsec_hidden",
                enabled=True, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        session.add(
            WebConnectorSession(ticket_hash="t", company_id="acme", state="open", started_at=now, last_call_at=now)
        )
        session.flush()
        failed = {"code": "qb_3140", "owner": "bookkeeper"}
        row = an_export(session, "acme", 1, "Failed", now, error=failed, owner="bookkeeper")
        webhooks.tell_export(session, row, at=now, key="k")
        waiting = an_export(session, "acme", 2, "Queued", now)
        session.add(
            MessageSet(
                id="SETX", company_id="acme", ticket_hash="t", kind="write", state="sent", text="", seq=1,
                sent_at=now - timedelta(hours=5),
            )
        )  # fmt: skip
        for number, state in ((1, states.WAITING), (2, states.IN_FLIGHT)):
            session.add(
                Request(
                    id=f"R{number}", company_id="acme", export_id=waiting.id, run_id="r", workflow_id="export/acme/x/y",
                    operation="InvoiceAdd", body="", facts={}, state=state, batch_max=1000,
                    available_at=now, created_at=now - timedelta(hours=26),
                )
            )  # fmt: skip
        sync = list_syncs.request_sync(session, "acme", at=now, full=False)
        sync.state, sync.note = list_syncs.FAILED, "QuickBooks was closed."
        outbox.add_signal(
            session, workflow_id="export/acme/invoice/d1", signal="s", payload={}, at=now - timedelta(minutes=9)
        )
        outbox.add_signal(session, workflow_id="export/acme2/invoice/d1", signal="s", payload={}, at=now)


def test_a_doubt_about_our_own_database_is_told(settings: Settings, database: Database) -> None:
    """Why nothing is written, and what ends it."""
    stores.add_company(database, doubt_since=datetime.now(UTC) - timedelta(minutes=5))
    [line] = [line for line in describe_company(settings, "acme") if line.startswith("Queue")]
    assert "nothing is written: our database may have lost what it wrote since 5 min ago" in line


def test_a_company_is_explained_in_ten_lines(settings: Settings, database: Database) -> None:
    """State, contact, file, problem with owner and step, queue, unknown set, failures, lists, signals, webhooks."""
    a_troubled_company(database, datetime.now(UTC))
    title, *lines = describe_company(settings, "acme")
    assert len(lines) <= 10
    told = dict(zip(("Web", "Qui", "Pro", "Que", "Exp", "Lis", "Sig", "Webh", "Inc"), lines, strict=True))
    assert all(line.startswith(start) for start, line in told.items())
    assert title == "acme: Acme Brokerage, refused"
    assert "seen 3 days ago" in told["Web"]
    assert "Acme Books" in told["Qui"]
    assert "bookkeeper: Another file is open. Open the right company file." in told["Pro"]
    assert "1 waiting, the oldest since 26 h ago, 1 in flight; set SETX left 5 h ago" in told["Que"]
    assert "1 Failed, 1 Queued; Failed: 1 qb_3140 (bookkeeper)" in told["Exp"]
    assert "failed: QuickBooks was closed." in told["Lis"]
    assert "1 not delivered, the oldest since 9 min ago; no relay is at work" in told["Sig"]
    assert "1 (0 switched off): 1 messages due" in told["Webh"]
    assert "whsec" not in "".join(lines)


async def test_the_installation_is_explained(
    settings: Settings, database: Database, temporal: WorkflowEnvironment
) -> None:
    """With Temporal: its version and attributes; what is missing names the next step and makes it unwell."""
    import asyncio

    a_troubled_company(database, datetime.now(UTC))
    config = temporal.client.service_client.config
    environ = {"TEMPORAL_ADDRESS": config.target_host, "TEMPORAL_NAMESPACE": temporal.client.namespace}
    lines, is_well = await asyncio.to_thread(describe_installation, settings, environ)
    text = "\n".join(lines)
    assert not is_well
    assert "at this program's version" in text
    assert "0 connected, 0 stale, 1 refused" in text
    assert "1 sets without an answer" in text
    assert re.search(r"Relay .*2 signals not delivered.*is a bridge running\?", text)
    assert re.search(r"Temporal .*answers, server \d", text)
    assert "Search attributes  all 5 are there" in text
    assert "Workflows          none whose task fails again and again" in text
    assert "start one: ./qbd worker" in text
    away = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    lines, is_well = await asyncio.to_thread(describe_installation, settings, away)
    assert not is_well
    assert "Temporal           does not answer" in lines[-1]


@pytest.mark.long
async def test_a_workflow_whose_task_fails_again_and_again_is_named(
    settings: Settings, database: Database, temporal: WorkflowEnvironment
) -> None:
    """Temporal says so itself, a minute after it began; nothing of ours fails so, but somebody's program may."""
    import asyncio

    config = temporal.client.service_client.config
    environ = {"TEMPORAL_ADDRESS": config.target_host, "TEMPORAL_NAMESPACE": temporal.client.namespace}
    queue = f"stuck-{uuid.uuid4().hex}"
    async with Worker(temporal.client, task_queue=queue, workflows=[QuickBooksExport]):
        stuck = await temporal.client.start_workflow("Nobody", id=f"nobody-{queue}", task_queue=queue)
        async with asyncio.timeout(110):
            while not (await temporal.client.count_workflows(STUCK)).count:
                await asyncio.sleep(1)
        lines, is_well = await asyncio.to_thread(describe_installation, settings, environ)
        await stuck.terminate()
    [line] = [line for line in lines if line.startswith("Workflows")]
    assert not is_well
    assert f"1 stuck: nobody-{queue}" in line


def test_exports_are_found_by_company_state_owner_code_and_time(settings: Settings, database: Database) -> None:
    """The last change first; an export of another company, owner, code or week is not among them."""
    for company in ("acme", "beta"):
        stores.add_company(database, company)
    failed = {"code": "qb_3140"}
    with database.transaction() as session:
        for number, at in ((1, NOW - timedelta(days=1)), (2, NOW), (3, NOW - timedelta(days=9))):
            an_export(session, "acme", number, "Failed", at, error=failed, owner="bookkeeper")
        an_export(session, "acme", 4, "Failed", NOW, error={"code": "outcome_unknown"}, owner="us")
        an_export(session, "acme", 5, "Successful", NOW)
        an_export(session, "beta", 6, "Failed", NOW - timedelta(hours=1), error=failed, owner="bookkeeper")

    def found(**asked: str | None) -> list[str]:
        chosen = {"company": None, "state": None, "owner": None, "code": None, "since": None} | asked
        rows = export_list.find_exports(settings, export_list.wanted_from(now=NOW, **chosen), limit=10)
        return [row["document_id"] for row in rows]

    assert found(company="acme", state="failed", owner="bookkeeper", since="monday") == ["d2", "d1"]
    assert found(state="failed", owner="bookkeeper", since="monday") == ["d2", "d6", "d1"]
    assert found(company="acme", code="outcome_unknown") == ["d4"]
    assert found(company="acme", state="Successful") == ["d5"]
    assert found(company="acme", state="pending") == []
    with pytest.raises(ProblemError, match="no company nobody"):
        found(company="nobody")


def test_times_and_words_are_read_or_refused_with_the_choices() -> None:
    """Days begin at midnight UTC; a weekday is the last one, today included."""
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    for text, expected in (
        ("monday", datetime(2026, 11, 23, tzinfo=UTC)),
        ("Wednesday", midnight),
        ("thursday", datetime(2026, 11, 19, tzinfo=UTC)),
        ("today", midnight),
        ("3d", NOW - timedelta(days=3)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:00+02:00", datetime(2026, 11, 20, 6, tzinfo=UTC)),
    ):
        assert export_list.since_from(text, NOW) == expected
    none: dict[str, Any] = {"company": None, "state": None, "owner": None, "code": None, "since": None, "now": NOW}
    for wrong in ({"since": "soon"}, {"state": "lost"}, {"owner": "nobody"}):
        with pytest.raises(ProblemError, match=r"choose from|write 3d"):
            export_list.wanted_from(**none | wrong)


def test_a_quote_in_a_company_cannot_leave_its_place_in_the_query() -> None:
    """What goes to Temporal's search field is text, not syntax."""
    wanted = export_list.Wanted(company="a' OR CompanyId != 'b")
    assert r"CompanyId = 'a\' OR CompanyId != \'b'" in export_list.visibility_query(wanted)
