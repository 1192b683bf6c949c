"""What the bridge tells of its calls and sessions: metrics, log lines and spans, once a transaction has become true.

Ids, codes and counts only. A ticket is never told; the start of its hash is, to follow one session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from qbwc_bridge.wsdl import OPERATIONS
from store import exports, secrets
from store.tables import Company, MessageSet, Request, WebConnectorSession
from store.within import after_commit
from telemetry import tracing as traces
from telemetry.instruments import BridgeMetrics
from telemetry.tracing import Tracing
from workflows.contracts import Outcome

SESSION_SHOWN = 12
"""Characters of a ticket's hash in logs and spans: enough to tell sessions apart, and no ticket."""

log = structlog.get_logger(__name__)


def session_name(ticket_hash: str) -> str:
    """Give what a session is called in logs and spans."""
    return ticket_hash[:SESSION_SHOWN]


class CallObserver:
    """Watches SOAP calls from outside: how long, whether one failed, and as whose part everything below is told."""

    def __init__(self, metrics: BridgeMetrics, tracing: Tracing) -> None:
        self._seconds = {one.name: metrics.call_seconds.labels(one.name) for one in OPERATIONS}
        self._failed = {one.name: metrics.calls_failed.labels(one.name) for one in OPERATIONS}
        self._tracing = tracing

    @contextmanager
    def call(self, method: str, parameters: Mapping[str, str]) -> Iterator[Callable[[], None]]:
        """Watch one call; gives what to call when it failed."""
        ticket = parameters.get("ticket") or parameters.get("wcTicket")
        named = {"session": session_name(secrets.fingerprint(ticket))} if ticket else {}
        started = perf_counter()
        attributes = {"rpc.method": method} | {f"qbd.{key}": value for key, value in named.items()}
        with (
            structlog.contextvars.bound_contextvars(method=method, **named),
            self._tracing.span(f"SOAP {method}", kind=SpanKind.SERVER, attributes=attributes),
        ):
            try:
                yield self._failed[method].inc
            finally:
                self._seconds[method].observe(perf_counter() - started)


class Observation:
    """What sessions and answers tell of themselves, from inside their transactions."""

    def __init__(self, metrics: BridgeMetrics | None = None, tracing: Tracing | None = None) -> None:
        self.metrics = metrics or BridgeMetrics(CollectorRegistry())
        self._tracing = tracing or Tracing()

    def signed_in(self, session: Session, answer: str, *, company_id: str | None, ticket_hash: str = "") -> None:
        """Tell how authenticate answered: session, none, busy or refused."""
        self._tracing.note(**({"company": company_id} if company_id else {}))

        def tell() -> None:
            self.metrics.sign_ins.labels(answer).inc()
            if answer == "session":
                log.info("session begins", company=company_id, session=session_name(ticket_hash))

        after_commit(session, tell)

    def had_nothing(self, company_id: str) -> None:
        """Tell that authenticate answered none after a glance, which is no transaction."""
        self._tracing.note(company=company_id)
        self.metrics.sign_ins.labels("none").inc()

    def moved(self, session: Session, wc: WebConnectorSession, before: str) -> None:
        """Tell that a session has ended, if it has."""
        after = wc.state
        if after == before:
            return
        named = {"company": wc.company_id, "session": session_name(wc.ticket_hash), "outcome": after}
        counts = {"done": wc.done, "failed": wc.failed}

        def tell() -> None:
            self.metrics.sessions.labels(after).inc()
            log.info("session ends", **named, **counts)

        after_commit(session, tell)

    def handed_out(
        self, session: Session, wc: WebConnectorSession, *, kind: str, set_id: str, requests: Sequence[Request]
    ) -> dict[str, str]:
        """Tell that a document leaves; gives the traceparent of each request's part in its own trace, by id."""
        self._tracing.note(company=wc.company_id, message_set=set_id, set_kind=kind, requests=len(requests))
        parents = self._parents(session, requests)
        spans = {
            request.id: span
            for request in requests
            if (
                span := self._tracing.begin(
                    "Fetched by the Web Connector",
                    parent=parents.get(request.export_id),
                    attributes=_of(request, wc.ticket_hash, set_id),
                )
            )
        }
        named = {"company": wc.company_id, "session": session_name(wc.ticket_hash), "set": set_id, "kind": kind}
        exported = [request.workflow_id for request in requests]

        def tell() -> None:
            self.metrics.message_sets.labels(kind).inc()
            self.metrics.requests_sent.inc(len(exported))
            log.info("document leaves", **named, **({"exports": exported} if exported else {}))
            traces.end(list(spans.values()))

        after_commit(session, tell)
        return {request_id: parent for request_id, span in spans.items() if (parent := traces.traceparent_of(span))}

    def answered(self, session: Session, exchange: MessageSet) -> None:
        """Tell that a document was answered."""
        self._tracing.note(company=exchange.company_id, message_set=exchange.id, set_kind=exchange.kind)
        kind, asked = exchange.kind, exchange.about_set_id
        seconds = (exchange.answered_at - exchange.sent_at).total_seconds() if exchange.answered_at else None
        named = {"company": exchange.company_id, "session": session_name(exchange.ticket_hash), "set": exchange.id}
        hresult = exchange.hresult

        def tell() -> None:
            if seconds is not None:
                self.metrics.quickbooks_seconds.labels(kind).observe(max(0.0, seconds))
            log.info("answer arrives", **named, kind=kind, about=asked, hresult=hresult)

        after_commit(session, tell)

    def decided(
        self, session: Session, request: Request, outcome: Outcome, *, left_at: datetime | None, at: datetime
    ) -> str | None:
        """Tell what became of a request; gives the traceparent of QuickBooks' part in the export's trace."""
        what = "requeued" if outcome.requeued else "failed" if outcome.failure else "successful"
        code = outcome.failure.code if outcome.failure is not None else ""
        span = self._tracing.begin(
            "In QuickBooks",
            parent=self._parents(session, [request]).get(request.export_id),
            at=left_at,
            attributes={**_of(request, "", request.message_set_id or ""), "qbd.outcome": what, "qbd.code": code},
        )
        named = {"company": request.company_id, "export": request.workflow_id, "request": request.id, "outcome": what}

        def tell() -> None:
            self.metrics.outcomes.labels(what, code).inc()
            log.info("request is decided", **named, **({"code": code} if code else {}))
            if span is not None:
                traces.end([span], at)

        after_commit(session, tell)
        return traces.traceparent_of(span) if span is not None else None

    def rows_came(self, session: Session, count: int) -> None:
        """Count rows of lists."""
        after_commit(session, lambda: self.metrics.list_rows.inc(count))

    def sync_ended(self, session: Session, owner: Company, *, run: int, state: str) -> None:
        """Tell that a sync of lists came to its end."""
        company_id = owner.id

        def tell() -> None:
            self.metrics.list_syncs.labels(state).inc()
            log.info("list sync ends", company=company_id, run=run, state=state)

        after_commit(session, tell)

    def _parents(self, session: Session, requests: Sequence[Request]) -> dict[int, str]:
        if not self._tracing.is_on or not requests:
            return {}
        return exports.traceparents(session, [request.export_id for request in requests])


def _of(request: Request, ticket_hash: str, set_id: str) -> dict[str, Any]:
    named = {
        "qbd.company": request.company_id,
        "qbd.export": request.workflow_id,
        "qbd.request": request.id,
        "qbd.message_set": set_id,
        "qbd.session": session_name(ticket_hash),
    }
    return {key: value for key, value in named.items() if value}
