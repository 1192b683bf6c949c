"""What each process shows of itself: its registry, its traces and its metrics port, built from the settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from ops.gauges import installation_gauges
from ops.ports import require_free
from ops.problems import ProblemError
from ops.settings import Settings, env_name
from store.engine import Database
from telemetry.collectors import CachedCollector, MetricsServer
from telemetry.tracing import Tracing, UnknownProtocolError, tracing_from

READ_OK = "qbd_installation_read"

log = structlog.get_logger(__name__)


def process_registry(settings: Settings, database: Database, *, clock: Callable[[], datetime]) -> CollectorRegistry:
    """Give a registry with the process's own figures and those of the database, read when somebody asks."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    named = settings.metrics_companies
    registry.register(CachedCollector(READ_OK, lambda: installation_gauges(database, clock(), companies_named=named)))
    return registry


def process_tracing(service: str, environ: Mapping[str, str] | None = None) -> Tracing:
    """Give the traces that OTEL_* ask for; raises `ProblemError` for what cannot be done."""
    try:
        return tracing_from(os.environ if environ is None else environ, service)
    except UnknownProtocolError as error:
        raise ProblemError(str(error)) from error


def require_metrics_port(settings: Settings, field: str) -> None:
    """Raise when the metrics port is taken; 0 needs none."""
    port = getattr(settings, field)
    if port:
        require_free(port, env_name(field), settings.metrics_host)


def serve_metrics(settings: Settings, field: str, registry: CollectorRegistry) -> MetricsServer | None:
    """Serve the registry on the port of this setting, unless it is 0. A port that is taken is no reason to end."""
    port = getattr(settings, field)
    if not port:
        return None
    try:
        return MetricsServer(registry, host=settings.metrics_host, port=port)
    except OSError as error:
        log.error("the metrics cannot be served", setting=env_name(field), port=port, error=error.strerror)
        return None
