"""Traces over OTLP, told by the standard OTEL_* variables. Off unless an endpoint is set, and then free of cost.

A trace context travels as W3C `traceparent` text in our tables. Whatever leaves goes through `IdsOnly`: attributes
that are not on its list, messages of exceptions and their tracebacks stay here, because they quote documents.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NoOpTracer, Span, SpanKind, Status, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
FLUSH_S = 5.0
"""What an exit waits at most for a collector."""
ALLOWED = frozenset(
    {
        "qbd.company", "qbd.export", "qbd.request", "qbd.message_set", "qbd.set_kind", "qbd.session", "qbd.outcome",
        "qbd.code", "qbd.requests", "qbd.signal", "http.request.method", "http.route", "http.response.status_code",
        "rpc.method", "temporalWorkflowID", "temporalRunID", "temporalActivityID", "temporalUpdateID",
        "exception.type", "exception.escaped",
    }
)  # fmt: skip
"""Ids, codes and counts."""

_W3C = TraceContextTextMapPropagator()


class IdsOnly(SpanExporter):
    """Hands spans on without anything that could be a name, an amount or a secret."""

    def __init__(self, target: SpanExporter) -> None:
        self._target = target

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand a batch on."""
        return self._target.export([_ids_only(span) for span in spans])

    def shutdown(self) -> None:
        """End."""
        self._target.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on what waits."""
        return self._target.force_flush(timeout_millis)


class Tracing:
    """The spans of one process."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """Without a provider it is off: nothing is recorded, and no context is passed on."""
        self._provider = provider
        self.tracer: Tracer = provider.get_tracer("tms-quickbooks-desktop") if provider is not None else NoOpTracer()

    @property
    def is_on(self) -> bool:
        """Say whether anything is recorded."""
        return self._provider is not None

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        is_root: bool = False,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
    ) -> Iterator[None]:
        """Do something in a span below `parent`, or below what goes on now, or as a trace of its own that links it."""
        if self._provider is None:
            yield
            return
        links = [Link(trace.get_current_span().get_span_context())] if is_root else []
        context = Context() if is_root else _context(parent) if parent else None
        with self.tracer.start_as_current_span(
            name,
            context=context,
            kind=kind,
            attributes=dict(attributes or {}),
            links=[link for link in links if link.context.is_valid],
        ):
            yield

    def begin(
        self, name: str, *, parent: str | None, at: datetime | None = None, attributes: Mapping[str, Any]
    ) -> Span | None:
        """Begin a span of another trace, linked with what goes on now in both directions; None when off or unknown.

        It becomes true only when it is ended: one whose transaction was rolled back is simply forgotten.
        """
        if self._provider is None or not parent:
            return None
        here = trace.get_current_span()
        context = here.get_span_context()
        span = self.tracer.start_span(
            name,
            _context(parent),
            attributes=dict(attributes),
            links=[Link(context)] if context.is_valid else [],
            start_time=_nanoseconds(at) if at is not None else None,
        )
        here.add_link(span.get_span_context())
        return span

    @contextmanager
    def under(self, parent: str | None) -> Iterator[None]:
        """Let what follows be part of this trace, without a span."""
        if self._provider is None or not parent:
            yield
            return
        token = attach(_context(parent))
        try:
            yield
        finally:
            detach(token)

    def note(self, **attributes: Any) -> None:
        """Say more of the span that goes on now."""
        if self._provider is not None:
            trace.get_current_span().set_attributes({f"qbd.{key}": value for key, value in attributes.items()})

    def current(self) -> str | None:
        """Give the traceparent of what goes on now; None when nothing is traced."""
        return traceparent_of(trace.get_current_span()) if self._provider is not None else None

    def stop(self, flush_s: float = FLUSH_S) -> None:
        """Hand over what is recorded, and wait so long at most: a collector that hangs holds nobody up."""
        if self._provider is None:
            return
        ending = threading.Thread(target=self._provider.shutdown, name="tracing-end", daemon=True)
        ending.start()
        ending.join(flush_s)


class UnknownProtocolError(Exception):
    """The OTEL variables ask for what is not here; the message is one line for a person."""


def tracing_from(environ: Mapping[str, str], service: str, *, exporter: SpanExporter | None = None) -> Tracing:
    """Build from OTEL_* of the environment; off without an endpoint. `service` names the process unless they do.

    Raises `UnknownProtocolError` for a protocol other than http/protobuf.
    """
    if not any(environ.get(name, "").strip() for name in ENDPOINTS) and exporter is None:
        return Tracing()
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "") == "none":
        return Tracing()
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), HTTP)
    if protocol != HTTP:
        raise UnknownProtocolError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: only {HTTP} can be used.")
    if exporter is None:
        # Loaded only here: it takes a tenth of a second that processes without traces do not pay.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        exporter = OTLPSpanExporter()
    named = {} if environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(IdsOnly(exporter)))
    return Tracing(provider)


def traceparent_of(span: Span) -> str | None:
    """Give the W3C text of a span's context; None for one that is not valid."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def end(spans: Sequence[Span], at: datetime | None = None) -> None:
    """End spans that have become true."""
    for span in spans:
        span.end(_nanoseconds(at) if at is not None else None)


def _context(traceparent: str) -> Context:
    return _W3C.extract({"traceparent": traceparent}, Context())


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000


def _ids_only(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_allowed(span.attributes),
        events=[Event(one.name, _allowed(one.attributes), one.timestamp) for one in span.events],
        links=[Link(one.context, _allowed(one.attributes)) for one in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _allowed(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (attributes or {}).items() if key in ALLOWED}
