"""Starting again, in the background, what waited for an entry of the mapping that was saved.

Which exports that are is in the store, written with the mapping itself. An export leaves that list only after its
start, so that neither a Temporal that is away nor a process that ends loses one; starting one twice is one export.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, cast

import structlog
from anyio import to_thread
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from store import waits
from tms_api import exporting
from tms_api.exporting import Start
from tms_api.problems import ProblemError
from tms_api.services import ApiServices, TemporalUnreachableError

BATCH = 100
STARTS_AT_ONCE = 8
PAUSE_S = 30.0
"""Temporal was away: the next try. The mapping is saved long before, so nobody waits for it."""

log = structlog.get_logger(__name__)


async def _pause() -> None:
    await asyncio.sleep(PAUSE_S)


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
            batch = await to_thread.run_sync(self._batch, company_id, after)
            if not batch:
                return
            starts = [(key, await to_thread.run_sync(self._prepare, company_id, key)) for key in batch]
            try:
                await self._start([(key, start) for key, start in starts if start is not None])
            except TemporalUnreachableError:
                log.warning("Temporal is away; exports that shall start again wait", company=company_id)
                await self._pause()
                continue
            after = batch[-1][0]

    async def _start(self, starts: Sequence[tuple[tuple[int, str, str], Start]]) -> None:
        gate = asyncio.Semaphore(STARTS_AT_ONCE)

        async def one(export_id: int, start: Start) -> None:
            async with gate:
                await self._services.exporter.start(
                    start.inp, start.workflow_id, start.summary, after_run=start.after_run
                )
                await to_thread.run_sync(self._end, export_id)

        results = await asyncio.gather(*(one(key[0], start) for key, start in starts), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _companies(self) -> list[str]:
        with self._services.database.transaction() as session:
            return waits.companies_with_released(session)

    def _batch(self, company_id: str, after: int) -> list[tuple[int, str, str]]:
        with self._services.database.transaction() as session:
            rows = waits.released(session, company_id, after=after, limit=BATCH)
            return [(row.id, row.kind, row.document_id) for row in rows]

    def _prepare(self, company_id: str, key: tuple[int, str, str]) -> Start | None:
        export_id, kind, document_id = key
        try:
            return exporting.prepare_retry(self._services, company_id, kind, document_id, confirmed_absent=False).start
        except ProblemError as problem:
            with self._services.database.transaction() as session:
                # Something else keeps it back: it waits on. In any other state it waits no more.
                settle = waits.hold if problem.status == 422 else waits.end
                settle(session, export_id)
            return None

    def _end(self, export_id: int) -> None:
        with self._services.database.transaction() as session:
            waits.end(session, export_id)

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
