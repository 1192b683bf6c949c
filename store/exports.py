"""The read model of exports, their timeline, and the RefNumbers in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from store import step_queries
from store.states import CANCELLED, WAITING
from store.tables import DIFFERING_EXPORTS, UNSUCCESSFUL_EXPORTS, Export, RefNumber, Request, TimelineEntry


@dataclass(frozen=True, kw_only=True)
class NewExport:
    """What is known of an export before anything is mapped."""

    company_id: str
    kind: str
    document_id: str
    number: str
    content_hash: str
    document: dict[str, Any]


def find_export(session: Session, company_id: str, kind: str, document_id: str) -> Export | None:
    """Find an export by its document."""
    return session.scalar(
        select(Export).where(Export.company_id == company_id, Export.kind == kind, Export.document_id == document_id)
    )


def by_workflow_id(session: Session, workflow_id: str) -> Export | None:
    """Find the export that a workflow is about; None when the id is not one of an export."""
    kind, *names = workflow_id.split("/")
    return find_export(session, *names) if kind == "export" and len(names) == 3 else None


def owners_of(
    session: Session, company_id: str, txn_ids: Sequence[str], *, besides: int | None = None
) -> dict[str, str]:
    """Say which transactions in QuickBooks are those of other exports of a company, each with its document's name."""
    txn_id = Export.quickbooks["txn_id"].as_string()
    query = select(txn_id, Export.kind, Export.number).where(Export.company_id == company_id, txn_id.in_(txn_ids))
    if besides is not None:
        query = query.where(Export.id != besides)
    return {found: f"{kind.replace('_', ' ')} {number}" for found, kind, number in session.execute(query)}


def traceparents(session: Session, export_ids: Sequence[int]) -> dict[int, str]:
    """Give the traces that exports belong to, by id; those without one are left out."""
    query = select(Export.id, Export.traceparent).where(Export.id.in_(export_ids), Export.traceparent.is_not(None))
    return {export_id: traceparent for export_id, traceparent in session.execute(query) if traceparent}


def with_newest_request(
    session: Session, company_id: str, kind: str, document_id: str
) -> tuple[Export, Request | None] | None:
    """Find an export by its document and hold its row, with the last request that was queued for it. One statement.

    The caller holds the company: nobody else moves the request.
    """
    values = {"company": company_id, "kind": kind, "document": document_id}
    found = session.execute(step_queries.export_with_request(), values).one_or_none()
    return (found[0], found[1]) if found is not None else None


@dataclass(kw_only=True)
class Moving:
    """An export that moves, as much of it as a change of its state needs; the change is written by `save_move`."""

    id: int
    company_id: str
    kind: str
    document_id: str
    run_id: str | None
    ref_number: str | None
    quickbooks: dict[str, Any] | None
    created_at: datetime
    is_noted: bool
    """The change is in the timeline already."""
    may_wait: bool
    """It waits for entries of the mapping."""
    is_heard: bool
    """The company has webhooks."""
    has_differences: bool = False
    state: str = ""
    detail: str = ""
    error: dict[str, Any] | None = None
    owner: str | None = None
    updated_at: datetime | None = None


def moving(session: Session, company_id: str, kind: str, document_id: str, *, key: str) -> Moving | None:
    """Find an export that moves; `key` names the entry of the timeline. One statement."""
    values = {"company": company_id, "kind": kind, "document": document_id, "key": key}
    found = session.connection().execute(step_queries.moving(), values).one_or_none()
    if found is None:
        return None
    return Moving(company_id=company_id, kind=kind, document_id=document_id, **found._mapping)


def save_move(session: Session, row: Moving, *, with_transaction: bool) -> None:
    """Write the new state of an export; the transaction only if it is new, for a person may give one meanwhile."""
    values = {
        "export": row.id,
        "state": row.state,
        "detail": row.detail,
        "error": row.error,
        "owner": row.owner,
        "updated_at": row.updated_at,
    }
    if with_transaction:
        values |= {"quickbooks": row.quickbooks, "has_differences": row.has_differences}
    session.connection().execute(step_queries.change_export(), values)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an export stands, beside what Temporal shows of it."""

    state: str
    run_id: str | None
    has_request: bool
    """The newest request is of that run, and was not taken back."""
    never_left: bool
    """It waits, and was never handed out."""


def standings(session: Session, workflow_ids: Sequence[str]) -> dict[str, Standing]:
    """Give how exports stand by the ids of their workflows; those that have no row are left out."""
    names = [tuple(one.split("/")[1:]) for one in workflow_ids if one.count("/") == 3]
    newest = select(func.max(Request.seq)).where(Request.export_id == Export.id).correlate(Export).scalar_subquery()
    place = (Export.company_id, Export.kind, Export.document_id)
    wanted = (*place, Export.state, Export.run_id, Request.run_id, Request.state, Request.attempt)
    query = select(*wanted).outerjoin(Request, and_(Request.export_id == Export.id, Request.seq == newest))
    found: dict[str, Standing] = {}
    for company, kind, document, state, run_id, of_run, at, attempt in session.execute(
        query.where(tuple_(*place).in_(names))
    ):
        found[f"export/{company}/{kind}/{document}"] = Standing(
            state=state,
            run_id=run_id,
            has_request=of_run is not None and of_run == run_id and at != CANCELLED,
            never_left=at == WAITING and attempt == 0,
        )
    return found


def add_export(session: Session, new: NewExport, *, state: str, at: datetime) -> Export:
    """Add the row of a document that was never exported. The unique key refuses a second one."""
    row = new_export(new, state=state, at=at)
    session.add(row)
    session.flush()
    return row


def new_export(new: NewExport, *, state: str, at: datetime) -> Export:
    """Give that row without writing it: it has no id yet."""
    return Export(
        company_id=new.company_id,
        kind=new.kind,
        document_id=new.document_id,
        number=new.number,
        content_hash=new.content_hash,
        document=new.document,
        state=state,
        detail="",
        changes=[],
        created_at=at,
        updated_at=at,
    )


def add_timeline(session: Session, export_id: int, *, at: datetime, state: str, text: str, key: str) -> bool:
    """Add an entry; False when an entry with this key is there already."""
    if session.scalar(select(TimelineEntry.id).where(TimelineEntry.key == key)) is not None:
        return False
    session.add(TimelineEntry(export_id=export_id, at=at, state=state, text=text, key=key))
    return True


def noted(session: Session, keys: Sequence[str]) -> frozenset[str]:
    """Say which of these keys the timelines hold."""
    return frozenset(session.connection().scalars(step_queries.noted(), {"keys": list(keys)}))


def add_entries(session: Session, entries: Sequence[dict[str, Any]]) -> None:
    """Add entries with new keys, by the columns of `TimelineEntry`. They are written at once, in one statement."""
    session.connection().execute(step_queries.add_entries(), list(entries))


def add_request(session: Session, **values: Any) -> None:
    """Put a request of an export into the queue, by the columns of `Request`. It is written at once."""
    session.connection().execute(step_queries.add_request(), {"state": WAITING, **values})


def timeline(session: Session, export_id: int) -> Sequence[TimelineEntry]:
    """Give the entries of an export, oldest first."""
    query = select(TimelineEntry).where(TimelineEntry.export_id == export_id).order_by(TimelineEntry.id)
    return session.scalars(query).all()


@dataclass(frozen=True, kw_only=True)
class ExportFilter:
    """Which exports to list; None means any."""

    company_id: str | None
    states: Sequence[str] | None = None
    kind: str | None = None
    number: str | None = None
    owner: str | None = None
    code: str | None = None
    """Code of the failure."""
    without_code: str | None = None
    updated_since: datetime | None = None
    only_differing: bool = False
    """Only what QuickBooks holds otherwise than it was meant."""
    text: str | None = None
    """Part of a number, here or in QuickBooks, of a document's id, or of the customer's or carrier's name."""


def list_exports(session: Session, wanted: ExportFilter, *, before_id: int | None, limit: int) -> Sequence[Export]:
    """List exports, newest first; `before_id` is the last id of the page before."""
    query = _matching(wanted)
    if before_id is not None:
        query = query.where(Export.id < before_id)
    return session.scalars(query.order_by(Export.id.desc()).limit(limit)).all()


def list_by_change(
    session: Session, wanted: ExportFilter, *, after: tuple[datetime, int] | None, limit: int
) -> Sequence[Export]:
    """List exports by their last change, oldest first; `after` is the last one of the page before.

    One that changes meanwhile comes again at its new place, so whoever follows the cursor misses no change.
    """
    query = _matching(wanted)
    if after is not None:
        at, export_id = after
        query = query.where(Export.updated_at >= at)  # where an index can begin; the rest of the page before follows
        query = query.where(or_(Export.updated_at > at, and_(Export.updated_at == at, Export.id > export_id)))
    return session.scalars(query.order_by(Export.updated_at, Export.id).limit(limit)).all()


def list_latest(session: Session, wanted: ExportFilter, *, limit: int) -> Sequence[Export]:
    """List exports by their last change, newest first."""
    query = _matching(wanted).order_by(Export.updated_at.desc(), Export.id.desc())
    return session.scalars(query.limit(limit)).all()


def list_by_age(session: Session, wanted: ExportFilter, *, after_id: int, limit: int) -> Sequence[Export]:
    """List exports, oldest first; `after_id` is the last id of the page before, or 0."""
    query = _matching(wanted).where(Export.id > after_id)
    return session.scalars(query.order_by(Export.id).limit(limit)).all()


def _matching(wanted: ExportFilter) -> Select[Export]:
    query = select(Export)
    if wanted.company_id is not None:
        query = query.where(Export.company_id == wanted.company_id)
    if wanted.states is not None:
        query = query.where(Export.state.in_(wanted.states))
        if "Successful" not in wanted.states:
            query = query.where(UNSUCCESSFUL_EXPORTS)
    if wanted.kind:
        query = query.where(Export.kind == wanted.kind)
    if wanted.number:
        query = query.where(Export.number == wanted.number)
    if wanted.owner:
        query = query.where(Export.owner == wanted.owner)
    if wanted.code:
        query = query.where(Export.error["code"].as_string() == wanted.code)
    if wanted.without_code:
        query = query.where(func.coalesce(Export.error["code"].as_string(), "") != wanted.without_code)
    if wanted.updated_since is not None:
        query = query.where(Export.updated_at >= wanted.updated_since)
    if wanted.only_differing:
        query = query.where(DIFFERING_EXPORTS)
    if wanted.text:
        query = query.where(
            or_(
                *(
                    field.icontains(wanted.text, autoescape=True)
                    for field in (
                        Export.number,
                        Export.ref_number,
                        Export.document_id,
                        Export.document["customer"]["name"].as_string(),
                        Export.document["carrier"]["name"].as_string(),
                    )
                )
            )
        )
    return query


def count_by_state(session: Session, company_id: str) -> dict[str, int]:
    """Count a company's exports by state."""
    rows = session.execute(
        select(Export.state, func.count()).where(Export.company_id == company_id).group_by(Export.state)
    )
    return {state: count for state, count in rows}  # noqa: C416 rows are not pairs to the type checker


def numbers_of_others(
    session: Session, *, company_id: str, kind: str, party_id: str, document_id: str
) -> Callable[[str], bool]:
    """Give what says whether another document of this company (for bills: of the same carrier) uses a number."""

    place = {"company": company_id, "kind": kind, "party": party_id, "document": document_id}

    def taken(ref_number: str) -> bool:
        values = place | {"number": ref_number.casefold()}
        return session.connection().scalar(step_queries.number_of_another(), values) is not None

    return taken


def reserve_ref_number(
    session: Session,
    *,
    company_id: str,
    kind: str,
    party_id: str,
    ref_number: str,
    document_id: str,
    holds_none: bool = False,
) -> None:
    """Reserve the number for the document and give back what it held before. QuickBooks ignores case.

    `holds_none` says that it never held one: there is nothing to look for.
    """
    if not holds_none:
        session.execute(
            delete(RefNumber).where(
                RefNumber.company_id == company_id, RefNumber.kind == kind, RefNumber.document_id == document_id
            )
        )
    values = {"company_id": company_id, "kind": kind, "party_id": party_id, "document_id": document_id}
    session.connection().execute(step_queries.reserve_number(), values | {"ref_number": ref_number.casefold()})


def recent_documents(session: Session, company_id: str, limit: int) -> Sequence[dict[str, Any]]:
    """Give the documents that were handed over last, as they were posted."""
    query = select(Export.document).where(Export.company_id == company_id).order_by(Export.id.desc()).limit(limit)
    return session.scalars(query).all()
