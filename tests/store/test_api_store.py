"""What the API keeps, on both databases: kept answers, searches in JSON, documents, webhooks and their log."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from store import documents, exports, kept_answers, webhooks
from store.api_tables import HandedDocument
from store.documents import DocumentFilter
from store.engine import Database
from store.exports import ExportFilter
from store.webhook_tables import Webhook, WebhookDelivery
from tests.support import stores

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def database(database: Database) -> Database:
    stores.add_company(database)
    return database


def test_one_of_many_begins(database: Database) -> None:
    """Twelve threads claim one key at once: one holds it, the others see who does."""
    barrier = threading.Barrier(12)

    def claim(number: int) -> bool:
        barrier.wait()
        while True:
            try:
                with database.transaction() as session:
                    row = kept_answers.claim(
                        session,
                        "k",
                        request_hash="r",
                        holder=str(number),
                        now=NOW,
                        held_until=NOW + timedelta(minutes=2),
                        expires_at=NOW + timedelta(hours=24),
                    )
                    return row.holder == str(number)
            except IntegrityError:
                continue

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(claim, range(12))) == 1


def test_an_overtaken_try_keeps_nothing(database: Database) -> None:
    """Only the holder's answer stays."""
    times = {"held_until": NOW + timedelta(minutes=2), "expires_at": NOW + timedelta(hours=24)}
    with database.transaction() as session:
        kept_answers.claim(session, "k", request_hash="r", holder="first", now=NOW, **times)
    later = NOW + timedelta(minutes=2)
    with database.transaction() as session:
        kept_answers.claim(session, "k", request_hash="r", holder="second", now=later, **times)
    with database.transaction() as session:
        kept_answers.keep(session, "k", holder="first", status=201, headers={}, body=b"first")
        kept_answers.forget(session, "k", holder="first")
        kept_answers.keep(session, "k", holder="second", status=201, headers={"a": "b"}, body=b"second")
    with database.transaction() as session:
        row = kept_answers.claim(session, "k", request_hash="r", holder="third", now=later, **times)
        assert (row.status, row.headers, row.body) == (201, {"a": "b"}, b"second")


def test_searches_in_json(database: Database) -> None:
    """Names and codes inside documents and failures are found; rows without them are no obstacle."""
    with database.transaction() as session:
        for number, document in enumerate((stores.an_invoice("inv_0"), stores.a_bill("bill_1"), {"customer": 5})):
            new = exports.NewExport(
                company_id="acme",
                kind=str(document.get("kind", "invoice")),
                document_id=f"doc_{number}",
                number=f"N{number}",
                content_hash="x",
                document=document,
            )
            row = exports.add_export(session, new, state="Failed" if number else "Queued", at=NOW)
            row.error = {"code": "3140"} if number == 1 else None
    with database.transaction() as session:

        def found(**fields: object) -> list[str]:
            wanted = ExportFilter(company_id="acme", **fields)  # type: ignore[arg-type]
            return [row.document_id for row in exports.list_by_age(session, wanted, after_id=0, limit=10)]

        assert found(text="cafe RIO") == ["doc_0"]
        assert found(text="acme carrier") == ["doc_1"]
        assert found(text="n2") == ["doc_2"]
        assert found(code="3140") == ["doc_1"]
        assert found(without_code="3140") == ["doc_0", "doc_2"]
        assert found(updated_since=NOW) == ["doc_0", "doc_1", "doc_2"]
        assert found(updated_since=NOW + timedelta(microseconds=1)) == []
        first = exports.list_by_change(session, ExportFilter(company_id="acme"), after=None, limit=2)
        rest = exports.list_by_change(
            session, ExportFilter(company_id="acme"), after=(first[-1].updated_at, first[-1].id), limit=2
        )
        assert [row.document_id for row in [*first, *rest]] == ["doc_0", "doc_1", "doc_2"]


def test_documents_with_and_without_export(database: Database) -> None:
    """The list joins each document with the export of the same kind and id of its company."""
    with database.transaction() as session:
        for document_id in ("a", "b"):
            session.add(
                HandedDocument(
                    company_id="acme",
                    kind="invoice",
                    document_id=document_id,
                    number=document_id,
                    party="Cafe Rio Foods",
                    document={},
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
        new = exports.NewExport(
            company_id="acme", kind="invoice", document_id="a", number="a", content_hash="x", document={}
        )
        exports.add_export(session, new, state="Queued", at=NOW)
    with database.transaction() as session:

        def found(**fields: object) -> list[tuple[str, bool]]:
            wanted = DocumentFilter(company_id="acme", **fields)  # type: ignore[arg-type]
            rows = documents.list_documents(session, wanted, before_id=None, limit=10)
            return [(row.document_id, export is not None) for row, export in rows]

        assert found() == [("b", False), ("a", True)]
        assert found(only_unexported=True) == [("b", False)]
        assert found(states=["Queued"]) == [("a", True)]
        assert found(text="CAFE") == [("b", False), ("a", True)]
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(
            HandedDocument(
                company_id="acme", kind="invoice", document_id="a", document={}, created_at=NOW, updated_at=NOW
            )
        )


def test_messages_go_with_their_webhook(database: Database) -> None:
    """Written for who wants the event, once per key, found until started, and removed with the webhook."""
    with database.transaction() as session:
        for number, events in enumerate((list(webhooks.EVENTS), ["export.sent"])):
            session.add(
                Webhook(
                    id=f"wh_{number}",
                    company_id="acme",
                    url="https://tms.example.com/",
                    events=events,
                    secret="whsec_eA==",
                    disabled_reason="",
                    created_at=NOW,
                    updated_at=NOW,
                )
            )
    with database.transaction() as session:
        webhooks.tell(session, "acme", "export.failed", {"a": 1}, at=NOW, key="k")
    with pytest.raises(IntegrityError), database.transaction() as session:
        webhooks.tell(session, "acme", "export.failed", {"a": 1}, at=NOW, key="k")
    with database.transaction() as session:
        [row] = webhooks.unstarted(session, now=NOW, limit=10)
        assert row.webhook_id == "wh_0"
        message_id = row.id
        assert webhooks.unstarted(session, now=NOW - timedelta(seconds=1), limit=10) == []
        webhooks.mark_started(session, [row.id], at=NOW)
        session.flush()
        assert webhooks.unstarted(session, now=NOW, limit=10) == []
        found = webhooks.webhook(session, "acme", "wh_0", lock=True)
        session.delete(found)
        session.flush()
        session.expire_all()
        assert session.get(WebhookDelivery, message_id) is None


def test_keys_of_before_may_do_everything(database: Database) -> None:
    """A row written without scopes, as older versions do during an upgrade, is an admin's."""
    from sqlalchemy import text

    from store import companies

    with database.transaction() as session:
        session.execute(
            text("insert into api_keys (id, name, key_hash, created_at) values ('k', 'k', 'h', '2026-11-01 00:00:00')")
        )
    with database.transaction() as session:
        key = companies.api_key(session, "h", now=NOW)
        assert key is not None
        assert (key.scopes, key.company_id, key.expires_at) == ("admin", None, None)
