"""Exports from start to Successful through every process, against a bare workflow on the same server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks import filling
from benchmarks.report import Figure
from benchmarks.surroundings import ROOT, Place, Process, bridge_settings, start_bridge
from ops.embedded import server_command, server_ready
from ops.ports import free_ports
from store.engine import Database
from workflows import contracts
from workflows.search_attributes import COMPANY_ID, DOCUMENT_KIND

EVENTS_MAX = 20
SHARE_MIN = 0.8
AT_ONCE = 50
PATIENCE_S = 150.0
SIGNALS_EACH = 2


@dataclass
class Running:
    """The processes of one measurement."""

    client: Client
    temporal: Process
    worker: Process
    bare: Process
    bridge: Process
    soap_port: int


async def _started(place: Place, database: Database) -> Running:
    port, _ = free_ports(2)
    address = f"127.0.0.1:{port}"
    file = place.folder / f"temporal-{port}.sqlite"
    temporal = place.start_command(server_command(port=port, database_file=file, ui_port=None), {}, f"temporal-{port}")
    await asyncio.to_thread(temporal.wait_until_listening, port)
    deadline = time.monotonic() + PATIENCE_S
    while not await server_ready(address):
        if time.monotonic() > deadline:
            raise RuntimeError("the Temporal server did not come up")
        await asyncio.sleep(0.1)
    settings = bridge_settings(database, place, temporal_port=port)
    worker = place.start(["-m", "ops", "worker"], settings, f"worker-{port}")
    bridge = await asyncio.to_thread(start_bridge, place, settings)
    await asyncio.to_thread(worker.wait_until_listening, int(settings["QBD_METRICS_PORT"]))
    bare = place.start(["-m", "benchmarks.bare_workflow", str(port)], {}, f"bare-{port}")
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    return Running(client, temporal, worker, bare, bridge, int(settings["QBD_SOAP_PORT"]))


async def _export(running: Running, name: str, company: str) -> WorkflowHandle[object, object]:
    document = filling.an_invoice(name)
    attributes = [SearchAttributePair(COMPANY_ID, company), SearchAttributePair(DOCUMENT_KIND, "invoice")]
    return await running.client.start_workflow(
        contracts.WORKFLOW_TYPE,
        contracts.ExportInput(company_id=company, document=document),
        id=contracts.export_workflow_id(company, "invoice", name),
        task_queue=contracts.TASK_QUEUE,
        search_attributes=TypedSearchAttributes(attributes),
    )


async def _bare(running: Running, name: str) -> WorkflowHandle[object, object]:
    return await running.client.start_workflow("BareExport", name, id=f"bare/{name}", task_queue="bare")


async def _exports(running: Running, count: int, prefix: str) -> tuple[float, list[WorkflowHandle[object, object]]]:
    """Start exports and let a cheap Web Connector run until all are Successful; gives the seconds."""
    command = [sys.executable, "-m", "benchmarks.wire_client", "drain", str(running.soap_port), "1"]
    connector = subprocess.Popen(  # noqa: S603  our own interpreter
        [*command, str(PATIENCE_S), str(count)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if connector.stdout is not None:
            await asyncio.to_thread(connector.stdout.readline)  # it is ready, or has died
        began = time.monotonic()
        limit = asyncio.Semaphore(AT_ONCE)

        async def start(number: int) -> WorkflowHandle[object, object]:
            async with limit:
                return await _export(running, f"{prefix}{number}", filling.company_id(0))

        handles = await asyncio.gather(*(start(number) for number in range(count)))
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(handle.result() for handle in handles))
        seconds = time.monotonic() - began
        out, err = await asyncio.to_thread(connector.communicate, timeout=60)
    finally:
        connector.kill()
        connector.wait()
    if connector.returncode or json.loads(out)["done"] != count:
        raise RuntimeError(f"the Web Connector failed: {out} {err[-2000:]}")
    return seconds, list(handles)


async def _bares(running: Running, count: int, prefix: str) -> tuple[float, list[WorkflowHandle[object, object]]]:
    """Run bare workflows, with the same signals in the same two waves; gives the seconds.

    No signal comes before the step that an export cannot be sent or answered without: otherwise it would come along
    with the start, and save a workflow task that no export can save.
    """
    began = time.monotonic()
    limit = asyncio.Semaphore(AT_ONCE)

    async def start(number: int) -> WorkflowHandle[object, object]:
        async with limit:
            return await _bare(running, f"{prefix} {number}")

    async def tell(handle: WorkflowHandle[object, object], what: str) -> None:
        async with limit:
            await handle.signal("tell", what)

    handles = await asyncio.gather(*(start(number) for number in range(count)))
    for steps, what in enumerate(("sent", "outcome"), 1):
        await _until_told(running.bare, f"{prefix} {steps}", count)
        await asyncio.gather(*(tell(handle, what) for handle in handles))
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(handle.result() for handle in handles))
    return time.monotonic() - began, handles


async def _until_told(bare: Process, what: str, count: int) -> None:
    """Wait until the bare worker has told of so many steps, a line each."""
    line = f"{what}\n".encode()
    async with asyncio.timeout(PATIENCE_S):
        while (await asyncio.to_thread(bare.log.read_bytes)).count(line) < count:
            await asyncio.sleep(0.02)


async def _measure(place: Place, exports: int) -> list[Figure]:
    database = place.new_database()
    filling.add_companies(database, 1)
    running = await _started(place, database)
    parts = {"temporal": running.temporal, "worker": running.worker, "bridge": running.bridge}
    bare_parts = {"bare temporal": running.temporal, "bare worker": running.bare}
    await _exports(running, max(exports // 10, 5), "warm")
    await _bares(running, max(exports // 10, 5), "warm")
    ours, bares = [], []
    used: dict[str, float] = {}
    bare_used: dict[str, float] = {}
    handles: list[WorkflowHandle[object, object]] = []
    bare_handles: list[WorkflowHandle[object, object]] = []
    for turn in range(2):  # in turns, so that whatever else the machine does meets both
        before = {name: process.cpu_s() for name, process in parts.items()}
        seconds, handles = await _exports(running, exports, f"e{turn}-")
        used = {name: process.cpu_s() - before[name] for name, process in parts.items()}
        ours.append(seconds)
        before = {name: process.cpu_s() for name, process in bare_parts.items()}
        seconds, bare_handles = await _bares(running, exports, f"b{turn}-")
        bares.append(seconds)
        bare_used = {name: process.cpu_s() - before[name] for name, process in bare_parts.items()}
    histories = [await handle.fetch_history() for handle in handles[:: max(1, exports // 20)]]
    bare_histories = [await handle.fetch_history() for handle in bare_handles[:: max(1, exports // 20)]]
    events = [len(history.events) for history in histories]
    return [
        Figure(
            what="history events per successful export",
            database=place.kind,
            value=max(events),
            at_most=EVENTS_MAX,
            raw={"looked_at": len(events), "fewest": min(events)},
        ),
        Figure(
            what="exports from start to Successful, against a bare workflow",
            database=place.kind,
            value=min(bares) / min(ours),
            at_least=SHARE_MIN,
            raw={
                "exports": exports,
                "exports_a_second": round(exports / min(ours), 1),
                "bare_workflows_a_second": round(exports / min(bares), 1),
                **{
                    f"{name}_ms_of_processor_each": round(1000 * s / exports, 2)
                    for name, s in (used | bare_used).items()
                },
                "signals_each": SIGNALS_EACH,
                "workflow_tasks_each": _tasks_each(histories),
                "bare_workflow_tasks_each": _tasks_each(bare_histories),
            },
        ),
    ]


def _tasks_each(histories: Sequence[WorkflowHistory]) -> float:
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return round(sum(event.event_type == done for one in histories for event in one.events) / len(histories), 2)


def measure(place: Place, *, exports: int) -> list[Figure]:
    """Measure with this many exports, twice."""
    return asyncio.run(_measure(place, exports))
