"""`qbd demo`: the whole system once, with a simulated QuickBooks: sample documents in, a table of results out.

It talks to the system as its users do: over HTTP, with the .qwc file, through SOAP. Exit code 0 only if every document
came to what `samples/expected.json` says and the simulated company file holds each transaction exactly once.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from ops.database import migrate
from ops.demo_report import DemoReport, Outcome, Sessions
from ops.exits import settle
from ops.keys import create_key
from ops.ports import NO_TLS, free_ports
from ops.problems import DemoError
from ops.settings import Settings, load_settings
from ops.stack import PROJECT, data_folder, stack_parts, until_signal
from ops.supervisor import Supervisor
from simulator.company import CompanyFile
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector

SAMPLES = PROJECT / "samples"
FOLDERS = ("invoices", "carrier_bills")
COMPANY = "ridgeline"
COMPANY_NAME = "Ridgeline Freight LLC"
POSTS_AT_ONCE = 4
SURE = 90
"""Suggestions with this score are accepted without a look."""
PATIENCE_S = 90.0
POLL_S = 0.1
CALL_TIMEOUT_S = 30.0
EXIT_STOPPED = 130


def run_demo(environ: Mapping[str, str], *, keep: bool) -> int:
    """Run the demo; give its exit code."""
    folder = Path(tempfile.mkdtemp(prefix="qbd-demo-"))
    report = DemoReport()
    try:
        settings, own_environ = demo_settings(environ, folder)
        return asyncio.run(_run(settings, own_environ, report))
    finally:
        if keep:
            report.say(f"Databases and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def demo_settings(environ: Mapping[str, str], folder: Path) -> tuple[Settings, dict[str, str]]:
    """Give settings for a stack of its own: nothing of the user's set-up is touched or needed."""
    own = {name: value for name, value in environ.items() if not name.startswith(("QBD_", "TEMPORAL_"))}
    names = ("SOAP", "API", "METRICS", "BRIDGE_METRICS", "TEMPORAL", "TEMPORAL_UI")
    ports = {f"QBD_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    return load_settings({"QBD_DATA_DIR": str(folder), **ports}), own


async def _run(settings: Settings, environ: Mapping[str, str], report: DemoReport) -> int:
    verdict: list[bool] = []

    async def work(supervisor: Supervisor) -> None:
        report.progress("Starting Temporal, worker, bridge and API")
        migrate(settings)
        await supervisor.start()
        verdict.append(await Demo(settings, report).run())

    with data_folder(settings) as folder:
        supervisor = Supervisor(stack_parts(settings, environ, with_ui=False), folder / "logs", report.say)
        try:
            ended = await until_signal(work(supervisor))
        finally:
            report.progress("Stopping")
            await supervisor.stop()
            report.done()
    await settle()
    if not ended:
        return EXIT_STOPPED
    return 0 if verdict == [True] else 1


class Demo:
    """The demo's steps against a running stack."""

    def __init__(self, settings: Settings, report: DemoReport) -> None:
        self._settings = settings
        self._report = report
        self._outcomes: dict[str, Outcome] = {}
        self._sessions = Sessions()

    async def run(self) -> bool:
        """Do all of it and show the table; say whether everything came out as expected."""
        key = (await asyncio.to_thread(create_key, self._settings, "demo")).key
        headers = {"Authorization": f"Bearer {key}"}
        address = f"http://127.0.0.1:{self._settings.api_port}"
        async with httpx.AsyncClient(
            base_url=address, headers=headers, trust_env=False, verify=NO_TLS, timeout=CALL_TIMEOUT_S
        ) as api:
            company = freight_company(COMPANY_NAME)
            password, qwc = await self.connect(api)
            with web_connector(qwc, password, company) as connector:
                await self.bring_lists(api, connector)
                await self.map(api)
                await self._export(api)
                await self._poll(api, connector)
        return self._report.finish(
            list(self._outcomes.values()), self._sessions, company.ledger, read_json("expected.json")
        )

    async def connect(self, api: httpx.AsyncClient) -> tuple[str, str]:
        """Connect the company; give its password and its .qwc file."""
        self._report.progress("Connecting a company and adding its .qwc file to the Web Connector")
        made = await answered(
            api.post(
                "/v1/companies",
                json={
                    "id": COMPANY,
                    "name": COMPANY_NAME,
                    "quickbooks_release": "Enterprise 24.0",
                    "country": "US",
                    "run_every_minutes": 15,
                },
            ),
            201,
        )
        qwc = await api.get(f"/v1/companies/{COMPANY}/qwc")
        if qwc.status_code != httpx.codes.OK:
            raise DemoError(f"The .qwc file could not be downloaded: {qwc.text[:300]}")
        return str(made.json()["password"]), qwc.text

    async def bring_lists(self, api: httpx.AsyncClient, connector: WebConnector) -> None:
        """Let the Web Connector call until QuickBooks' lists are here, and confirm the company file."""
        self._report.progress("Bringing QuickBooks' lists over")
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._sessions.add(await asyncio.to_thread(connector.run_once))
            lists = (await answered(api.get(f"/v1/companies/{COMPANY}"), 200)).json()["lists"]
            if lists["state"] == "done":
                counts = ", ".join(f"{one['entries']} {kind}" for kind, one in sorted(lists["kinds"].items()))
                self._report.say(f"QuickBooks' lists are here: {counts}.")
                await self._confirm_file(api)
                return
        raise DemoError(f"QuickBooks' lists did not come over in {PATIENCE_S:.0f} s.")

    async def _confirm_file(self, api: httpx.AsyncClient) -> None:
        """Answer "Is this your company file?" as the bookkeeper would: nothing of the business goes before that."""
        asked = (await answered(api.get(f"/v1/companies/{COMPANY}"), 200)).json()["connection"]["file_to_confirm"]
        if asked is None:
            return  # somebody at the console was faster
        answer = {"answer": "yes", "path": asked["path"]}
        await answered(api.post(f"/v1/companies/{COMPANY}/company-file/confirm", json=answer), 200)
        self._report.say(f"Is {asked['name']} ({asked['path']}) your company file? Yes.")

    async def map(self, api: httpx.AsyncClient) -> None:
        """Accept what is suggested for the samples, then decide by name what no suggestion could."""
        self._report.progress("Mapping charges, customers and carriers")
        address = f"/v1/companies/{COMPANY}/mapping"
        documents = [read_json(name) for name in sample_names()]
        wanted = {"min_score": SURE, "documents": documents}
        linked = (await answered(api.post(f"{address}/suggestions/accept", json=wanted), 200)).json()["linked"]
        decisions = read_json("decisions.json")
        decided = 0
        for section, entries in decisions.items():
            for key, target in entries.items():
                await answered(api.put(f"{address}/{section}/{quote(key, safe='')}", json=target), 200)
                decided += 1
        self._report.say(f"Mapped {len(linked)} links by suggestions of score {SURE} and more, {decided} by name.")

    async def _export(self, api: httpx.AsyncClient) -> None:
        names = sample_names()
        limit = asyncio.Semaphore(POSTS_AT_ONCE)

        async def export(name: str) -> None:
            document = read_json(name)
            async with limit:
                started = time.monotonic()
                answer = await api.post(f"/v1/companies/{COMPANY}/exports", json={"document": document})
            outcome = Outcome(name=name, document=document, started=started)
            outcome.take_answer(answer.status_code, answer.json())
            self._outcomes[name] = outcome
            self._report.progress(f"Exporting: {len(self._outcomes)} of {len(names)} documents posted")

        await asyncio.gather(*(export(name) for name in names))
        self._outcomes = {name: self._outcomes[name] for name in names}

    async def _poll(self, api: httpx.AsyncClient, connector: WebConnector) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._sessions.add(await asyncio.to_thread(connector.run_once))
            # Longer than the relay's pause: what this session settled shows before the next one begins.
            for _ in range(5):
                await self._look(api)
                waiting = [one for one in self._outcomes.values() if one.is_pending]
                if not waiting:
                    return
                await asyncio.sleep(POLL_S)
        self._report.say(f"Not finished after {PATIENCE_S:.0f} s.")

    async def _look(self, api: httpx.AsyncClient) -> None:
        for outcome in self._outcomes.values():
            if not outcome.is_pending:
                continue
            kind, document_id = outcome.document["kind"], outcome.document["id"]
            panel = (await answered(api.get(f"/v1/companies/{COMPANY}/exports/{kind}/{document_id}"), 200)).json()
            if outcome.take_panel(panel):
                self._report.transition(outcome)
        done = sum(not one.is_pending for one in self._outcomes.values())
        self._report.progress(
            f"Web Connector: {self._sessions.count} sessions, {self._sessions.calls} calls; "
            f"{done} of {len(self._outcomes)} documents done"
        )


@contextmanager
def web_connector(qwc: str, password: str, company: CompanyFile) -> Iterator[WebConnector]:
    """Add the application to a simulated Web Connector, as the bookkeeper does."""
    with httpx.Client(trust_env=False, verify=NO_TLS, timeout=CALL_TIMEOUT_S) as http:
        connector = WebConnector(read_qwc(qwc), password, company, http=http, sleep=_pause)
        connector.probe()
        yield connector


def _pause(_seconds: float) -> None:
    time.sleep(POLL_S)  # the real one waits five seconds after each NoOp


def sample_names() -> list[str]:
    """Name the samples, in the order in which they are shown."""
    return [f"{folder}/{path.name}" for folder in FOLDERS for path in sorted((SAMPLES / folder).glob("*.json"))]


def read_json(name: str) -> Any:
    """Read one of the samples."""
    return json.loads((SAMPLES / name).read_text("utf-8"))


async def answered(call: Any, wanted: int) -> httpx.Response:
    """Wait for an answer with this status; raise `DemoError` for any other."""
    response: httpx.Response = await call
    if response.status_code != wanted:
        raise DemoError(f"{response.request.url.path} answered {response.status_code}: {response.text[:300]}")
    return response
