"""Starting again, in the background, what waited for an entry of the mapping that was saved.

Which exports that are is in the store, written with the mapping itself. An export leaves that list in the transaction
that puts its start into the outbox, so no process that ends loses one.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, cast

import structlog
from anyio import to_thread
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from store import waits
from tms_api import exporting
from tms_api.companies import require_company
from tms_api.problems import ProblemError
from tms_api.services import ApiServices
from workflows.contracts import ExportState

BATCH = 25
"""Made ready in one transaction: one commit for all of them, and short enough not to keep others waiting."""

LOOK_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class AutoRetry:
    """One background task per company at most, in the event loop of the API."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
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

    async def watch(self) -> None:
        """Look again and again for what is left: another process may have died over it, or an error ended a task."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.resume()

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
        after: int | None = 0
        while after is not None:
            after = await to_thread.run_sync(self._start_some, company_id, after)

    def _companies(self) -> list[str]:
        with self._services.database.transaction() as session:
            return waits.companies_with_released(session)

    def _start_some(self, company_id: str, after: int) -> int | None:
        """Start a batch; gives the last export that was looked at, None when there is none left."""
        with self._services.database.transaction("auto retry") as session:
            # Held, so that an entry that is saved meanwhile is either seen here or releases the export anew.
            company = require_company(session, company_id, lock=True)
            rows = waits.released(session, company_id, after=after, limit=BATCH)
            started: list[int] = []
            for row in rows:
                if row.state != ExportState.FAILED:
                    waits.end(session, row.id)  # a person has decided otherwise meanwhile
                    continue
                try:
                    with self._services.tracing.span("Export starts again by itself", is_root=True):
                        exporting.retry_in(self._services, session, company, row, confirmed_absent=False)
                except ProblemError as problem:
                    # Something else keeps it back: it waits on. In any other state it waits no more.
                    settle = waits.hold if problem.status == 422 else waits.end
                    settle(session, row.id)
                    continue
                started.append(row.id)
            waits.end_started(session, started)
            return rows[-1].id if rows else None

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
