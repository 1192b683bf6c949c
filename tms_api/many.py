"""Many documents at once: each is handled as a single request would be; what fails, fails alone.

The routes of `tms_api/bulk.py` and the console's list call these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from store import documents, exports
from store.exports import ExportFilter
from store.tables import Export
from tms_api import claims, exporting
from tms_api.access import Caller
from tms_api.bulk_models import BULK_MAX, BulkAnswer, BulkResult, ExportRef
from tms_api.companies import require_company
from tms_api.documents import export_handed
from tms_api.export_models import ExportSummary, summary_view
from tms_api.exporting import require_export
from tms_api.problems import ProblemError, problem_of, view_of
from tms_api.services import ApiServices, TemporalUnreachableError

AT_ONCE = 8
"""Starts that wait for Temporal at the same time."""


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What is known of one document of a request."""

    kind: str | None
    document_id: str | None


async def export_each(services: ApiServices, company: str, documents: Sequence[Mapping[str, Any]]) -> BulkAnswer:
    """Export documents, in order."""
    in_turn = asyncio.Lock()  # lists show exports in the order in which their rows came

    async def export(index: int) -> int:
        async with in_turn:
            accepted = await to_thread.run_sync(
                lambda: exporting.accept(services, company, documents[index], confirmed_absent=False)
            )
        return 202 if accepted.is_new else 200

    named = [_Named(kind=_text(one.get("kind")), document_id=_text(one.get("id"))) for one in documents]
    return await _each(services, company, named, export)


async def export_handed_each(services: ApiServices, company: str, refs: Sequence[ExportRef]) -> BulkAnswer:
    """Export documents as they were handed over, in order."""
    in_turn = asyncio.Lock()

    async def export(index: int) -> int:
        ref = refs[index]
        async with in_turn:
            accepted = await to_thread.run_sync(
                lambda: export_handed(services, company, ref.kind, ref.document_id, confirmed_absent=False)
            )
        return 202 if accepted.is_new else 200

    return await _each(services, company, [_named(ref) for ref in refs], export)


async def retry_each(
    services: ApiServices, company: str, refs: Sequence[ExportRef], cursor: str | None = None
) -> BulkAnswer:
    """Try exports again."""

    async def retry(index: int) -> int:
        ref = refs[index]
        await to_thread.run_sync(
            lambda: exporting.prepare_retry(services, company, ref.kind, ref.document_id, confirmed_absent=False)
        )
        return 202

    return await _each(services, company, [_named(ref) for ref in refs], retry, cursor)


async def cancel_each(
    services: ApiServices, company: str, refs: Sequence[ExportRef], *, reason: str, cursor: str | None = None
) -> BulkAnswer:
    """Ask exports to end before they are sent."""

    async def cancel(index: int) -> int:
        ref = refs[index]
        await exporting.cancel(services, company, ref.kind, ref.document_id, reason=reason)
        return 202

    return await _each(services, company, [_named(ref) for ref in refs], cancel, cursor)


async def confirm_each(services: ApiServices, company: str, refs: Sequence[ExportRef], *, caller: Caller) -> BulkAnswer:
    """Take a person's word that the transactions of Failed or Cancelled exports are in QuickBooks."""

    async def confirm(index: int) -> int:
        ref = refs[index]
        await to_thread.run_sync(
            lambda: claims.confirm_present(services, company, ref.kind, ref.document_id, txn_id=None, caller=caller)
        )
        return 202

    return await _each(services, company, [_named(ref) for ref in refs], confirm)


def chosen(
    services: ApiServices,
    company: str,
    ids: Sequence[ExportRef] | None,
    wanted: ExportFilter | None,
    cursor: str | None,
) -> tuple[Sequence[ExportRef], str | None]:
    """Give the exports that are named, or those that fit, oldest first, and where the rest begins."""
    with services.database.transaction() as session:
        require_company(session, company)
        if ids is not None or wanted is None:
            return ids or (), None
        rows = exports.list_by_age(session, wanted, after_id=int(cursor or 0), limit=BULK_MAX + 1)
    refs = [ExportRef.model_validate({"kind": row.kind, "document_id": row.document_id}) for row in rows[:BULK_MAX]]
    return refs, str(rows[BULK_MAX - 1].id) if len(rows) > BULK_MAX else None


async def _each(
    services: ApiServices,
    company: str,
    named: Sequence[_Named],
    do: Callable[[int], Awaitable[int]],
    cursor: str | None = None,
) -> BulkAnswer:
    """Do it for each document, some at the same time; what it raises is that document's problem."""
    await to_thread.run_sync(_require, services, company)
    slots = asyncio.Semaphore(AT_ONCE)
    away: TemporalUnreachableError | None = None

    async def one(index: int) -> int | ProblemError:
        nonlocal away
        async with slots:
            try:
                # Each of 500 would wait for its own time limit.
                if away is not None:
                    raise away
                # Each export is a trace of its own, also when many come in one request.
                with services.tracing.span("Document of a bulk request", is_root=True):
                    return await do(index)
            except TemporalUnreachableError as error:
                away = error
                return problem_of(error)
            except ProblemError as problem:
                return problem

    results = await asyncio.gather(*(one(index) for index in range(len(named))))
    return await to_thread.run_sync(_answer, services, company, named, results, cursor)


def _answer(
    services: ApiServices,
    company: str,
    named: Sequence[_Named],
    results: Sequence[int | ProblemError],
    cursor: str | None,
) -> BulkAnswer:
    items: list[BulkResult] = []
    now = services.clock()
    with services.database.transaction() as session:
        owner = require_company(session, company)

        def summary(one: _Named) -> ExportSummary:
            row: Export = require_export(session, company, one.kind or "", one.document_id or "")
            is_changed = bool(documents.changed_since_export(session, [row]))
            return summary_view(row, owner, now=now, soap_url=services.public_soap_url, changed_in_tms=is_changed)

        for index, (one, result) in enumerate(zip(named, results, strict=True)):
            is_refused = isinstance(result, ProblemError)
            items.append(
                BulkResult(
                    index=index,
                    kind=one.kind,
                    document_id=one.document_id,
                    status=result.status if isinstance(result, ProblemError) else result,
                    export=None if is_refused else summary(one),
                    problem=view_of(result) if isinstance(result, ProblemError) else None,
                )
            )
    refused = sum(item.problem is not None for item in items)
    return BulkAnswer(items=items, accepted=len(items) - refused, refused=refused, cursor=cursor)


def _require(services: ApiServices, company: str) -> None:
    with services.database.transaction() as session:
        require_company(session, company)


def _named(ref: ExportRef) -> _Named:
    return _Named(kind=ref.kind, document_id=ref.document_id)


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None
