"""The gauges that need the database: how long what waits has waited. Each process that serves metrics gives them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from store import figures
from store.engine import Database
from store.figures import Pile

LEASES = ("relay", "webhooks")


def installation_gauges(database: Database, now: datetime, *, companies_named: int = 0) -> Sequence[Metric]:
    """Read all of them; `companies_named` companies with the longest queues are named, none by default."""
    with database.transaction() as session:
        queues = figures.queues(session)
        oldest = min((one.oldest_at for one in queues if one.oldest_at is not None), default=None)
        connections = figures.connections(session, now)
        found = [
            _gauge("qbd_queue_waiting", "Requests that wait for a Web Connector.", sum(one.count for one in queues)),
            _gauge("qbd_queue_oldest_seconds", "How long the oldest of them waits.", _age(oldest, now)),
            _gauge("qbd_queue_companies", "Companies with a queue.", len(queues)),
            _gauge("qbd_queue_longest", "The longest queue of one company.", queues[0].count if queues else 0),
            *_pile("qbd_in_flight", "Requests that QuickBooks has, or may have", figures.in_flight(session), now),
            *_pile("qbd_sets_unresolved", "Sets whose outcome is not known", figures.unresolved_sets(session), now),
            *_pile("qbd_outbox", "Starts and signals that Temporal has not taken", figures.outbox(session), now),
            *_pile("qbd_webhooks_due", "Webhook messages under way", figures.webhook_messages(session), now),
            _gauge("qbd_webhooks_given_up", "Webhook messages given up.", figures.failed_webhook_messages(session)),
            _by("qbd_exports_failed", "Exports that are Failed now.", "owner", figures.failed_by_owner(session)),
            _by("qbd_connections", "Companies by their connection.", "state", vars(connections)),
            _by(
                "qbd_list_sync_companies", "Companies by their newest list sync.", "state", figures.list_syncs(session)
            ),
        ]
        held = figures.leases(session)
    left = {name: max(0.0, (held[name] - now).total_seconds()) if name in held else 0.0 for name in LEASES}
    found.append(
        _by("qbd_lease_seconds", "For how long a process still holds this job; 0: nobody does it.", "task", left)
    )
    if companies_named:
        shown = queues[:companies_named]
        counts = {one.company_id: float(one.count) for one in shown}
        ages = {one.company_id: _age(one.oldest_at, now) for one in shown}
        found.append(_by("qbd_company_queue_waiting", "Requests that wait, of the longest queues.", "company", counts))
        found.append(_by("qbd_company_queue_oldest_seconds", "Age of the oldest of them.", "company", ages))
    return found


def _pile(name: str, text: str, pile: Pile, now: datetime) -> list[Metric]:
    return [
        _gauge(name, f"{text}.", pile.count),
        _gauge(f"{name}_oldest_seconds", f"{text}: age of the oldest.", _age(pile.oldest_at, now)),
    ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: dict[str, int] | dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _age(at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds()) if at is not None else 0.0
