"""One export, from a TMS document to a transaction in QuickBooks or a true reason why not.

Mapped -> Queued -> Sent -> Successful | Failed, and Cancelled only before Sent (design.md 3.1, section 4). The story
is `run`; the bridge tells it what the Web Connector did by signals that carry ids, so a repeated one changes nothing.
Waiting costs nothing: there is no timer (temporal.md 6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

# Names and not modules: `from workflows import contracts` goes round the sandbox's importer, which would then run that
# module anew for every workflow.
with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from workflows.contracts import (
        ACTIVITY_CANCEL,
        ACTIVITY_PREPARE,
        ACTIVITY_RECORD,
        FAILURE_TYPE,
        QUERY_VIEW,
        SIGNAL_OUTCOME,
        SIGNAL_QUEUE_AGAIN,
        SIGNAL_SENT,
        WORKFLOW_TYPE,
        CancelInput,
        CancelResult,
        ExportInput,
        ExportState,
        ExportView,
        Failure,
        Outcome,
        Prepared,
        PrepareInput,
        RecordInput,
        Sent,
        Transaction,
        there_text,
    )
    from workflows.raw_input import read_input
    from workflows.search_attributes import ERROR_CODE, EXPORT_OWNER, EXPORT_STATE

STEP_TIMEOUT = timedelta(seconds=30)
"""One attempt of a database step. They take milliseconds; 30 s covers a locked database."""
STEP_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
"""For ever: a database that is away comes back, and nothing of the export may be lost meanwhile."""
TOO_LATE_TEXT = "It was fetched before it could be taken back; if QuickBooks gives it back, it is taken back then"
PATCH_TOO_LATE = "say-that-a-cancel-came-too-late"
"""Runs that began before this one was written record nothing at that place (see this package's docstring)."""
INLINE_WAIT_MAX = timedelta(seconds=5)
"""A longer pause between two tries becomes a durable timer instead of a held workflow task."""

Result = TypeVar("Result", bound=BaseModel)


class _QueueAgain:
    """The database may have lost the request of this run."""


@workflow.defn(name=WORKFLOW_TYPE)
class QuickBooksExport:
    """One run of one export."""

    @workflow.init
    def __init__(self, *values: Any) -> None:
        self._started_with = read_input(values, ExportInput)
        self._view = ExportView(state=ExportState.MAPPED, detail="Checking the document against the mapping")
        self._inbox: list[Sent | Outcome | _QueueAgain] = []
        self._seen: list[str] = []
        self._cancel_wanted = False
        self._is_cancel_kept = False

    @workflow.run
    async def run(self, *values: Any) -> Transaction:
        """Export the document of an `ExportInput`; gives the transaction, or fails with type `ExportFailed`.

        Any Temporal client may start it, so it takes whatever comes: what is no `ExportInput` fails as well.
        """
        found = await self._prepare()
        while found is None:
            event = await self._next_event()
            if isinstance(event, _QueueAgain):
                found = await self._prepare(is_again=True)
            elif event is None:
                if await self._take_back():
                    await self._record(ExportState.CANCELLED, "Taken back before it was sent", key="cancelled")
                    raise asyncio.CancelledError
                self._is_cancel_kept = True
                await self._say_it_is_too_late()
            elif isinstance(event, Sent):
                await self._record(
                    ExportState.SENT, "The Web Connector fetched it for QuickBooks", key=event.message_set_id
                )
            elif event.transaction is not None:
                text = there_text(event.transaction)
                await self._record(ExportState.SUCCESSFUL, text, transaction=event.transaction)
                return event.transaction
            elif event.failure is not None:
                await self._record(ExportState.FAILED, event.failure.explanation, failure=event.failure)
                raise self._failed(event.failure)
            else:
                await self._record(ExportState.QUEUED, event.requeued or "Queued again", key=f"again:{event.key}")
                # Temporal takes one cancellation a run: a wish that came too late holds for the next time it waits.
                self._cancel_wanted = self._cancel_wanted or self._is_cancel_kept
        return found

    async def _prepare(self, *, is_again: bool = False) -> Transaction | None:
        """Queue the document, once more when the database lost what was queued; gives what is in QuickBooks already."""
        inp = self._to_prepare().model_copy(update={"is_again": is_again})
        prepared = await self._step(ACTIVITY_PREPARE, inp, Prepared)
        if prepared.transaction is not None:
            return self._arrived(prepared.transaction)
        if prepared.failure is not None:
            raise self._failed(prepared.failure)
        self._view.request_id = prepared.request_id
        if prepared.sent_in is not None:
            self._move(ExportState.SENT, "QuickBooks may have it already; its answer is awaited")
        else:
            self._move(ExportState.QUEUED, "Waiting for the Web Connector")
        return None

    @workflow.signal(name=SIGNAL_QUEUE_AGAIN)
    def on_queue_again(self, *values: Any) -> None:
        """Hear that the database may have lost the request of this run."""
        if not any(isinstance(event, _QueueAgain) for event in self._inbox):
            self._inbox.append(_QueueAgain())

    @workflow.signal(name=SIGNAL_SENT)
    def on_sent(self, *values: Any) -> None:
        """Hear that the request left with a message set, as `Sent`; anything else is passed over."""
        event = read_input(values, Sent)
        if isinstance(event, str):
            workflow.logger.warning("a signal that is none was passed over", extra={"problem": event})
        else:
            self._hear(f"sent:{event.request_id}:{event.message_set_id}", event)

    @workflow.signal(name=SIGNAL_OUTCOME)
    def on_outcome(self, *values: Any) -> None:
        """Hear what became of the request, as `Outcome`; anything else is passed over."""
        event = read_input(values, Outcome)
        if isinstance(event, str):
            workflow.logger.warning("a signal that is none was passed over", extra={"problem": event})
        else:
            self._hear(f"outcome:{event.request_id}:{event.key}", event)

    @workflow.query(name=QUERY_VIEW)
    def view(self) -> ExportView:
        """Tell where the export stands."""
        return self._view

    def _hear(self, key: str, event: Sent | Outcome) -> None:
        if key not in self._seen:
            self._seen.append(key)
            self._inbox.append(event)

    def _to_prepare(self) -> PrepareInput:
        run = {"run_id": workflow.info().run_id, "workflow_id": workflow.info().workflow_id}
        if isinstance(self._started_with, str):
            return PrepareInput.of_no_document(self._started_with, **run)
        self._input = self._started_with
        return PrepareInput(**self._input.model_dump(), **run)

    async def _next_event(self) -> Sent | Outcome | _QueueAgain | None:
        """Wait for the next signal about this run's request; None when somebody wants the export back."""
        while True:
            try:
                await workflow.wait_condition(lambda: bool(self._inbox) or self._cancel_wanted)
            except asyncio.CancelledError:
                self._cancel_wanted = True
            if not self._inbox:
                self._cancel_wanted = False
                return None
            event = self._inbox.pop(0)
            if isinstance(event, _QueueAgain) or event.request_id == self._view.request_id:
                return event
            workflow.logger.warning("a signal about another request was ignored")

    async def _take_back(self) -> bool:
        """Ask the queue for the request back; False when the Web Connector has fetched it already."""
        if self._view.state is not ExportState.QUEUED or self._view.request_id is None:
            return False
        result = await self._step(
            ACTIVITY_CANCEL,
            CancelInput(request_id=self._view.request_id, run_id=workflow.info().run_id),
            CancelResult,
        )
        return result.cancelled

    async def _say_it_is_too_late(self) -> None:
        """Tell people that their wish was heard and what becomes of it."""
        if workflow.patched(PATCH_TOO_LATE):
            await self._record(self._view.state, TOO_LATE_TEXT, key="cancel_too_late")

    async def _record(
        self,
        state: ExportState,
        text: str,
        *,
        transaction: Transaction | None = None,
        failure: Failure | None = None,
        key: str = "end",
    ) -> None:
        await self._step(
            ACTIVITY_RECORD,
            RecordInput(
                company_id=self._input.company_id,
                kind=str(self._input.document.get("kind")),
                document_id=str(self._input.document.get("id")),
                run_id=workflow.info().run_id,
                state=state,
                text=text,
                key=key,
                transaction=transaction,
                failure=failure,
            ),
            None,
        )
        self._view.transaction = transaction
        self._view.failure = failure
        self._move(state, text)

    def _arrived(self, transaction: Transaction) -> Transaction:
        self._view.transaction = transaction
        self._move(ExportState.SUCCESSFUL, there_text(transaction, "It was in QuickBooks already"))
        return transaction

    def _failed(self, failure: Failure) -> ApplicationError:
        self._view.failure = failure
        self._move(ExportState.FAILED, failure.explanation)
        return ApplicationError(
            f"{failure.code}: {failure.explanation} Next step ({failure.owner}): {failure.next_step}",
            failure.model_dump(mode="json"),
            type=FAILURE_TYPE,
            non_retryable=True,
            category=ApplicationErrorCategory.BENIGN,
        )

    def _move(self, state: ExportState, detail: str) -> None:
        if self._view.state is not state:
            values = [EXPORT_STATE.value_set(state.value)]
            if self._view.failure is not None:
                # In the same event: a failure costs the history nothing more, and older histories replay.
                failure = self._view.failure
                values += [EXPORT_OWNER.value_set(failure.owner), ERROR_CODE.value_set(failure.code)]
            workflow.upsert_search_attributes(values)
        self._view.state = state
        self._view.detail = detail
        workflow.set_current_details(f"**{state.value}**: {detail}")

    async def _step(self, activity: str, inp: BaseModel, result_type: Callable[..., Result] | None) -> Result:
        """Run a database step to its end. A cancellation meanwhile is noted, not obeyed: half a step is no state."""
        task = asyncio.ensure_future(
            workflow.execute_local_activity(
                activity,
                inp,
                result_type=result_type,  # type: ignore[arg-type]
                start_to_close_timeout=STEP_TIMEOUT,
                retry_policy=STEP_RETRY,
                local_retry_threshold=INLINE_WAIT_MAX,
            )
        )
        while True:
            try:
                result: Result = await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():
                    raise
                self._cancel_wanted = True
            else:
                return result
