"""What is asked often is found by an index, however long the history is; each test fails without its index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from store import (
    companies,
    company_standings,
    connection_watch,
    documents,
    exports,
    figures,
    kept_answers,
    lists,
    outbox,
    queue,
    retention,
    sign_ins,
    waits,
    webhooks,
)
from store.documents import DocumentFilter
from store.engine import Database
from store.exports import ExportFilter
from store.lists import Position
from store.polls import Polls
from store.tables import WebConnectorSession
from tests.store.filled import drop, faults_of, fill
from tests.support import postgres, stores

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
OLD = datetime(2026, 11, 1, tzinfo=UTC)
WC = WebConnectorSession(company_id="c1", ticket_hash="t9", host="PC")
Question = Callable[[Session], object]


def _exports(**fields: object) -> Question:
    wanted = ExportFilter(company_id="c1", **fields)  # type: ignore[arg-type]
    return lambda session: exports.list_exports(session, wanted, before_id=9_000, limit=20)


def _documents(**fields: object) -> Question:
    wanted = DocumentFilter(company_id="c1", **fields)  # type: ignore[arg-type]
    return lambda session: documents.list_documents(session, wanted, before_id=9_000, limit=20)


def _search(text: str, **fields: object) -> Question:
    options = {"kind": "customer", "is_active": True, "after": None, "limit": 20, **fields}
    return lambda session: lists.search(session, "c1", text=text, **options)  # type: ignore[arg-type]


IN_ORDER: dict[str, tuple[str, Question]] = {
    "connections that are back": ("ix_companies_silent", lambda s: s.execute(connection_watch.called_again(20)).all()),
    "connections to look at": ("ix_companies_look", lambda s: s.execute(connection_watch.due_by(NOW, 20)).all()),
    "the next batch": ("ix_requests_queue", lambda s: stores.next_requests(s, "c1", now=NOW, limit=20)),
    "the head of the queue": ("ix_requests_queue", lambda s: queue.oldest_waiting_at(s, "c1")),
    "the set that may be released": ("ix_message_sets_history", lambda s: queue.last_settled_write_set(s, "c1")),
    "exports": ("ix_exports_company_id", _exports()),
    "exports by kind": ("ix_exports_company_id", _exports(kind="invoice")),
    "exports by code": ("ix_exports_company_id", _exports(code="3140")),
    "exports by text": ("ix_exports_company_id", _exports(text="cafe")),
    "exports by state": ("ix_exports_company_state", _exports(states=["Failed"])),
    "exports by owner": ("ix_exports_company_owner", _exports(owner="bookkeeper")),
    "exports by age": (
        "ix_exports_company_id",
        lambda s: exports.list_by_age(s, ExportFilter(company_id="c1"), after_id=5, limit=20),
    ),
    "documents": ("ix_documents_company_id", _documents()),
    "documents by text": ("ix_documents_company_id", _documents(text="cafe")),
    "documents without export": ("ix_documents_company_id", _documents(only_unexported=True)),
    "entries of a list": ("ix_list_entries_page", _search("")),
    "entries that begin so": ("ix_list_entries_page", _search("name 1", limit=5)),
    "entries behind a page": (
        "ix_list_entries_page",
        _search("", after=Position(rank=0, name_key="name 5", list_id="l5")),
    ),
    "entries of all lists": ("ix_list_entries_search", _search("", kind=None)),
    "the log of a webhook": (
        "ix_webhook_deliveries_log",
        lambda s: webhooks.deliveries(s, "wh1", state=None, before=(NOW, "m5"), limit=20),
    ),
}
"""Answered from the index in its order: the page ends the work, whatever is behind it."""

FOUND: dict[str, tuple[str | None, Question]] = {
    "the company that signs in": (None, lambda s: sign_ins.look_up(s, "u1", address="127.0.0.1", now=NOW)),
    "whether there is work": (
        "ix_requests_queue",
        lambda s: Polls().look(s.connection(), "u1", address="127.0.0.1", now=NOW),
    ),
    "what there is to do": ("ix_requests_queue", lambda s: queue.left_to_do(s, "c1", now=NOW, count_to=100)),
    "what matters to the next set": (
        "ix_message_sets_ticket_hash",
        lambda s: queue.next_set(s, WC, now=NOW, limit=20, others_since=NOW),
    ),
    "the session of a ticket": (None, lambda s: queue.wc_session(s, "t9")),
    "the last word of a session": (None, lambda s: queue.last_word(s.connection(), "t9")),
    "the unresolved set": (
        "ix_message_sets_history or ix_message_sets_unanswered",
        lambda s: queue.unresolved_write_set(s, "c1"),
    ),
    "what was asked about a set": ("ix_message_sets_about", lambda s: queue.recovery_steps(s, "s9")),
    "what a session has open": (
        "ix_message_sets_ticket_hash or ix_message_sets_unanswered",
        lambda s: queue.open_questions(s, "t9"),
    ),
    "what an answer may belong to": (
        "ix_message_sets_ticket_hash",
        lambda s: queue.exchanges(s, WC, "<x/>", now=NOW, count_to=100),
    ),
    "the requests of a set": (
        "ix_requests_message_set_id or ix_requests_open",
        lambda s: queue.requests_of_set(s, "s9"),
    ),
    "the newest request": ("ix_requests_export_id", lambda s: queue.newest_request(s, 9)),
    "open sessions": ("ix_web_connector_sessions_open", lambda s: queue.open_sessions(s, "c1")),
    "abandoned sessions": (
        "ix_web_connector_sessions_open",
        lambda s: queue.close_abandoned(s, silent_since=NOW, last_error="x"),
    ),
    "sessions of late": ("ix_web_connector_sessions_started", lambda s: queue.hosts_since(s, WC, NOW)),
    "the outbox": (
        "ix_outbox_undelivered",
        lambda s: outbox.take(s, 20, now=NOW, hold_starts=timedelta(seconds=15)),
    ),
    "webhook messages that are due": (
        "ix_webhook_deliveries_unstarted",
        lambda s: webhooks.unstarted(s, now=NOW, limit=20),
    ),
    "a start that waits": ("ix_outbox_workflow", lambda s: outbox.waits_to_start(s, "w9")),
    "a number": ("ix_exports_company_number", _exports(number="N13")),
    "exports by change": (
        "ix_exports_company_updated",
        lambda s: exports.list_by_change(s, ExportFilter(company_id="c1"), after=(NOW, 5), limit=20),
    ),
    "exports changed since": (
        "ix_exports_company_updated",
        lambda s: exports.list_by_change(s, ExportFilter(company_id="c1", updated_since=NOW), after=None, limit=20),
    ),
    "an export": (None, lambda s: exports.find_export(s, "c1", "invoice", "d13")),
    "a timeline": ("ix_timeline_export_id", lambda s: exports.timeline(s, 9)),
    "documents by state": (None, _documents(states=["Failed"])),
    "documents changed since": (None, _documents(updated_since=NOW)),
    "entries with a name": ("ix_list_entries_page", lambda s: lists.entries_named(s, "c1", "customer", "Name 13")),
    "exports that wait for an entry": (
        "ix_export_waits_entry",
        lambda s: waits.release(s, "c1", ["charges/1"], NOW),
    ),
    "the queues of a page of companies": (
        "ix_requests_queue or ix_requests_open",
        lambda s: s.execute(company_standings.queues_of(["c1", "c2"])).all(),
    ),
    "the last wrong passwords of a page of companies": (
        "ix_incidents_company_at",
        lambda s: s.execute(company_standings.wrong_passwords_of(["c1", "c2"])).all(),
    ),
    "who has released exports": ("ix_export_waits_due", waits.companies_with_released),
    "released exports": (None, lambda s: waits.released(s, "c1", after=0, limit=25)),
    "expired answers": (
        "ix_kept_answers_expires_at",
        lambda s: kept_answers.forget_expired(s, now=NOW, limit=10),
    ),
    "incidents": ("ix_incidents_company_at", lambda s: companies.incidents(s, "c1", 20)),
    "the last incident of a kind": ("ix_incidents_company_at", lambda s: companies.last_incident_at(s, "c1", "x")),
    "a used number": (
        None,
        lambda s: exports.numbers_of_others(s, company_id="c1", kind="invoice", party_id="", document_id="d")("n13"),
    ),
    "sessions to prune": (
        "ix_web_connector_sessions_started",
        lambda s: retention._sessions(s, "c1", OLD, 20, dry_run=False),
    ),
    "timelines and texts to prune": ("ix_timeline_export_id", lambda s: retention._of_exports(s, [1, 2], NOW, False)),
    "signals to prune": ("ix_outbox_undelivered", lambda s: s.scalars(retention._delivered(OLD).limit(20)).all()),
    "messages to prune": (
        "ix_webhook_deliveries_finished",
        lambda s: s.scalars(retention._finished_messages("c1", OLD).limit(20)).all(),
    ),
    "queues of all companies": ("ix_requests_open", figures.queues),
    "what is in flight": ("ix_requests_open", figures.in_flight),
    "sets whose outcome is not known": ("ix_message_sets_unanswered", figures.unresolved_sets),
    "what Temporal has not taken": ("ix_outbox_undelivered or ix_outbox_waiting", figures.outbox),
    "webhook messages that wait": ("ix_webhook_deliveries_unstarted", figures.webhook_messages),
    "webhook messages given up": ("ix_webhook_deliveries_unstarted", figures.failed_webhook_messages),
    "failed exports by owner": ("ix_exports_unsuccessful", figures.failed_by_owner),
    "incidents to prune": (
        "ix_incidents_company_at",
        lambda s: s.scalars(retention._old_incidents("c1", OLD).limit(20)).all(),
    ),
}
ON_POSTGRESQL = {"the outbox": "ix_outbox_waiting"}
"""Where PostgreSQL needs another index than SQLite."""
NOT_PLANNED_ONCE = {"the queues of a page of companies", "signals to prune"}
"""What only other processes ask, which plan each statement for its values."""
QUESTIONS: dict[str, tuple[str | None, Question, bool]] = {
    **{name: (index, question, True) for name, (index, question) in IN_ORDER.items()},
    **{name: (index, question, False) for name, (index, question) in FOUND.items()},
}


@pytest.fixture(scope="module")
def sqlite_filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    for database in stores.sqlite(tmp_path_factory.mktemp("filled")):
        fill(database)
        yield database


@pytest.fixture(scope="module")
def postgresql_filled(postgresql: str) -> Iterator[Database]:
    with postgres.database_on(postgresql) as url:
        database = Database(url)
        database.migrate()
        fill(database)
        yield database
        database.close()


@pytest.fixture
def filled(database_kind: str, request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(f"{database_kind}_filled")
    return found


def _questions(filled: Database) -> Iterator[tuple[str, tuple[str | None, Question, bool]]]:
    for name, (index, question, in_order) in QUESTIONS.items():
        other = None if filled.is_sqlite else ON_POSTGRESQL.get(name)
        yield name, (other or index, question, in_order)


def test_no_question_reads_a_whole_table(filled: Database) -> None:
    faults: dict[str, list[str]] = {}
    with filled.engine.connect() as connection:
        for name, (index, question, in_order) in _questions(filled):
            found = faults_of(connection, question, index, sorted_by_it=in_order)
            if found:
                faults[name] = found
            connection.rollback()
    assert not faults, "\n".join(f"{name}: {found}" for name, found in faults.items())


def test_what_is_planned_once_reads_no_whole_table_whatever_the_values_are(postgresql_filled: Database) -> None:
    """Bridges and workers have each statement planned once."""
    faults: dict[str, list[str]] = {}
    with postgresql_filled.engine.connect() as connection:
        for name, (index, question, in_order) in _questions(postgresql_filled):
            if name not in NOT_PLANNED_ONCE:
                found = faults_of(connection, question, index, sorted_by_it=in_order, plans_once=True)
                if found:
                    faults[name] = found
                connection.rollback()
    assert not faults, "\n".join(f"{name}: {found}" for name, found in faults.items())


def test_without_its_index_each_question_is_seen_to_lack_it(filled: Database) -> None:
    """A test that cannot fail proves nothing."""
    with filled.engine.connect() as connection:
        for name, (index, question, in_order) in _questions(filled):
            if index is not None:
                drop(connection, index)
                assert faults_of(connection, question, index, sorted_by_it=in_order), name
                connection.rollback()
