"""The sync of one company's lists, as a story that lasts: requested, running, done or failed, with counts.

The bridge obeys the database, not this workflow: with Temporal away the lists come over all the same, and the relay
starts the workflow later. Signals only say that there is something new to read, so a repeated one changes nothing; a
run that was started by a late one reads that all is done and ends. One run a sync, without timers (temporal.md 6).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

# Names and not modules: `from workflows import contracts` goes round the sandbox's importer, which would then run that
# module anew for every workflow.
with workflow.unsafe.imports_passed_through():
    from workflows.contracts import (
        ACTIVITY_SYNC_STATUS,
        QUERY_VIEW,
        SIGNAL_SYNC_MOVED,
        SYNC_WORKFLOW_TYPE,
        SyncInput,
        SyncMoved,
        SyncView,
    )
    from workflows.raw_input import MALFORMED_INPUT, read_input

STEP_TIMEOUT = timedelta(seconds=30)
STEP_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
INLINE_WAIT_MAX = timedelta(seconds=5)
ENDED = ("done", "failed")


@workflow.defn(name=SYNC_WORKFLOW_TYPE)
class QuickBooksListSync:
    """One run of one sync."""

    @workflow.init
    def __init__(self, *values: Any) -> None:
        self._started_with = read_input(values, SyncInput)
        self._view = SyncView(state="requested")
        self._has_news = False
        self._seen: list[str] = []

    @workflow.run
    async def run(self, *values: Any) -> SyncView:
        """Follow the sync of a `SyncInput` to its end. A failed one is tried again by a later session."""
        inp = self._started_with
        if isinstance(inp, str):
            raise ApplicationError(
                inp, type=MALFORMED_INPUT, non_retryable=True, category=ApplicationErrorCategory.BENIGN
            )
        while True:
            self._has_news = False
            self._view = await workflow.execute_local_activity(
                ACTIVITY_SYNC_STATUS,
                inp,
                result_type=SyncView,
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=STEP_RETRY,
                local_retry_threshold=INLINE_WAIT_MAX,
            )
            counts = ", ".join(f"{kind} {count}" for kind, count in self._view.entries.items())
            workflow.set_current_details(f"**{self._view.state}** {counts} {self._view.note}".strip())
            if self._view.state in ENDED:
                return self._view
            await workflow.wait_condition(lambda: self._has_news)

    @workflow.signal(name=SIGNAL_SYNC_MOVED)
    def on_moved(self, *values: Any) -> None:
        """Hear that the sync began or ended, as `SyncMoved`; anything else is passed over."""
        event = read_input(values, SyncMoved)
        if isinstance(event, str):
            workflow.logger.warning("a signal that is none was passed over", extra={"problem": event})
            return
        key = f"{event.run}:{event.state}"
        if key not in self._seen:
            self._seen.append(key)
            self._has_news = True

    @workflow.query(name=QUERY_VIEW)
    def view(self) -> SyncView:
        """Tell where the sync stands."""
        return self._view
