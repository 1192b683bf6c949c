"""Starting again, in the background, what waited for an entry of the mapping that was saved.

Which exports that are is in the store, written with the mapping itself. An export leaves that list only after its
start, so that neither a Temporal that is away nor a process that ends loses one; starting one twice is one export.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

import structlog
from anyio import to_thread
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from store import waits
from tms_api import exporting
from tms_api.companies import require_company
from tms_api.exporting import Start
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, TemporalUnreachableError

BATCH = 25
"""Made ready in one transaction: one commit for all of them, and short enough not to keep others waiting."""
STARTS_AT_ONCE = 8
PAUSE_S = 30.0
"""Temporal was away: the next try. The mapping is saved long before, so nobody waits for it."""

log = structlog.get_logger(__name__)


async def _pause() -> None:
    await asyncio.sleep(PAUSE_S)


@dataclass(frozen=True, slots=True)
class _Batch:
    starts: Mapping[int, Start]
    """By the id of the export."""
    last: int | None
    """The last export that was looked at; None when there is none left."""


class AutoRetry:
    """One background task per company at most, in the event loop of the API."""

    def __init__(self, services: ApiServices, *, pause: Callable[[], Awaitable[None]] = _pause) -> None:
        self._services = services
        self._pause = pause
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    def wake(self, company_id: str) -> None:
        """Start what was released; a task that is at it already looks once more when it is through."""
        if company_id in self._tasks:
            self._again.add(company_id)
            return
        task = asyncio.get_running_loop().create_task(self._work(company_id))
        self._tasks[company_id] = task
        task.add_done_callback(lambda done: self._ended(company_id, done))

    async def resume(self) -> None:
        """Go on with what a process before this one left."""
        try:
            found = await to_thread.run_sync(self._companies)
        except SQLAlchemyError:
            # The API says so at every request and in /readyz; the next save of a mapping comes back to it.
            log.exception("exports to start again could not be read")
            return
        for company_id in found:
            self.wake(company_id)

    async def idle(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def stop(self) -> None:
        """End the tasks; what they had left stays in the store."""
        self._again.clear()
        for task in self._tasks.values():
            task.cancel()

    async def _work(self, company_id: str) -> None:
        after = 0
        while True:
            batch = await to_thread.run_sync(self._prepare, company_id, after)
            if batch.last is None:
                return
            try:
                await self._start(batch.starts)
            except TemporalUnreachableError:
                log.warning("Temporal is away; exports that shall start again wait", company=company_id)
                await self._pause()
                continue
            await to_thread.run_sync(self._end, list(batch.starts))
            after = batch.last

    async def _start(self, starts: Mapping[int, Start]) -> None:
        gate = asyncio.Semaphore(STARTS_AT_ONCE)

        async def one(start: Start) -> None:
            async with gate:
                await self._services.exporter.start(
                    start.inp, start.workflow_id, start.summary, after_run=start.after_run
                )

        results = await asyncio.gather(*(one(start) for start in starts.values()), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _companies(self) -> list[str]:
        with self._services.database.transaction() as session:
            return waits.companies_with_released(session)

    def _prepare(self, company_id: str, after: int) -> _Batch:
        starts: dict[int, Start] = {}
        with self._services.database.transaction() as session:
            company = require_company(session, company_id)
            rows = waits.released(session, company_id, after=after, limit=BATCH)
            for row in rows:
                try:
                    start = exporting.retry_in(self._services, session, company, row, confirmed_absent=False).start
                except ProblemError as problem:
                    # Something else keeps it back: it waits on. In any other state it waits no more.
                    settle = waits.hold if problem.status == 422 else waits.end
                    settle(session, row.id)
                    continue
                if start is not None:
                    starts[row.id] = start
            return _Batch(starts=starts, last=rows[-1].id if rows else None)

    def _end(self, export_ids: list[int]) -> None:
        with self._services.database.transaction() as session:
            waits.end_started(session, export_ids)

    def _ended(self, company_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(company_id, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("starting exports again ended early", company=company_id, exc_info=task.exception())
        if company_id in self._again:
            self._again.discard(company_id)
            self.wake(company_id)


class RetriesAfterSaving:
    """What a route does with a saved mapping: wake the background task when something waited for it."""

    def __init__(self, auto_retry: AutoRetry) -> None:
        self._auto_retry = auto_retry

    def after(self, company_id: str, retrying: int) -> None:
        """Start what waited for it; the answer does not wait for that."""
        if retrying:
            self._auto_retry.wake(company_id)


def retries_of(request: Request) -> RetriesAfterSaving:
    """Give it for the application that serves this request."""
    return RetriesAfterSaving(cast("AutoRetry", request.app.state.auto_retry))


Retries = Annotated[RetriesAfterSaving, Depends(retries_of)]
