"""What every call of the Web Connector asks, built once: to build a query takes longer than to run it.

Each takes its values by name; `queue.py` gives them, and says what the answer means.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from store.rows import Rows
from store.states import ANSWERED, IN_FLIGHT, SENT, WAITING
from store.sync_tables import CompanySync
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
def requests_to_send() -> Rows[Request]:
    """The columns of a request that may leave."""
    return Rows(Request, besides=("outcome",))


@cache
def next_set() -> Select[*tuple[Any, ...]]:
    """The columns of `queue.Sets` and those of the oldest requests that may go, up to `limit`, in no order.

    One row at least.
    """
    sets = sets_so_far().subquery("sets")
    query = select(*requests_to_send().columns).where(*may_go()).order_by(Request.seq)
    going = query.limit(bindparam("limit", type_=Integer())).with_for_update(skip_locked=True).subquery("going")
    return select(sets, going).select_from(sets.outerjoin(going, true()))


def may_go() -> tuple[ColumnElement[bool], ...]:
    """Say of a request that it waits and may go now."""
    now = bindparam("now", type_=UtcDateTime())
    return Request.company_id == bindparam("company"), is_in(Request.state, WAITING), Request.available_at <= now


def is_unresolved() -> tuple[ColumnElement[bool], ...]:
    """Say of a set that it is a write whose answer is not known."""
    return MessageSet.company_id == bindparam("company"), MessageSet.kind == "write", is_in(MessageSet.state, SENT)


@cache
def unresolved() -> Select[MessageSet]:
    """The write set whose answer is not known."""
    return select(MessageSet).where(*is_unresolved())


@cache
def sets_so_far() -> Select[*tuple[Any, ...]]:
    """The columns of `queue.Sets`."""
    mine = MessageSet.ticket_hash == bindparam("ticket")
    questions = select(func.count()).where(mine, is_in(MessageSet.state, SENT), MessageSet.kind != "write")
    return select(
        select(MessageSet.id).where(*is_unresolved()).scalar_subquery().label("unresolved"),
        last_settled().scalar_subquery().label("settled"),
        func.coalesce(select(func.max(MessageSet.seq)).where(mine).scalar_subquery(), 0).label("newest"),
        select(func.max(MessageSet.sent_at)).where(mine).scalar_subquery().label("newest_at"),
        questions.scalar_subquery().label("open_questions"),
        _others_since().exists().label("has_others"),
    )


@cache
def sets_to_answer() -> Rows[MessageSet]:
    """The columns of a set that an answer may belong to. The texts are large, and seldom looked at."""
    return Rows(MessageSet, besides=("text", "response"))


@cache
def requests_out() -> Rows[Request]:
    """The columns of a request that QuickBooks has."""
    return Rows(Request, besides=("body",))


@cache
def exchanges() -> Select[*tuple[Any, ...]]:
    """The sets of a session that an answer may belong to, newest first, with their requests; one row at least.

    The columns are those of `queue.Left`, whether exactly this answer is recorded, of the set, and of the request.
    """
    other = aliased(MessageSet)
    newest = select(func.max(other.seq)).where(other.ticket_hash == bindparam("ticket")).scalar_subquery()
    is_recorded = and_(
        MessageSet.answered_at.is_not(None),
        MessageSet.response.in_((bindparam("response", type_=Text()), bindparam("digest", type_=Text()))),
    )
    sets = select(is_recorded.label("is_recorded"), *sets_to_answer().columns).where(
        MessageSet.ticket_hash == bindparam("ticket"),
        or_(is_in(MessageSet.state, SENT), MessageSet.seq == newest, is_recorded),
    )
    mine, left = sets.subquery("mine"), select(*_left()).subquery("left_over")
    is_out = and_(Request.message_set_id == mine.c.id, is_in(Request.state, IN_FLIGHT))
    query = select(left, mine, *requests_out().columns)
    joined = left.outerjoin(mine, true()).outerjoin(Request, is_out)
    return query.select_from(joined).order_by(mine.c.seq.desc(), Request.seq)


@cache
def left_to_do() -> Select[*tuple[Any, ...]]:
    """The columns of `queue.Left`."""
    return select(*_left())


def _left() -> tuple[ColumnElement[Any], ...]:
    sync = CompanySync.company_id == bindparam("company")
    columns = (CompanySync.state, CompanySync.last_sync_at, CompanySync.retry_at)
    some = select(Request.seq).where(*may_go()).limit(bindparam("limit", type_=Integer()))
    going = select(func.count()).select_from(some.subquery()).scalar_subquery()
    return going.label("going"), *(select(one).where(sync).scalar_subquery().label(one.key) for one in columns)


@cache
def last_settled() -> Select[str]:
    """The id of the newest write set of which QuickBooks said the outcome."""
    query = select(MessageSet.id).where(
        MessageSet.company_id == bindparam("company"),
        MessageSet.kind == "write",
        is_in(MessageSet.state, ANSWERED),
        MessageSet.is_fence.is_(False),
    )
    return query.order_by(MessageSet.sent_at.desc(), MessageSet.seq.desc()).limit(1)


@cache
def owners() -> Rows[Company]:
    """The columns of the company that a session is for: what a bridge looks at."""
    of_file = ("bound_company_name", "bound_company_file", "product", "qbxml_version", "preferences")
    of_connection = ("owner_id", "file_id", "run_every_minutes", "problem", "last_success_at", "last_restore_time")
    of_guard = ("name", "company_file", "confirm_first_file", "file_question", "books")
    of_look = ("look_before_adding", "look_everything_since", "doubt_since")
    of_queue = ("paused", "country", "quiet_hours", "rebind_requested_at", "mapping_version", *of_look)
    return Rows(Company, only=(*of_file, *of_connection, *of_guard, *of_queue))


@cache
def wc_sessions() -> Rows[WebConnectorSession]:
    """The columns of a session."""
    return Rows(WebConnectorSession)


@cache
def wc_session() -> Select[*tuple[Any, ...]]:
    """The columns of a company and a session, both locked, the company first."""
    query = select(*owners().columns, *wc_sessions().columns).select_from(Company)
    query = query.join(WebConnectorSession, WebConnectorSession.company_id == Company.id)
    query = query.where(WebConnectorSession.ticket_hash == bindparam("ticket"))
    return query.with_for_update(key_share=True, of=[Company, WebConnectorSession])


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
    return _others_since().add_columns(last).group_by(WebConnectorSession.host).order_by(last.desc())


@cache
def _others_since() -> Select[str | None]:
    """The computers of sessions of late besides one."""
    return select(WebConnectorSession.host).where(
        WebConnectorSession.company_id == bindparam("company"),
        WebConnectorSession.started_at > bindparam("began", type_=UtcDateTime()),  # the index leaves out the history
        WebConnectorSession.last_call_at > bindparam("since", type_=UtcDateTime()),
        WebConnectorSession.ticket_hash != bindparam("ticket"),
        WebConnectorSession.host.is_not(None),
        WebConnectorSession.host.is_distinct_from(bindparam("host", type_=String())),
    )
