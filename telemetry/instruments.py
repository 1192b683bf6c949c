"""The metrics that code counts as it goes, one class a part. A registry belongs to one process.

Each label has few values: methods, states and codes of the catalogue. Companies are never labels here.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

CALL_BUCKETS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0)
"""The Web Connector gives up after about 100 s (web-connector.md 2.2)."""
DELIVERY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
QUICKBOOKS_BUCKETS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 3600.0)
EXPORT_BUCKETS_S = (1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0, 604800.0)


class BridgeMetrics:
    """The SOAP service and the sessions behind it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.call_seconds = Histogram(
            "qbd_soap_call_seconds", "Time until a SOAP call was answered.", ("method",), registry=registry,
            buckets=CALL_BUCKETS_S,
        )  # fmt: skip
        self.calls_failed = Counter(
            "qbd_soap_calls_failed", "SOAP calls answered with the polite end, for a failure of ours.", ("method",),
            registry=registry,
        )  # fmt: skip
        self.sign_ins = Counter(
            "qbd_sign_ins", "Calls of authenticate by answer: session, none, busy, refused.", ("answer",),
            registry=registry,
        )  # fmt: skip
        self.sessions = Counter(
            "qbd_sessions", "Sessions by their end: finished, refused, superseded, abandoned.", ("outcome",),
            registry=registry,
        )  # fmt: skip
        self.message_sets = Counter(
            "qbd_message_sets", "Documents handed out by kind: write, activity, ask, lookup, probe, list.", ("kind",),
            registry=registry,
        )  # fmt: skip
        self.requests_sent = Counter("qbd_requests_sent", "Requests of exports handed out.", registry=registry)
        self.quickbooks_seconds = Histogram(
            "qbd_quickbooks_seconds", "Time from handing a document out to its answer.", ("kind",),
            registry=registry, buckets=QUICKBOOKS_BUCKETS_S,
        )  # fmt: skip
        self.outcomes = Counter(
            "qbd_outcomes", "What became of requests: successful, requeued, failed with its code.", ("outcome", "code"),
            registry=registry,
        )  # fmt: skip
        self.list_rows = Counter("qbd_list_rows", "Rows of QuickBooks' lists that came over.", registry=registry)
        self.list_syncs = Counter(
            "qbd_list_syncs", "Syncs of lists by their end: done, failed.", ("outcome",), registry=registry
        )


class RelayMetrics:
    """The delivery of the outbox to Temporal."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.delivery_seconds = Histogram(
            "qbd_signal_delivery_seconds", "Age of starts and signals when Temporal had taken them.", ("signal",),
            registry=registry, buckets=DELIVERY_BUCKETS_S,
        )  # fmt: skip
        self.late = Counter(
            "qbd_signals_late", "Signals whose workflow had ended already.", ("signal",), registry=registry
        )
        self.refused = Counter(
            "qbd_signals_refused", "Workflows whose start or signals Temporal refused; they are tried again.",
            ("signal",), registry=registry,
        )  # fmt: skip
        self.troubles = Counter(
            "qbd_relay_troubles", "Rounds that delivered nothing, by what was away: temporal, database, or a bug.",
            ("cause",), registry=registry,
        )  # fmt: skip


class WorkerMetrics:
    """The steps of exports and the sending of webhooks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exports = Counter(
            "qbd_exports", "State changes of exports; `code` says why one failed.", ("kind", "state", "code"),
            registry=registry,
        )  # fmt: skip
        self.export_seconds = Histogram(
            "qbd_export_seconds", "Age of exports when they came to their end.", ("state",), registry=registry,
            buckets=EXPORT_BUCKETS_S,
        )  # fmt: skip
        self.webhook_tries = Counter(
            "qbd_webhook_tries", "Tries to deliver a webhook message: taken, refused.", ("result",), registry=registry
        )
        self.webhook_messages = Counter(
            "qbd_webhook_messages", "Webhook messages by their end: delivered, failed.", ("state",), registry=registry
        )


class ApiMetrics:
    """The HTTP API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "qbd_api_requests", "Requests answered by the API.", ("method", "route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "qbd_api_request_seconds", "Time until the answer was written.", ("method", "route"), registry=registry
        )
        self.accepted = Counter(
            "qbd_exports_accepted", "Starts of exports that the API put into the outbox.", ("kind",), registry=registry
        )
