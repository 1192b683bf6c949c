"""Three exports through API, relay, Temporal, worker and Web Connector, and everything that they leave to be seen.

The collector, the Temporal server, the wire and the database are real; only the processes are one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
import structlog
import yaml
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Interceptor, Replayer

from ops import export_list, observing, wiring
from ops.fresh import now
from ops.logs import configure_logging
from ops.ports import free_ports
from ops.settings import Settings, load_settings
from ops.temporal_tracing import temporal_interceptors
from ops.worker_process import build_worker
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.observing import CallObserver, Observation
from qbwc_bridge.relay import Relay
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import exports, outbox, secrets
from store.engine import Database
from store.tables import ApiKey, Company
from telemetry.collectors import ScrapedCollector
from telemetry.instruments import BridgeMetrics, RelayMetrics, WorkerMetrics
from telemetry.tracing import tracing_from
from tests.support import stores
from tests.support.otlp import Collector, collecting
from tests.support.world import BASE, a_qwc
from tms_api.app import ApiServices, build_app
from tms_api.temporal import TemporalExporter
from workflows import contracts
from workflows.contracts import ExportInput, export_workflow_id
from workflows.export import QuickBooksExport
from workflows.search_attributes import COMPANY_ID, DOCUMENT_KIND

DOCS = Path(__file__).parents[2] / "docs"
KEY = "qbd_observed-key-0123456789"
TICKET = "marked-ticket-0123456789-0123456789"
NAME_AT_TMS = "Marked Foods, Inc."
NAME_IN_BOOKS = "Marked Nowhere LLC"
AMOUNT = "1743.29"
MEMO = "Marked memo to Reno"
SECRETS = (KEY, TICKET, stores.PASSWORD)
MARKS = (*SECRETS, NAME_AT_TMS, NAME_IN_BOOKS, "Cafe Rio Foods", AMOUNT, MEMO)
EVENTS_MAX = 20


def a_document(number: int, customer: str) -> dict[str, Any]:
    return {
        "kind": "invoice",
        "id": f"seen_{number}",
        "number": f"SEEN-{number}",
        "customer": {"id": customer, "name": NAME_AT_TMS},
        "date": "2026-11-20",
        "memo": MEMO,
        "lines": [{"id": "1", "charge": "LINEHAUL", "description": MEMO, "amount": AMOUNT}],
        "total": AMOUNT,
    }


class Seen:
    """What the three exports left."""

    def __init__(self) -> None:
        self.collector: Collector
        self.settings: Settings
        self.client: Client
        self.metrics = ""
        self.logs = ""
        self.histories: dict[str, str] = {}
        self.events: dict[str, int] = {}
        self.runs: dict[str, str] = {}
        self.traces: dict[str, str] = {}


@pytest_asyncio.fixture(scope="module")
async def seen(temporal: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """Play it once: one is written, one is refused by QuickBooks, one was started by a plain Temporal client."""
    folder = tmp_path_factory.mktemp("seen")
    found = Seen()
    database = Database(f"sqlite:///{folder / 'qbd.sqlite3'}")
    stores.hurry(database)
    database.migrate()
    found.settings = load_settings({"QBD_DATA_DIR": str(folder), "QBD_METRICS_COMPANIES": "5"})
    with collecting() as found.collector:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.collector.address)
            await _play(temporal, database, found)
        yield found
    database.close()


async def _play(temporal: WorkflowEnvironment, database: Database, found: Seen) -> None:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard):
        configure_logging("info")
    structlog.configure(cache_logger_on_first_use=False)
    try:
        await _scenario(temporal, database, found)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)
    found.logs = heard.getvalue()


async def _scenario(temporal: WorkflowEnvironment, database: Database, found: Seen) -> None:
    company = f"seen-{os.urandom(4).hex()}"
    stores.add_company(database, company)
    with database.transaction() as session:
        row = session.get(Company, company)
        assert row is not None
        mapping = json.loads(json.dumps(row.mapping))
        mapping["customers"]["cus_bad"] = {"full_name": NAME_IN_BOOKS}
        row.mapping = mapping
        session.add(ApiKey(id="seen", name="seen", key_hash=secrets.fingerprint(KEY), created_at=now()))
    tracing = tracing_from(os.environ, "qbd-test")
    registry = observing.process_registry(found.settings, database, clock=now)
    [sdk_port, metrics_port] = free_ports(2)
    registry.register(ScrapedCollector(f"http://127.0.0.1:{sdk_port}/metrics"))
    client = await Client.connect(
        temporal.client.service_client.config.target_host,
        namespace=temporal.client.namespace,
        data_converter=pydantic_data_converter,
        runtime=wiring.metrics_runtime(sdk_port),
        interceptors=temporal_interceptors(tracing),
    )
    found.client = temporal.client

    async def connect() -> Client:
        return client

    bridge, queue = BridgeMetrics(registry), f"seen-{company}"
    observe = Observation(bridge, tracing)
    dispatcher = Dispatcher(
        database, limits=Limits(), clock=now, new_id=stores.counter("SEEN"), new_ticket=lambda: TICKET, observe=observe
    )
    relay = Relay(
        database, connect, clock=now, holder="seen", task_queue=queue, metrics=RelayMetrics(registry), tracing=tracing,
        observe=observe,
    )  # fmt: skip
    services = ApiServices(
        database=database,
        exporter=TemporalExporter(connect),
        qwc_file=lambda _company: "",
        clock=now,
        public_soap_url=BASE,
        temporal_ui_url=lambda workflow_id, _run: workflow_id,
        registry=registry,
        tracing=tracing,
    )
    wsgi = build_wsgi(
        dispatcher, public_url=BASE, support_page=lambda _company: None, observer=CallObserver(bridge, tracing)
    )
    metrics = WorkerMetrics(registry)
    books = freight_company(clock=now)
    async with (
        build_worker(client, database, task_queue=queue, metrics=metrics, tracing=tracing),
        httpx.AsyncClient(transport=httpx.ASGITransport(build_app(services)), base_url="http://api") as api,
    ):
        api.headers["Authorization"] = f"Bearer {KEY}"
        for number, customer in ((1, "cus_88"), (2, "cus_bad")):
            answer = await api.post(f"/v1/companies/{company}/exports", json={"document": a_document(number, customer)})
            assert answer.status_code == 202, answer.text
        refused = await api.post(
            f"/v1/companies/{company}/exports", json={"document": {"kind": "invoice", "memo": MEMO}}
        )
        assert refused.status_code == 422
        third = a_document(3, "cus_88")
        plain = await temporal.client.start_workflow(
            contracts.WORKFLOW_TYPE,
            ExportInput(company_id=company, document=third),
            id=export_workflow_id(company, "invoice", "seen_3"),
            task_queue=queue,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(COMPANY_ID, company), SearchAttributePair(DOCUMENT_KIND, "invoice")]
            ),
        )
        await relay.deliver_once(client)

        def waiting() -> bool:
            with database.transaction() as session:
                return len(exports.list_by_age(session, _of(company, "Queued"), after_id=0, limit=9)) == 3

        await _until(waiting)
        with httpx.Client(transport=httpx.WSGITransport(app=wsgi)) as http:
            qwc = a_qwc(company)
            connector = WebConnector(read_qwc(qwc), stores.PASSWORD, books, http=http)
            report = await asyncio.to_thread(connector.run_once)
        assert report.outcome == "ok", report
        await relay.deliver_once(client)
        with database.transaction() as session:
            assert outbox.count_undelivered(session) == 0
        for number in (1, 2, 3):
            handle = client.get_workflow_handle(export_workflow_id(company, "invoice", f"seen_{number}"))
            try:
                await handle.result()
            except WorkflowFailureError:
                assert number == 2
            history = await temporal.client.get_workflow_handle(handle.id).fetch_history()
            found.histories[handle.id] = history.to_json()
            found.events[handle.id] = len(history.events)
            found.runs[handle.id] = history.run_id
        assert plain.first_execution_run_id == found.runs[plain.id]
        server = observing.serve_metrics(
            load_settings({"QBD_METRICS_PORT": str(metrics_port)}), "metrics_port", registry
        )
        assert server is not None
        async with httpx.AsyncClient(trust_env=False) as scraper:
            found.metrics = (await scraper.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        server.stop()
        with database.transaction() as session:
            for row in exports.list_by_age(session, _of(company, None), after_id=0, limit=9):
                assert row.traceparent is not None
                workflow_id = export_workflow_id(company, row.kind, row.document_id)
                found.traces[workflow_id] = row.traceparent.split("-")[1]
    tracing.stop()


def _of(company: str, state: str | None) -> exports.ExportFilter:
    return exports.ExportFilter(company_id=company, states=[state] if state else None)


async def _until(probe: Any, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(probe):
            await asyncio.sleep(0.05)


def by_number(values: dict[str, str], number: int) -> tuple[str, str]:
    return next((key, value) for key, value in values.items() if key.endswith(f"seen_{number}"))


async def test_one_trace_holds_an_export_from_the_call_to_the_result(seen: Seen) -> None:
    """From the API's request over Temporal and QuickBooks to the workflow's end; nothing hangs in the air."""
    for number in (1, 2):
        workflow_id, trace_id = by_number(seen.traces, number)
        spans = seen.collector.trace(trace_id)
        names = {span.name for span in spans}
        assert names >= {
            "POST /v1/companies/{company}/exports",
            "Accept export",
            "StartWorkflow:QuickBooksExport",
            "RunWorkflow:QuickBooksExport",
            "RunActivity:prepare_export",
            "Fetched by the Web Connector",
            "SignalWorkflow:request_sent",
            "HandleSignal:request_sent",
            "In QuickBooks",
            "SignalWorkflow:outcome_recorded",
            "HandleSignal:outcome_recorded",
            "RunActivity:record_state",
            "CompleteWorkflow:QuickBooksExport",
        }, names
        ids = {span.span_id for span in spans}
        assert [span.name for span in spans if span.parent_span_id not in ids] == [
            "POST /v1/companies/{company}/exports"
        ]
        named = {
            one.value.string_value
            for span in spans
            for one in span.attributes
            if one.key in ("qbd.export", "temporalWorkflowID")
        }
        assert named == {workflow_id}


async def test_a_soap_call_is_linked_with_each_export_that_it_carried(seen: Seen) -> None:
    """One message set held all three; each has its own trace, and the call leads to them all."""
    carrying = [
        {link.trace_id.hex() for link in span.links}
        for span in seen.collector.spans
        if span.name == "SOAP sendRequestXML"
    ]
    assert set(seen.traces.values()) in carrying
    assert len(set(seen.traces.values())) == 3


async def test_an_export_that_a_plain_client_started_has_one_trace_too(seen: Seen) -> None:
    """It is named by the run's id."""
    workflow_id, trace_id = by_number(seen.traces, 3)
    assert trace_id == UUID(seen.runs[workflow_id]).hex
    names = [span.name for span in seen.collector.trace(trace_id)]
    assert {"RunActivity:prepare_export", "Fetched by the Web Connector", "In QuickBooks"} <= set(names)
    assert names.count("RunActivity:record_state") == 2


async def test_tracing_costs_the_history_no_event(seen: Seen) -> None:
    """The budget of an export holds with its context in the headers."""
    assert max(seen.events.values()) <= EVENTS_MAX


async def test_a_history_with_a_context_replays_with_and_without_tracing(seen: Seen) -> None:
    """Tracing may be turned on and off while exports are under way."""
    on = tracing_from({}, "qbd-test", exporter=InMemorySpanExporter())
    assert any("_tracer-data" in history for history in seen.histories.values())
    for interceptors in ([], temporal_interceptors(on)):
        replayer = Replayer(
            workflows=[QuickBooksExport],
            data_converter=pydantic_data_converter,
            interceptors=[one for one in interceptors if isinstance(one, Interceptor)],
        )
        for workflow_id, history in seen.histories.items():
            await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, history))
    on.stop()


async def test_nothing_that_can_be_seen_holds_names_amounts_or_secrets(seen: Seen) -> None:
    """Logs, metrics and spans: no name, amount, memo, password, ticket or key; Temporal's histories: no secret."""
    spans = b"".join(seen.collector.raw).decode("utf-8", "replace")
    assert "qbd.export" in spans
    assert "request is decided" in seen.logs
    assert "qbd_exports_total" in seen.metrics
    for place, text in (("logs", seen.logs), ("metrics", seen.metrics), ("spans", spans)):
        for mark in MARKS:
            assert mark not in text, f"{mark!r} is in the {place}"
    for history in seen.histories.values():
        assert not [mark for mark in SECRETS if mark in history]


async def test_log_lines_lead_from_one_thing_to_the_next(seen: Seen) -> None:
    """Each is JSON; company, session, set, export and trace stand on the lines where they belong."""
    lines = [json.loads(line) for line in seen.logs.splitlines()]
    workflow_id, trace_id = by_number(seen.traces, 2)
    company = workflow_id.split("/")[1]
    hashed = secrets.fingerprint(TICKET)[:12]

    def one(event: str, **fields: str) -> dict[str, Any]:
        [found] = [line for line in lines if line["event"] == event and fields.items() <= line.items()]
        return dict(found)

    assert one("session begins")["session"] == hashed
    leaves = one("document leaves", kind="write")
    assert (leaves["company"], leaves["session"]) == (company, hashed)
    assert set(leaves["exports"]) == set(seen.traces)
    answer = one("answer arrives", kind="write")
    assert (answer["set"], answer["session"]) == (leaves["set"], hashed)
    decided = one("request is decided", export=workflow_id)
    assert decided["outcome"] == "failed"
    moved = one("export moves", document="seen_2", state="Failed")
    assert (moved["company"], moved["code"], moved["trace_id"]) == (company, decided["code"], trace_id)
    assert one("export accepted", export=workflow_id)["trace_id"] == trace_id
    assert one("session ends")["outcome"] == "finished"


async def test_one_question_finds_the_same_exports_here_and_in_temporal(seen: Seen) -> None:
    """All failed exports of a company that are the owner's turn, since Monday."""
    workflow_id, _ = by_number(seen.traces, 2)
    company = workflow_id.split("/")[1]
    [failed] = export_list.find_exports(
        seen.settings, export_list.wanted_from(company=company, state="failed", owner=None, code=None, since=None,
        now=now()), limit=10,
    )  # fmt: skip
    assert failed["workflow_id"] == workflow_id
    asked = [
        {"state": "failed", "owner": failed["owner"], "code": None, "since": "monday"},
        {"state": "failed", "owner": None, "code": failed["code"], "since": "1h"},
        {"state": "failed", "owner": "us" if failed["owner"] != "us" else "it", "code": None, "since": "monday"},
        {"state": "successful", "owner": None, "code": None, "since": "today"},
        {"state": "pending", "owner": None, "code": None, "since": None},
    ]
    expected = [1, 1, 0, 2, 0]
    for question, count in zip(asked, expected, strict=True):
        wanted = export_list.wanted_from(company=company, now=now(), **question)
        here = {row["workflow_id"] for row in export_list.find_exports(seen.settings, wanted, limit=10)}
        assert len(here) == count
        query = export_list.visibility_query(wanted)

        async def there(query: str = query) -> set[str]:
            return {found.id async for found in seen.client.list_workflows(query)}

        deadline = asyncio.get_running_loop().time() + 30
        while (found := await there()) != here and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.1)  # Temporal's lists come a moment later
        assert found == here, query


async def test_every_metric_of_dashboard_and_alerts_exists(seen: Seen) -> None:
    """The names in their expressions are names that a scrape gave."""
    given = set(re.findall(r"^# TYPE (\S+) ", seen.metrics, re.MULTILINE))
    given |= set(re.findall(r"^([a-z_:]+)(?:\{| )", seen.metrics, re.MULTILINE))
    histograms = set(re.findall(r"^# TYPE (\S+) histogram", seen.metrics, re.MULTILINE))
    given |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = yaml.safe_load((DOCS / "alerts.yml").read_text())
    expressions += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    used = {name for text in expressions for name in re.findall(r"\b(?:qbd|temporal|process)_[a-z_]+", text)}
    assert len(used) >= 20
    assert not used - given


def test_companies_are_named_only_when_asked(database: Database) -> None:
    """By default the number of series does not grow with the companies."""
    from ops.gauges import installation_gauges

    at = datetime.now(UTC)
    plain = installation_gauges(database, at)
    assert "company" not in {label for metric in plain for sample in metric.samples for label in sample.labels}
    named = installation_gauges(database, at, companies_named=3)
    assert {"qbd_company_queue_waiting"} <= {metric.name for metric in named}


def test_an_unused_registry_has_no_series_of_ours() -> None:
    """Registries are not shared: what one process counts is not in another's."""
    first, second = CollectorRegistry(), CollectorRegistry()
    BridgeMetrics(first).requests_sent.inc()
    BridgeMetrics(second)
    assert second.get_sample_value("qbd_requests_sent_total") == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's package prometheus) is not installed")
def test_prometheus_itself_accepts_the_rules() -> None:
    """As it would read them."""
    done = subprocess.run(
        ["promtool", "check", "rules", str(DOCS / "alerts.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
