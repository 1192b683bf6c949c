"""The tables. A company's connection, its mapping, its exports, the queue of requests and what went over the wire.

Every time is UTC and aware. Texts that come from outside are cut by their writers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TextClause,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Json = dict[str, Any]
OPEN_REQUESTS = text("state IN ('waiting', 'in_flight')")
UNANSWERED_SETS = text("state = 'sent'")
UNSUCCESSFUL_EXPORTS = text("state <> 'Successful'")
DIFFERING_EXPORTS = text("has_differences")
NO_SILENCE_TOLD = text("silent_since IS NULL")
SILENCE_TOLD = text("silent_since IS NOT NULL")
"""What the small indexes cover. A query must say the same words: SQLite proves nothing by itself."""
LONG_AGO = text("'2000-01-01 00:00:00'")
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite has no time zones, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would be read in another zone than they were written."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give an aware UTC time on every database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The one metadata."""

    type_annotation_map = {datetime: UtcDateTime(), Json: JSON()}  # noqa: RUF012 SQLAlchemy's own protocol


def _partial(name: str, *columns: str, where: TextClause) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


class Company(Base):
    """One connection: a company of the TMS and the company file that it was bound to at its first session."""

    __tablename__ = "companies"
    __table_args__ = (
        # Without a column that each call of a Web Connector writes: those updates stay cheap.
        _partial("ix_companies_look", "look_at", where=NO_SILENCE_TOLD),
        _partial("ix_companies_silent", "silent_since", where=SILENCE_TOLD),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    previous_password_hash: Mapped[str | None] = mapped_column(String(200))
    previous_password_until: Mapped[datetime | None]
    """Until then the password before the last change signs in, too."""
    last_address: Mapped[str | None] = mapped_column(String(45))
    """Where the Web Connector signed in from last: guessing from elsewhere never shuts it out."""
    quickbooks_release: Mapped[str] = mapped_column(String(20))
    country: Mapped[str] = mapped_column(String(2))
    run_every_minutes: Mapped[int]
    owner_id: Mapped[str] = mapped_column(String(38))
    file_id: Mapped[str] = mapped_column(String(38))
    paused: Mapped[bool] = mapped_column(default=False)
    quiet_hours: Mapped[Json | None]
    """{from, until, time_zone}: the span of each day in which the Web Connector gets no work."""
    company_file: Mapped[str] = mapped_column(Text, default="")
    """The path that authenticate hands out; "" means the file that is open."""
    ref_number_rule: Mapped[str] = mapped_column(String(40), default="keep_end")
    look_before_adding: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether each document is looked for in QuickBooks before it is added: somebody may have typed it in."""
    auto_retry: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether exports that wait for an entry of the mapping start again by themselves when it is saved."""
    mapping: Mapped[Json] = mapped_column(default=dict)
    mapping_version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Grows with each change of the mapping and each reading of the lists: what waits since before is mapped again."""
    bound_company_name: Mapped[str | None] = mapped_column(String(200))
    bound_company_file: Mapped[str | None] = mapped_column(Text)
    product: Mapped[str | None] = mapped_column(String(255))
    qbxml_version: Mapped[str | None] = mapped_column(String(10))
    web_connector_version: Mapped[str | None] = mapped_column(String(40))
    last_seen_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    problem: Mapped[Json | None]
    preferences: Mapped[Json | None]
    """What the company file's preferences say of our documents, as `mapping.lists.CompanyFacts`; told each session."""
    rebind_requested_at: Mapped[datetime | None]
    """An operator said that the books moved: the next session may bind to another file that bears our stamp."""
    last_restore_time: Mapped[str | None] = mapped_column(String(40))
    """When the company file was last put back from a backup, as QuickBooks writes it (qbxml.md 5.4)."""
    doubt_since: Mapped[datetime | None]
    """Our database may not know what was written since: until it was found out, nothing is written (epochs.py)."""
    look_everything_since: Mapped[datetime | None]
    """It did not know: documents that are new to us may be in QuickBooks since then. So each is looked for before its
    first Add, whatever `look_before_adding` says."""
    look_at: Mapped[datetime] = mapped_column(server_default=LONG_AGO)
    """When it is to be looked next whether the Web Connector still calls (connection_watch.py)."""
    silent_since: Mapped[datetime | None]
    """The last call before a silence that was told; until the next call."""
    created_at: Mapped[datetime]


class ApiKey(Base):
    """A key of the HTTP API; only its hash is kept."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    company_id: Mapped[str | None] = mapped_column(String(64))
    """The only company that the key may see; None: all of them."""
    scopes: Mapped[str] = mapped_column(String(100), default="admin", server_default="admin")
    """What it may do, separated by spaces: read, export, configure, admin."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Export(Base):
    """The read model of one export, and the lasting guard against a second one (design.md 3.1)."""

    __tablename__ = "exports"
    __table_args__ = (
        UniqueConstraint("company_id", "kind", "document_id", name="uq_exports_document"),
        Index("ix_exports_company_updated", "company_id", "updated_at"),
        Index("ix_exports_company_id", "company_id", "id"),
        Index("ix_exports_company_state", "company_id", "state", "id"),
        Index("ix_exports_company_owner", "company_id", "owner", "id"),
        Index("ix_exports_company_number", "company_id", "number"),
        _partial("ix_exports_unsuccessful", "state", "updated_at", where=UNSUCCESSFUL_EXPORTS),
        Index("ix_exports_company_created", "company_id", "created_at"),
        _partial("ix_exports_differing", "company_id", "id", where=DIFFERING_EXPORTS),
    )
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    kind: Mapped[str] = mapped_column(String(20))
    document_id: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    document: Mapped[Json]
    state: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(Text, default="")
    run_id: Mapped[str | None] = mapped_column(String(64))
    external_guid: Mapped[str | None] = mapped_column(String(38))
    ref_number: Mapped[str | None] = mapped_column(String(20))
    changes: Mapped[list[Any]] = mapped_column(JSON, default=list)
    sent: Mapped[Json | None]
    """What it says in QuickBooks, frozen with the newest request by `mapping/sent.py`; None: of an older process."""
    quickbooks: Mapped[Json | None]
    has_differences: Mapped[bool] = mapped_column(default=False, server_default=false())
    """QuickBooks holds something otherwise than it was meant: `quickbooks` says what."""
    error: Mapped[Json | None]
    owner: Mapped[str | None] = mapped_column(String(20))
    claim: Mapped[Json | None]
    """{txn_id, by, at, is_seen}: a person's word that it is in QuickBooks, until a request is there to look it up."""
    ruled_out: Mapped[list[Any] | None] = mapped_column(JSON)
    """TxnIDs that resemble the document and of which a person said that they are not it."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The trace of its newest run (W3C Trace Context); None while nobody traces."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TimelineEntry(Base):
    """One step of an export, as users read it."""

    __tablename__ = "timeline"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id"), index=True)
    at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    """Makes a repeated write the same entry."""


class RefNumber(Base):
    """A number that an export of this company uses in QuickBooks; the key is what must not repeat."""

    __tablename__ = "ref_numbers"
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    ref_number: Mapped[str] = mapped_column(String(20), primary_key=True)
    party_id: Mapped[str] = mapped_column(String(64), primary_key=True, default="")
    """The carrier on bills: two carriers may both have a bill 1001. Empty on invoices."""
    document_id: Mapped[str] = mapped_column(String(64))


class Request(Base):
    """One qbXML request in the queue of its company."""

    __tablename__ = "requests"
    __table_args__ = (
        Index("ix_requests_queue", "company_id", "state", "seq"),
        _partial("ix_requests_open", "state", "created_at", "company_id", where=OPEN_REQUESTS),
    )
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    export_id: Mapped[int] = mapped_column(ForeignKey("exports.id"), index=True)
    run_id: Mapped[str] = mapped_column(String(64))
    workflow_id: Mapped[str] = mapped_column(String(255))
    operation: Mapped[str] = mapped_column(String(20))
    body: Mapped[str] = mapped_column(Text)
    facts: Mapped[Json]
    """What recognises the transaction again: ref_number, entity, total, date, external_guid."""
    currency: Mapped[str | None] = mapped_column(String(100))
    """Code of the currency that it is in; None: of an older process."""
    mapping_version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """The company's, when it was mapped."""
    state: Mapped[str] = mapped_column(String(12))
    """waiting | in_flight | done | cancelled"""
    attempt: Mapped[int] = mapped_column(default=0)
    postponed: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    """How often its set was lost and it proved not to be written."""
    outcome: Mapped[Json | None]
    """What became of it, as `workflows.contracts.Outcome`: a later run finds it here when its signal came too late."""
    batch_max: Mapped[int]
    """Halved each time QuickBooks refuses the whole set that this request was in."""
    look: Mapped[Json | None]
    """What a look for it before it is written must know, as `qbwc_bridge.looking.Look`."""
    look_max: Mapped[int] = mapped_column(default=1000, server_default=text("1000"))
    """Halved each time QuickBooks cannot answer the look that this request was in; below 1 it failed alone."""
    looked_by: Mapped[str | None] = mapped_column(String(64))
    """The session that looked for it and found nothing: only that one may write it."""
    available_at: Mapped[datetime]
    created_at: Mapped[datetime]
    message_set_id: Mapped[str | None] = mapped_column(String(24), index=True)


class WebConnectorSession(Base):
    """One update of the Web Connector, from authenticate to closeConnection. The ticket itself is not kept."""

    __tablename__ = "web_connector_sessions"
    __table_args__ = (
        # Neither holds last_call_at: each call writes it, and would have to move the row in the index, too.
        Index("ix_web_connector_sessions_started", "company_id", "started_at"),
        Index("ix_web_connector_sessions_open", "state", "company_id"),
    )
    ticket_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    state: Mapped[str] = mapped_column(String(12))
    """open | finished | refused | superseded | abandoned"""
    host: Mapped[str | None] = mapped_column(String(100))
    """The computer, as the Web Connector's lock in the company file names it (web-connector.md 2.4)."""
    started_at: Mapped[datetime]
    last_call_at: Mapped[datetime]
    guard_passed: Mapped[bool] = mapped_column(default=False)
    qbxml_version: Mapped[str] = mapped_column(String(10), default="13.0")
    done: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(Text, default="")


class MessageSet(Base):
    """One document that was handed to the Web Connector, stored before the reply left."""

    __tablename__ = "message_sets"
    __table_args__ = (
        Index("ix_message_sets_history", "company_id", "kind", "state", "sent_at", "seq"),
        Index("ix_message_sets_about", "about_set_id"),
        _partial("ix_message_sets_unanswered", "kind", "sent_at", where=UNANSWERED_SETS),
    )
    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    ticket_hash: Mapped[str] = mapped_column(ForeignKey("web_connector_sessions.ticket_hash"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    """write | activity | ask | fence | lookup | look | verify | probe | list"""
    state: Mapped[str] = mapped_column(String(12))
    """sent | answered | abandoned; a write set that is `sent` is unresolved"""
    about_set_id: Mapped[str | None] = mapped_column(String(24))
    asked: Mapped[list[Any] | None] = mapped_column(JSON)
    """The requestIDs of a look-up and of a fence: they tell which part of a set it is about."""
    set_status: Mapped[int | None]
    """messageSetStatusCode of the answer; None: it has none (qbxml.md 1.4)."""
    is_fence: Mapped[bool] = mapped_column(default=False, server_default=false())
    """QuickBooks never said what became of this write: its record stays there, so that a late run finds it."""
    text: Mapped[str] = mapped_column(Text)
    response: Mapped[str | None] = mapped_column(Text)
    hresult: Mapped[str | None] = mapped_column(String(40))
    message: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[int | None]
    seq: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class Incident(Base):
    """Something an operator should see: a foreign answer, an unreadable one, a wrong company file."""

    __tablename__ = "incidents"
    __table_args__ = (Index("ix_incidents_company_at", "company_id", "at"),)
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    company_id: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[datetime]
    code: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(Text)


_IS_WAITING = text("delivered_at IS NULL")
"""PostgreSQL reads the order of ids only from an index without the others: all that waits would be sorted each time."""


class OutboxSignal(Base):
    """A signal or a start that Temporal has not taken yet, or took at `delivered_at`."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_undelivered", "delivered_at", "id"),
        Index("ix_outbox_waiting", "id", postgresql_where=_IS_WAITING, sqlite_where=_IS_WAITING),
        Index("ix_outbox_workflow", "workflow_id"),
    )
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    workflow_id: Mapped[str] = mapped_column(String(255))
    signal: Mapped[str] = mapped_column(String(40))
    payload: Mapped[Json]
    created_at: Mapped[datetime]
    available_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(Text, default="")
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """What caused it, in the trace of its export (W3C Trace Context)."""


class Lease(Base):
    """Who does a job that only one process may do at a time, and until when."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime]
