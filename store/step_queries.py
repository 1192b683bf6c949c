"""What every step of an export asks and writes, built once, as in `queries.py`. `exports.py` gives the values."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Delete, Insert, Select, Update, and_, bindparam, delete, exists, func, insert, select, update

from store.sync_tables import ListSync
from store.tables import Company, Export, RefNumber, Request, TimelineEntry
from store.wait_tables import ExportWait
from store.webhook_tables import Webhook


@cache
def lock_company() -> Select[Company]:
    """A company, locked."""
    query = select(Company).where(Company.id == bindparam("company")).with_for_update(key_share=True)
    return query.execution_options(populate_existing=True)


@cache
def export_with_request() -> Select[Export, Request]:
    """An export by its document, locked, with the newest of its requests."""
    newest = select(func.max(Request.seq)).where(Request.export_id == Export.id).correlate(Export).scalar_subquery()
    query = select(Export, Request).outerjoin(Request, and_(Request.export_id == Export.id, Request.seq == newest))
    return query.where(*_is_document()).with_for_update(key_share=True, of=Export)


@cache
def moving() -> Select[*tuple[Any, ...]]:
    """The columns of `exports.Moving`."""
    return select(
        Export.id,
        Export.run_id,
        Export.ref_number,
        Export.quickbooks,
        Export.created_at,
        exists().where(TimelineEntry.key == bindparam("key")).label("is_noted"),
        exists().where(ExportWait.export_id == Export.id).label("may_wait"),
        exists().where(Webhook.company_id == Export.company_id).label("is_heard"),
    ).where(*_is_document())


def _is_document() -> tuple[Any, ...]:
    return (
        Export.company_id == bindparam("company"),
        Export.kind == bindparam("kind"),
        Export.document_id == bindparam("document"),
    )


@cache
def change_export() -> Update:
    """The columns that are given, of one export."""
    return update(Export.__table__).where(Export.__table__.c.id == bindparam("export"))  # type: ignore[arg-type]


@cache
def noted() -> Select[str]:
    """Which of these keys the timelines hold."""
    return select(TimelineEntry.key).where(TimelineEntry.key.in_(bindparam("keys", expanding=True)))


@cache
def add_entries() -> Insert:
    """New entries of a timeline."""
    return insert(TimelineEntry.__table__)  # type: ignore[arg-type]


@cache
def add_request() -> Insert:
    """A new request."""
    return insert(Request.__table__)  # type: ignore[arg-type]


@cache
def number_of_another() -> Select[str]:
    """The other document that uses a number."""
    return select(RefNumber.document_id).where(
        RefNumber.company_id == bindparam("company"),
        RefNumber.kind == bindparam("kind"),
        RefNumber.party_id == bindparam("party"),
        RefNumber.ref_number == bindparam("number"),
        RefNumber.document_id != bindparam("document"),
    )


@cache
def reserve_number() -> Insert:
    """A number in use."""
    return insert(RefNumber.__table__)  # type: ignore[arg-type]


@cache
def complete_kinds() -> Select[str]:
    """The lists of which all is here."""
    return select(ListSync.kind).where(ListSync.company_id == bindparam("company"), ListSync.last_full_at.is_not(None))


@cache
def end_waits() -> Delete:
    """What one export waits for."""
    return delete(ExportWait.__table__).where(ExportWait.__table__.c.export_id == bindparam("export"))  # type: ignore[arg-type]
