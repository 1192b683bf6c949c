"""Queries over QuickBooks' lists and over what exports wait for, on each database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from activities.company_lists import StoreLists, loaded_lists
from mapping.lists import ListKind
from simulator.sample_company import freight_company
from store import companies, exports, waits
from store.engine import Database
from tests.support import stores
from tests.support.company_files import entries_of, facts_of, store_lists
from workflows.contracts import ExportState

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def database(database: Database) -> Database:
    stores.add_company(database)
    return database


def _exports(database: Database, *document_ids: str, company_id: str = "acme") -> list[int]:
    with database.transaction() as session:
        return [
            exports.add_export(
                session,
                exports.NewExport(
                    company_id=company_id,
                    kind="invoice",
                    document_id=document_id,
                    number=document_id,
                    content_hash="x",
                    document={"id": document_id},
                ),
                state=ExportState.FAILED,
                at=NOW,
            ).id
            for document_id in document_ids
        ]


def _wait(database: Database, export_id: int, *keys: str) -> None:
    with database.transaction() as session:
        row = session.get(exports.Export, export_id)
        assert row is not None
        waits.set_waits(session, row, keys)


def test_the_store_answers_as_the_lists_in_memory_do(database: Database) -> None:
    """Entry by entry, by id and by name, whole or one at a time, and in the preferences."""
    company = freight_company(clock=lambda: NOW)
    with database.transaction() as session:
        assert not any(StoreLists(session, "acme").is_known(kind) for kind in ListKind)
    store_lists(database, company)
    company.remove_entry(company.state.customers[0].list_id)
    store_lists(database, company)
    with database.transaction() as session:
        stored, loaded = StoreLists(session, "acme"), loaded_lists(session, "acme")
        assert stored.facts == loaded.facts == facts_of(company)
        for entry in entries_of(company):
            assert stored.is_known(entry.kind) and loaded.is_known(entry.kind)
            assert stored.by_list_id(entry.kind, entry.list_id) == loaded.by_list_id(entry.kind, entry.list_id) == entry
            name = entry.full_name.upper()
            assert list(stored.by_full_name(entry.kind, name)) == list(loaded.by_full_name(entry.kind, name)) == [entry]
        for wanted in ("AccountsPayable", "Income", "Equity"):
            kind = ListKind.ACCOUNT
            found = stored.active_of(kind, wanted)
            assert list(found) == list(loaded.active_of(kind, wanted))
            assert bool(found) == (wanted != "Equity")
        gone = [entry for entry in loaded.entries(ListKind.CUSTOMER) if entry.full_name == "Cafe Rio Foods"]
        assert gone == [] and list(stored.by_full_name(ListKind.CUSTOMER, "Cafe Rio Foods")) == []


def test_what_waits_is_released_by_its_key_and_only_in_its_company(database: Database) -> None:
    stores.add_company(database, "other", username="u2")
    first, second, third = _exports(database, "a", "b", "c")
    (foreign,) = _exports(database, "a", company_id="other")
    _wait(database, first, "terms/T", "charges/F", "terms/T")
    _wait(database, second, "charges/F")
    _wait(database, third, "customers/c")
    _wait(database, foreign, "charges/F")
    with database.transaction() as session:
        assert waits.awaited(session, first) == ["charges/F", "terms/T"]
        assert waits.release(session, "acme", ["terms/X"], NOW) == 0
        many = [f"charges/{n}" for n in range(1200)] + ["charges/F"]
        assert waits.release(session, "acme", many, NOW) == 2
        assert waits.companies_with_released(session) == ["acme"]
        assert [row.id for row in waits.released(session, "acme", after=0, limit=10)] == [first, second]
        assert [row.id for row in waits.released(session, "acme", after=first, limit=10)] == [second]
        waits.hold(session, first)
        assert waits.count_released(session, "acme") == 1
        waits.end_started(session, [first, second])
        assert waits.awaited(session, first) == ["charges/F", "terms/T"]
        assert waits.awaited(session, second) == []
        waits.end(session, first)
        assert waits.awaited(session, first) == []
        assert waits.release(session, "acme", None, NOW) == 1
        assert waits.awaited(session, foreign) == ["charges/F"]


def test_sections_of_other_mappings(database: Database) -> None:
    stores.add_company(database, "other", username="u2", mapping={"terms": {"T": {"full_name": "Net 30"}}})
    stores.add_company(database, "empty", username="u3", mapping={})
    with database.transaction() as session:
        assert companies.mapping_sections(session, "terms", besides="acme", limit=10) == [
            {"T": {"full_name": "Net 30"}}
        ]
        assert companies.mapping_sections(session, "charges", besides="acme", limit=10) == []


def test_the_newest_documents(database: Database) -> None:
    _exports(database, "a", "b", "c")
    with database.transaction() as session:
        assert exports.recent_documents(session, "acme", limit=2) == [{"id": "c"}, {"id": "b"}]
