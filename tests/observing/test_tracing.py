"""Traces: off without an endpoint, harmless with a bad one, and no word leaves that is not an id."""

from __future__ import annotations

import socket
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from ops.observing import process_tracing
from ops.problems import ProblemError
from ops.temporal_tracing import temporal_interceptors
from telemetry.collectors import CachedCollector, ScrapedCollector
from telemetry.tracing import ENDPOINTS, Tracing, tracing_from
from tests.support.otlp import collecting

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {ENDPOINTS[0]: ""},
        {ENDPOINTS[0]: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINTS[0]: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_it_is_off_unless_asked_for(environ: dict[str, str]) -> None:
    """Then nothing is recorded, passed on or put into Temporal's calls."""
    tracing = tracing_from(environ, "qbd-test")
    assert not tracing.is_on
    assert temporal_interceptors(tracing) == []
    with tracing.span("x", parent=PARENT), tracing.under(PARENT):
        assert tracing.current() is None
        assert tracing.begin("y", parent=PARENT, attributes={}) is None
    tracing.stop()


def test_another_protocol_is_one_clear_line() -> None:
    """gRPC is not here; the process says so at its start."""
    with pytest.raises(ProblemError, match="only http/protobuf"):
        process_tracing("x", {ENDPOINTS[0]: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_attributes_that_are_no_ids_and_texts_of_errors_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in what libraries record: messages of exceptions quote documents."""
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINTS[0], collector.address)
        tracing = tracing_from({ENDPOINTS[0]: collector.address}, "qbd-test")
        with (
            pytest.raises(ValueError, match="Cafe"),
            tracing.span("work", parent=PARENT, attributes={"qbd.company": "acme", "customer": "Cafe Rio"}),
        ):
            raise ValueError("Cafe Rio owes 1743.29")
        tracing.stop()
    [span] = collector.spans
    assert span.trace_id.hex() == PARENT.split("-")[1]
    assert {one.key for one in span.attributes} == {"qbd.company"}
    assert span.status.message == ""
    assert b"Cafe" not in b"".join(collector.raw)
    assert [one.value.string_value for one in span.events[0].attributes if one.key == "exception.type"] == [
        "ValueError"
    ]


def test_a_span_whose_transaction_was_rolled_back_never_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was begun and not ended is forgotten."""
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINTS[0], collector.address)
        tracing = tracing_from({ENDPOINTS[0]: collector.address}, "qbd-test")
        with tracing.span("call"):
            assert tracing.begin("never true", parent=PARENT, attributes={}) is not None
        tracing.stop()
    assert [span.name for span in collector.spans] == ["call"]


@pytest.mark.parametrize("is_listening", [True, False])
def test_a_collector_that_hangs_or_is_away_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, is_listening: bool) -> None:
    """Work goes on, and an exit waits for as long as it was told at most."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if is_listening:
            silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv(ENDPOINTS[0], address)
        tracing: Tracing = tracing_from({ENDPOINTS[0]: address}, "qbd-test")
        for _ in range(3000):  # more than its buffer holds
            with tracing.span("work"):
                pass
        began = time.monotonic()
        tracing.stop(flush_s=0.5)
        assert time.monotonic() - began < 20


def test_gauges_are_read_once_for_many_scrapers_and_absent_when_that_fails() -> None:
    """The database pays for one scrape in 15 seconds; without it the scrape still answers."""
    now, reads = [0.0], [0]

    def read() -> list[GaugeMetricFamily]:
        reads[0] += 1
        if reads[0] > 1:
            raise ConnectionError
        return [GaugeMetricFamily("g", "A gauge.", value=7)]

    registry = CollectorRegistry()
    registry.register(CachedCollector("g_ok", read, fresh_s=15, monotonic=lambda: now[0]))
    assert reads == [0]
    for _ in range(3):
        text = generate_latest(registry).decode()
        assert "\ng 7.0" in text
        assert "g_ok 1.0" in text
    assert reads == [1]
    now[0] = 15.0
    text = generate_latest(registry).decode()
    assert "\ng " not in text
    assert "g_ok 0.0" in text


def test_a_server_of_metrics_that_is_away_leaves_the_others() -> None:
    """The SDK's own port is asked at each scrape."""
    registry = CollectorRegistry()
    registry.register(ScrapedCollector("http://127.0.0.1:1/metrics"))
    assert generate_latest(registry) == b""
