"""Temporal's own tracing, with one trace for each run of an export however it was started."""

from __future__ import annotations

import hashlib
from typing import Any, cast
from uuid import UUID

import temporalio.client
import temporalio.worker
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from temporalio import activity
from temporalio.contrib.opentelemetry import TracingInterceptor

from telemetry.tracing import Tracing


def temporal_interceptors(tracing: Tracing) -> list[temporalio.client.Interceptor]:
    """Give what a client and its workers need; nothing while tracing is off.

    The context travels in Temporal's headers: no event more, and a history from before replays (temporal.md 7).
    """
    if not tracing.is_on:
        return []
    inner = TracingInterceptor(tracing.tracer)
    # A client's interceptor serves its workers only when it is a worker's, too: both of these are.
    return [cast("temporalio.client.Interceptor", TraceOfRun(inner)), inner]


class TraceOfRun(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Lets the activities of a run that carries no context share the trace that its run id names.

    So is an export that a Temporal client started without us, or before tracing was turned on.
    """

    def __init__(self, tracing: TracingInterceptor) -> None:
        self._tracing = tracing

    def intercept_activity(
        self,
        next: temporalio.worker.ActivityInboundInterceptor,  # noqa: A002 Temporal's own name
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Stand before the tracing of activities."""
        return _ActivityOfRun(next, self._tracing)


class _ActivityOfRun(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, following: temporalio.worker.ActivityInboundInterceptor, tracing: TracingInterceptor) -> None:
        super().__init__(following)
        self._tracing = tracing

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:  # noqa: A002
        key = self._tracing.header_key
        run_id = activity.info().workflow_run_id
        if key not in input.headers and run_id:
            carrier: dict[str, str] = {}
            context = set_span_in_context(NonRecordingSpan(_context_of_run(run_id)))
            self._tracing.text_map_propagator.inject(carrier, context)
            [payload] = self._tracing.payload_converter.to_payloads([carrier])
            input.headers = {**input.headers, key: payload}
        return await super().execute_activity(input)


def _context_of_run(run_id: str) -> SpanContext:
    digest = hashlib.sha256(run_id.encode()).digest()
    return SpanContext(
        trace_id=UUID(run_id).int,
        span_id=int.from_bytes(digest[:8], "big"),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
