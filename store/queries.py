"""What every call of the Web Connector asks, built once: to build a query takes longer than to run it.

Each takes its values by name; `queue.py` gives them, and says what the answer means.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Insert,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased, defer

from store.states import ANSWERED, IN_FLIGHT, SENT, WAITING
from store.tables import Company, MessageSet, Request, UtcDateTime, WebConnectorSession


def is_in(state: InstrumentedAttribute[str], name: str) -> ColumnElement[bool]:
    """Compare with one of `store.states` that stands in the statement itself.

    Where the plan may depend on a parameter's value, as it may beside an index of some rows only, SQLite plans the
    statement anew at every run, which takes ten times as long as running it.
    """
    return state == literal_column(f"'{name}'")


@cache
def requests_of_set() -> Select[Request]:
    """Those that travel in a set and are not settled."""
    query = select(Request).where(Request.message_set_id == bindparam("set"), is_in(Request.state, IN_FLIGHT))
    return query.order_by(Request.seq)


@cache
def next_requests() -> Select[Request]:
    """The oldest that may go, up to `limit`."""
    query = select(Request).where(*may_go()).order_by(Request.seq).limit(bindparam("limit", type_=Integer()))
    return query.with_for_update(skip_locked=True)


def may_go() -> tuple[ColumnElement[bool], ...]:
    """Say of a request that it waits and may go now."""
    now = bindparam("now", type_=UtcDateTime())
    return Request.company_id == bindparam("company"), is_in(Request.state, WAITING), Request.available_at <= now


@cache
def count_going() -> Select[int]:
    """How many may go, no further than `limit`."""
    some = select(Request.seq).where(*may_go()).limit(bindparam("limit", type_=Integer()))
    return select(func.count()).select_from(some.subquery())


def is_unresolved() -> tuple[ColumnElement[bool], ...]:
    """Say of a set that it is a write whose answer is not known."""
    return MessageSet.company_id == bindparam("company"), MessageSet.kind == "write", is_in(MessageSet.state, SENT)


@cache
def unresolved() -> Select[MessageSet]:
    """The write set whose answer is not known."""
    return select(MessageSet).where(*is_unresolved())


@cache
def sets_so_far() -> Select[str, str, int, int]:
    """The columns of `queue.Sets`."""
    mine = MessageSet.ticket_hash == bindparam("ticket")
    questions = select(func.count()).where(mine, is_in(MessageSet.state, SENT), MessageSet.kind != "write")
    return select(
        select(MessageSet.id).where(*is_unresolved()).scalar_subquery(),
        last_settled().scalar_subquery(),
        select(func.max(MessageSet.seq)).where(mine).scalar_subquery(),
        questions.scalar_subquery(),
    )


@cache
def keep_set() -> Insert:
    """A new set."""
    return insert(MessageSet.__table__)  # type: ignore[arg-type]


@cache
def exchanges() -> Select[MessageSet]:
    """The sets of a session that an answer may belong to, newest first."""
    other = aliased(MessageSet)
    newest = select(func.max(other.seq)).where(other.ticket_hash == bindparam("ticket")).scalar_subquery()
    is_recorded = and_(
        MessageSet.answered_at.is_not(None),
        MessageSet.response.in_((bindparam("response", type_=Text()), bindparam("digest", type_=Text()))),
    )
    query = select(MessageSet).where(
        MessageSet.ticket_hash == bindparam("ticket"),
        or_(is_in(MessageSet.state, SENT), MessageSet.seq == newest, is_recorded),
    )
    return query.order_by(MessageSet.seq.desc())


@cache
def last_settled() -> Select[str]:
    """The id of the newest write set with a recorded outcome."""
    query = select(MessageSet.id).where(
        MessageSet.company_id == bindparam("company"), MessageSet.kind == "write", is_in(MessageSet.state, ANSWERED)
    )
    return query.order_by(MessageSet.sent_at.desc(), MessageSet.seq.desc()).limit(1)


@cache
def open_session() -> Insert:
    """A new session."""
    return insert(WebConnectorSession.__table__)  # type: ignore[arg-type]


@cache
def wc_session() -> Select[Company, WebConnectorSession]:
    """A company and a session, both locked, the company first."""
    query = (
        select(Company, WebConnectorSession)
        .join(WebConnectorSession, WebConnectorSession.company_id == Company.id)
        .where(WebConnectorSession.ticket_hash == bindparam("ticket"))
        .options(defer(Company.mapping))  # it may be large, and a bridge never looks at it
        .with_for_update(key_share=True, of=[Company, WebConnectorSession])
    )
    return query.execution_options(populate_existing=True)


@cache
def last_word() -> Select[str, int, int]:
    """The columns of `queue.LastWord`."""
    row = WebConnectorSession
    query = select(row.last_error, row.done, row.failed)
    return query.where(row.ticket_hash == bindparam("ticket"), row.state != "open")


@cache
def hosts_since() -> Select[str | None, datetime]:
    """The computers of other sessions, each with its last call."""
    last = func.max(WebConnectorSession.last_call_at)
    query = select(WebConnectorSession.host, last).where(
        WebConnectorSession.company_id == bindparam("company"),
        WebConnectorSession.started_at > bindparam("began"),  # lets the index leave out the history
        WebConnectorSession.last_call_at > bindparam("since"),
        WebConnectorSession.ticket_hash != bindparam("besides"),
        WebConnectorSession.host.is_not(None),
    )
    return query.group_by(WebConnectorSession.host).order_by(last.desc())
