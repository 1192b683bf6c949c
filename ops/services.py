"""One function per process of the system: what `qbd bridge`, `qbd api`, `qbd worker` and `qbd simulate` run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ops.database import open_database
from ops.exits import settle
from ops.fresh import now
from ops.logs import configure_logging
from ops.ports import LOOPBACK, free_ports, require_free
from ops.problems import ProblemError
from ops.settings import Settings, env_name

if TYPE_CHECKING:
    from ops.wiring import Bridge, Surroundings


def run_bridge(settings: Settings, build: Callable[[Settings], Bridge] | None = None) -> None:
    """Serve the Web Connector until a signal comes; `build` makes another bridge than production's."""
    from ops import wiring  # noqa: PLC0415
    from ops.http_server import serve_wsgi  # noqa: PLC0415
    from ops.observing import require_metrics_port  # noqa: PLC0415

    configure_logging(settings.log_level)
    require_free(settings.soap_port, env_name("soap_port"), settings.listen)
    require_metrics_port(settings, "bridge_metrics_port")
    bridge = (build or wiring.bridge)(settings)
    try:
        serve_wsgi(bridge.application, settings, port=settings.soap_port)
    finally:
        bridge.close()


def run_api(settings: Settings, around: Surroundings | None = None) -> None:
    """Serve the HTTP API until a signal comes."""
    from ops import wiring  # noqa: PLC0415
    from ops.http_server import serve  # noqa: PLC0415
    from ops.observing import process_tracing  # noqa: PLC0415

    around = around or wiring.Surroundings()
    configure_logging(settings.log_level)
    database = open_database(settings, passing=around.passing)
    tracing = process_tracing("qbd-api")
    require_free(settings.api_port, env_name("api_port"), settings.listen)
    try:
        app = wiring.api_app(settings, database, clock=around.clock, tracing=tracing)
        serve(app, settings, port=settings.api_port)
    finally:
        tracing.stop()
        database.close()


def run_codec(settings: Settings) -> None:
    """Serve the Temporal UI and CLI, which ask for payloads in clear, until a signal comes."""
    from ops import wiring  # noqa: PLC0415
    from ops.codec_server import build_codec_app  # noqa: PLC0415
    from ops.http_server import serve  # noqa: PLC0415

    configure_logging(settings.log_level)
    database = open_database(settings)
    require_free(settings.codec_port, env_name("codec_port"), settings.listen)
    app = build_codec_app(
        database, settings.payload_key_ring, ui_origin=wiring.origin_of(settings.temporal_ui), clock=now
    )
    try:
        serve(app, settings, port=settings.codec_port)
    finally:
        database.close()


def run_worker(settings: Settings, around: Surroundings | None = None) -> None:
    """Run the Temporal worker until a signal comes."""
    from ops import wiring  # noqa: PLC0415
    from ops.beginnings import tell_of_unknown_exports  # noqa: PLC0415
    from ops.garbage import leave_out_what_stays  # noqa: PLC0415
    from ops.observing import process_registry, process_tracing, require_metrics_port, serve_metrics  # noqa: PLC0415
    from ops.worker_process import MissingSearchAttributesError, run  # noqa: PLC0415
    from store.secret_box import SecretBox  # noqa: PLC0415
    from telemetry.collectors import ScrapedCollector  # noqa: PLC0415
    from telemetry.instruments import WorkerMetrics  # noqa: PLC0415

    around = around or wiring.Surroundings()
    configure_logging(settings.log_level)
    database = open_database(settings, passing=around.passing, plans_once=True)
    tracing = process_tracing("qbd-worker")
    require_metrics_port(settings, "metrics_port")
    registry = process_registry(settings, database, clock=around.clock)
    metrics = WorkerMetrics(registry)
    # The SDK serves its metrics by itself only; ours go out together with them.
    [sdk_port] = free_ports(1)
    runtime = wiring.metrics_runtime(sdk_port)
    registry.register(ScrapedCollector(f"http://{LOOPBACK}:{sdk_port}/metrics"))

    async def work() -> None:
        try:
            client = await wiring.connect_temporal(settings, runtime=runtime, tracing=tracing)
            serve_metrics(settings, "metrics_port", registry)
            await tell_of_unknown_exports(database, client)
            leave_out_what_stays()
            await run(
                client,
                database,
                clock=around.clock,
                holder=wiring.holder_name(),
                webhook_allow_private=settings.webhook_allow_private,
                metrics=metrics,
                tracing=tracing,
                secret_box=SecretBox(settings.payload_key_ring),
            )
        except MissingSearchAttributesError as error:
            raise ProblemError(str(error)) from error
        finally:
            await settle()

    try:
        asyncio.run(work())
    finally:
        tracing.stop()
        database.close()


def run_simulator(
    qwc: Path, *, password: str, every: int, company_file: Path | None, once: bool, name: str | None
) -> int:
    """Play a Web Connector until Ctrl-C, or once; give 1 when the last update did not end well."""
    from simulator.cli import simulate  # noqa: PLC0415
    from simulator.qwc import QwcError  # noqa: PLC0415

    try:
        report = simulate(qwc, password, every, company_file, once=once, echo=typer.echo, name=name)
    except QwcError as error:
        raise ProblemError(f"{qwc} cannot be used: {error}") from error
    return 0 if report is None or report.outcome in ("ok", "none") else 1
