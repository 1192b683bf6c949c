"""The composition roots: each process's objects, built from its settings. No other module builds across parts."""

from __future__ import annotations

import os
import secrets as randomness
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import structlog
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from ops.database import open_database
from ops.fresh import new_id, now
from ops.payload_codec import data_converter
from ops.ports import LOOPBACK
from ops.problems import ProblemError
from ops.settings import Settings
from store.engine import Database, Passing, go_on
from store.secret_box import SecretBox
from store.sightings import Sightings
from telemetry.tracing import Tracing

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from fastapi import FastAPI

    from qbwc_bridge.dispatcher import Dispatcher
    from store.tables import Company

NAMESPACE_DEFAULT = "default"
CONNECT_PATIENCE_S = 60.0
FIRST_TURN_S = 5.0
NOTES_EVERY_S = 1.0
"""So much later at most it is known that a Web Connector called which found nothing to do."""
SUPPORT_TEXT = (
    "This page belongs to the connection between your transport software and QuickBooks Desktop.\n"
    "Nothing is exported: check that QuickBooks is open with the right company file, that the Web Connector runs and "
    "that Auto-Run is ticked.\n"
    "For anything else, ask the support of your transport software."
)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is the same for every process in production and what tests change: time, and the points to die at."""

    clock: Callable[[], datetime] = now
    passing: Passing = go_on


class TemporalUnreachableError(ProblemError):
    """Temporal did not answer in time."""


async def connect_temporal(
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    runtime: Runtime | None = None,
    tracing: Tracing | None = None,
    patience_s: float = CONNECT_PATIENCE_S,
) -> Client:
    """Connect as TEMPORAL_* say, or to the embedded server; try for `patience_s`, then raise.

    With a patience of 0 it tries once and lets the SDK's own error through, for callers that retry themselves.
    """
    config: dict[str, Any] = {**ClientConfig.load_client_connect_config(override_env_vars=_environ(environ))}
    target = config.pop("target_host", None) or f"127.0.0.1:{settings.temporal_port}"
    config.setdefault("namespace", NAMESPACE_DEFAULT)
    if runtime is not None:
        config["runtime"] = runtime
    if tracing is not None and tracing.is_on:
        from ops.temporal_tracing import temporal_interceptors  # noqa: PLC0415

        config["interceptors"] = temporal_interceptors(tracing)

    async def connect() -> Client:
        return await Client.connect(target, data_converter=data_converter(settings.payload_key_ring), **config)

    if not patience_s:
        return await connect()
    retrying = AsyncRetrying(
        stop=stop_after_delay(patience_s),
        wait=wait_exponential(multiplier=0.1, max=5),
        retry=retry_if_exception_type((RuntimeError, RPCError, OSError)),
        reraise=True,
    )
    try:
        return await retrying(connect)
    except (RuntimeError, RPCError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise TemporalUnreachableError(
            f"Temporal at {target} (TEMPORAL_ADDRESS) did not answer for {patience_s:.0f} s: {reason}"
        ) from error


def client_factory(
    settings: Settings, environ: Mapping[str, str] | None = None, *, tracing: Tracing | None = None
) -> Callable[[], Awaitable[Client]]:
    """Give what the relay and the API connect with: one try, because both come back by themselves."""

    async def connect() -> Client:
        return await connect_temporal(settings, environ, tracing=tracing, patience_s=0)

    return connect


def metrics_runtime(port: int) -> Runtime:
    """Give a runtime of the SDK that serves its metrics, in seconds, on this port of loopback only."""
    prometheus = PrometheusConfig(
        bind_address=f"{LOOPBACK}:{port}", durations_as_seconds=True, counters_total_suffix=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=prometheus))


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """What answers the Web Connector, and what ends the threads beside it; call that once, when nothing is served."""

    application: WSGIApplication
    close: Callable[[], None]


def bridge(
    settings: Settings, around: Surroundings = Surroundings(), dispatcher_type: type[Dispatcher] | None = None
) -> Bridge:
    """Build the bridge, whose threads begin to work at once.

    The relay lives in the same process and lets its lease go when it is closed; otherwise the next one would wait for
    the lease to run out before it delivers.
    """
    from activities.queued import Remapping  # noqa: PLC0415
    from ops.garbage import leave_out_what_stays  # noqa: PLC0415
    from ops.observing import process_registry, process_tracing, serve_metrics  # noqa: PLC0415
    from qbwc_bridge.dispatcher import Dispatcher  # noqa: PLC0415
    from qbwc_bridge.epoch import EpochWatch  # noqa: PLC0415
    from qbwc_bridge.observing import CallObserver, Observation  # noqa: PLC0415
    from qbwc_bridge.periodic import Periodic  # noqa: PLC0415
    from qbwc_bridge.relay import Relay  # noqa: PLC0415
    from qbwc_bridge.session import Limits  # noqa: PLC0415
    from qbwc_bridge.wsgi import build_wsgi  # noqa: PLC0415
    from telemetry.instruments import BridgeMetrics, RelayMetrics  # noqa: PLC0415

    database = open_database(settings, passing=around.passing, plans_once=True)
    limits = Limits(
        batch_size=settings.batch_size,
        batch_bytes=settings.batch_bytes,
        session_budget_s=settings.session_budget_s,
        list_page=settings.list_page,
        list_interval=timedelta(minutes=settings.list_sync_minutes),
    )
    registry = process_registry(settings, database, clock=around.clock)
    tracing = process_tracing("qbd-bridge")
    metrics = BridgeMetrics(registry)
    observe = Observation(metrics, tracing)
    gathered = Sightings()
    dispatcher = (dispatcher_type or Dispatcher)(
        database,
        limits=limits,
        clock=around.clock,
        new_id=new_id,
        observe=observe,
        gathered=gathered,
        remap=Remapping(around.clock),
    )
    noting = Periodic("notes", lambda: gathered.write(database), seconds=NOTES_EVERY_S)
    epoch = EpochWatch(database, clock=around.clock, new_id=new_id)
    relay = Relay(
        database,
        client_factory(settings, tracing=tracing),
        clock=around.clock,
        holder=holder_name(),
        abandon_after=timedelta(seconds=limits.abandon_s),
        metrics=RelayMetrics(registry),
        tracing=tracing,
        observe=observe,
        epoch=epoch,
    )
    relay.start()
    if database.is_sqlite:
        # A file that was put back may look as it did. Temporal knows, if it is there; nothing waits for it if not.
        relay.wait_for_first_turn(FIRST_TURN_S)
    noting.start()
    # One process serves, so its registry is the whole truth; two bridges are two targets for Prometheus.
    serve_metrics(settings, "bridge_metrics_port", registry)

    def close() -> None:
        for stop in (relay.stop, noting.stop, tracing.stop, database.close):
            stop()

    application = build_wsgi(
        dispatcher,
        public_url=settings.app_origin,
        support_page=lambda _company: SUPPORT_TEXT,
        is_ready=database.answers,
        observer=CallObserver(metrics, tracing),
        trusted_proxies=settings.proxy_networks,
    )
    leave_out_what_stays()
    return Bridge(application=application, close=close)


def api_app(
    settings: Settings,
    database: Database,
    *,
    clock: Callable[[], datetime] = now,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Build the HTTP API, and the console on it when there is a key to sign with."""
    from console.app import install  # noqa: PLC0415
    from console.services import LinkMaker  # noqa: PLC0415
    from console.signing import Signer  # noqa: PLC0415
    from ops.observing import process_registry  # noqa: PLC0415
    from tms_api.app import ApiServices, build_app  # noqa: PLC0415
    from tms_api.temporal import TemporalExporter  # noqa: PLC0415

    signer = Signer(settings.secret_key.get_secret_value()) if settings.secret_key is not None else None
    app = build_app(
        ApiServices(
            database=database,
            exporter=TemporalExporter(client_factory(settings, tracing=tracing)),
            qwc_file=qwc_writer(settings),
            clock=clock,
            public_soap_url=soap_url(settings),
            temporal_ui_url=workflow_links(settings, temporal_namespace()),
            registry=process_registry(settings, database, clock=clock),
            tracing=tracing or Tracing(),
            password_grace_minutes=settings.password_grace_minutes,
            rate_limit_per_minute=settings.rate_limit_per_minute,
            webhook_allow_private=settings.webhook_allow_private,
            secret_box=SecretBox(settings.payload_key_ring),
            is_public_https=settings.app_origin.startswith("https:"),
            console_link=LinkMaker(signer, settings.console_origin) if signer is not None else None,
        )
    )
    if signer is None:
        structlog.get_logger("console").warning("console_off", reason="QBD_SECRET_KEY is not set")
    else:
        install(app, signer=signer, origin=settings.console_origin)
    return app


def soap_url(settings: Settings) -> str:
    """Give the address that Web Connectors call."""
    from qbwc_bridge.wsgi import ENDPOINT  # noqa: PLC0415

    return settings.app_origin + ENDPOINT


def qwc_writer(settings: Settings) -> Callable[[Company], str]:
    """Give what writes the .qwc file of a company."""
    from qbwc_bridge.qwc import QwcInput, build_qwc  # noqa: PLC0415
    from qbwc_bridge.wsgi import SUPPORT  # noqa: PLC0415

    def write(company: Company) -> str:
        return build_qwc(
            QwcInput(
                # The id, because two companies on one PC need two names, and a name can change.
                app_name=f"TMS Export {company.id}",
                app_url=soap_url(settings),
                app_support=settings.app_origin + SUPPORT + company.id,
                user_name=company.username,
                owner_id=company.owner_id,
                file_id=company.file_id,
                description=f"Exports invoices and carrier bills of {company.name}",
                run_every_minutes=company.run_every_minutes,
            )
        )

    return write


def workflow_links(settings: Settings, namespace: str) -> Callable[[str, str | None], str]:
    """Give what names the page of a workflow, and of one run when it is known."""
    start = f"{settings.temporal_ui}/namespaces/{quote(namespace, safe='')}/workflows"

    def link(workflow_id: str, run_id: str | None) -> str:
        # The id holds slashes, which the UI wants escaped.
        address = f"{start}/{quote(workflow_id, safe='')}"
        return f"{address}/{quote(run_id, safe='')}/history" if run_id else address

    return link


def origin_of(address: str) -> str:
    """Give scheme, host and port of a web address, as browsers name where a page comes from."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


def temporal_namespace(environ: Mapping[str, str] | None = None) -> str:
    """Give the namespace that TEMPORAL_* choose."""
    config = ClientConfig.load_client_connect_config(override_env_vars=_environ(environ))
    return config.get("namespace") or NAMESPACE_DEFAULT


def holder_name() -> str:
    """Name this process among all that share the database."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{randomness.token_hex(4)}"


def _environ(environ: Mapping[str, str] | None) -> dict[str, str]:
    return dict(os.environ if environ is None else environ)
