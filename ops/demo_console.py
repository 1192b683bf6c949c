"""`qbd demo --console`: the demo's stack stays, with sample documents and a simulated PC that calls every ten seconds.

Everything is in a temporary folder and on ports of its own; Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import httpx

from ops.database import migrate
from ops.demo import (
    CALL_TIMEOUT_S,
    COMPANY,
    COMPANY_NAME,
    Demo,
    answered,
    demo_settings,
    read_json,
    sample_names,
    web_connector,
)
from ops.demo_report import DemoReport
from ops.exits import settle
from ops.keys import create_key
from ops.ports import NO_TLS
from ops.secret_key import with_secret_key
from ops.settings import Settings
from ops.stack import data_folder, stack_parts, until_signal
from ops.supervisor import Supervisor
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector

CALLS_EVERY_S = 10.0
LEFT_TO_EXPORT = 6
"""So many samples are only handed over: exporting them is the visitor's."""
Tell = Callable[[str], None]


def run_console_demo(environ: Mapping[str, str], *, keep: bool, tell: Tell) -> int:
    """Run until Ctrl-C; give the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="qbd-demo-"))
    try:
        settings, own_environ = demo_settings(environ, folder)
        asyncio.run(_run(with_secret_key(settings, folder), own_environ, tell))
    finally:
        if keep:
            tell(f"Databases and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _run(settings: Settings, environ: Mapping[str, str], tell: Tell) -> None:
    report = DemoReport()
    with data_folder(settings) as folder:
        supervisor = Supervisor(stack_parts(settings, environ), folder / "logs", tell)

        async def work() -> None:
            report.progress("Starting Temporal, worker, bridge and API")
            migrate(settings)
            await supervisor.start()
            await _show(settings, supervisor, report, tell)

        try:
            await until_signal(work())
        finally:
            report.progress("Stopping")
            await supervisor.stop()
            report.done()
    await settle()


async def _show(settings: Settings, supervisor: Supervisor, report: DemoReport, tell: Tell) -> None:
    key = (await asyncio.to_thread(create_key, settings, "demo")).key
    headers = {"Authorization": f"Bearer {key}"}
    address = f"http://127.0.0.1:{settings.api_port}"
    demo = Demo(settings, report)
    async with httpx.AsyncClient(
        base_url=address, headers=headers, trust_env=False, verify=NO_TLS, timeout=CALL_TIMEOUT_S
    ) as api:
        password, qwc = await demo.connect(api)
        with web_connector(qwc, password, freight_company(COMPANY_NAME)) as connector:
            await demo.bring_lists(api, connector)
            await demo.map(api)
            await _hand_over(api, report)
            report.done()
            tell(f"The simulated QuickBooks PC calls every {CALLS_EVERY_S:.0f} seconds. For staff, the key: {key}")
            async with asyncio.TaskGroup() as group:
                group.create_task(supervisor.watch())
                group.create_task(_keep_calling(connector))
                group.create_task(_give_links(api, tell))


async def _hand_over(api: httpx.AsyncClient, report: DemoReport) -> None:
    names = sample_names()
    for number, name in enumerate(names):
        document = read_json(name)
        address = f"/v1/companies/{COMPANY}/documents/{document['kind']}/{document['id']}"
        handed = await api.put(address, json=document)
        if handed.is_success and number % (len(names) // LEFT_TO_EXPORT):
            await api.post(f"{address}/export", json={})  # those that are wrong on purpose are refused, and stay
        report.progress(f"Handing over: {number + 1} of {len(names)} documents")


async def _keep_calling(connector: WebConnector) -> None:
    while True:
        await asyncio.to_thread(connector.run_once)
        await asyncio.sleep(CALLS_EVERY_S)


async def _give_links(api: httpx.AsyncClient, tell: Tell) -> None:
    with _lines(sys.stdin) as pressed:
        while True:
            made = (await answered(api.post(f"/v1/companies/{COMPANY}/console-link"), 201)).json()
            tell(f"\nThe console, signed in as the bookkeeper (works once, for ten minutes):\n  {made['url']}")
            tell("Enter gives a fresh link; Ctrl-C ends the demo.")
            await pressed.get()


@contextmanager
def _lines(source: TextIO) -> Iterator[asyncio.Queue[str]]:
    """Give what is typed, line by line; nothing more after the end of the input."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        line = source.readline()
        if line:
            lines.put_nowait(line)
        else:
            loop.remove_reader(source)

    try:
        loop.add_reader(source, read)
    except (OSError, ValueError):
        # A closed input, or one that cannot be waited for, such as a file: then there is only the first link.
        yield lines
        return
    try:
        yield lines
    finally:
        loop.remove_reader(source)
