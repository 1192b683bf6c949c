"""Metrics that are read when somebody asks, and the port that serves them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import structlog
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

FRESH_S = 15.0
"""How long figures of the database are given out again: several scrapers cost it no more than one."""
SCRAPE_TIMEOUT_S = 2.0
SILENCE_S = 20.0
"""Longer than any scraper needs to ask."""

log = structlog.get_logger(__name__)


class CachedCollector(Collector):
    """Gauges from one function, called at most every few seconds. When it fails, they are absent and `ok` is 0."""

    def __init__(
        self,
        ok: str,
        read: Callable[[], Sequence[Metric]],
        *,
        fresh_s: float = FRESH_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ok` names the gauge that says whether `read` worked; `monotonic` gives seconds."""
        self._ok = ok
        self._read = read
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: Sequence[Metric] = ()
        self._until: float | None = None

    def describe(self) -> Iterable[Metric]:
        """Name nothing: a process must not need its database just to register a collector."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the figures."""
        with self._lock:
            if self._until is None or self._monotonic() >= self._until:
                self._known = self._figures()
                self._until = self._monotonic() + self._fresh_s
            return self._known

    def _figures(self) -> Sequence[Metric]:
        try:
            found = [*self._read()]
        except Exception as error:  # noqa: BLE001 a scrape gives what there is
            log.warning("figures could not be read", gauges=self._ok, error=type(error).__name__)
            found = []
        return [*found, GaugeMetricFamily(self._ok, "Whether these gauges could be read.", float(bool(found)))]


class ScrapedCollector(Collector):
    """The metrics that another server of this process gives on loopback: the Temporal SDK has one of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opener = build_opener(ProxyHandler({}))

    def describe(self) -> Iterable[Metric]:
        """Name nothing: that server may not listen yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read them; while that fails there are none of them."""
        try:
            with self._opener.open(self._address, timeout=SCRAPE_TIMEOUT_S) as answer:
                text = answer.read().decode()
        except (URLError, OSError):
            return
        yield from text_string_to_metric_families(text)


class MetricsServer:
    """Serves a registry on a port of its own, in threads, until it is stopped."""

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        """Listen at once; raises OSError when that is not possible."""
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        # By itself it waits for ever, in a thread for each connection.
        handler: Any = self._server.RequestHandlerClass
        self._server.RequestHandlerClass = type("PunctualHandler", (handler,), {"timeout": SILENCE_S})

    def stop(self) -> None:
        """Let the port go."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
