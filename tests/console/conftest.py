"""The API with its console, served for real; a browser; and the simulator as Web Connector against a real bridge."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from prometheus_client import CollectorRegistry

from activities.queued import Remapping
from console.app import install
from console.services import LinkMaker
from console.signing import Signer
from ops.ports import NO_TLS
from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from qbwc_bridge.wsgi import build_wsgi
from simulator.company import CompanyFile
from simulator.qwc import read_qwc
from simulator.report import UpdateReport
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import secrets
from store.engine import Database
from store.tables import ApiKey, Company
from tests.support import stores
from tests.support.world import a_qwc
from tms_api.app import ApiServices, build_app

SECRET = "a secret key of tests, long enough for the rule"
STAFF = "qbd_staff"
READER = "qbd_reader"
OF_ACME = "qbd_of-acme"
KEYS = {STAFF: ("admin", None), READER: ("read", None), OF_ACME: ("admin", "acme")}
WIDTHS = {"wide": (1440, 900), "narrow": (360, 740)}
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENS = Path(__file__).parents[2] / "docs" / "screens"


class NoTemporal:
    """Stands where Temporal is; the console's own tests start no workflows."""

    async def cancel(self, workflow_id: str, reason: str) -> None:
        """Take the wish."""

    async def reachable(self) -> bool:
        """Be there."""
        return True


@dataclass
class World:
    """One application with its console, and a bridge on the same database."""

    database: Database
    clock: stores.Clock
    app: FastAPI
    origin: str
    signer: Signer
    _open: ExitStack = field(default_factory=ExitStack)

    def link(self, company_id: str = "acme") -> str:
        """The address of a fresh one-time link."""
        return LinkMaker(self.signer, self.origin)(company_id, self.clock())[0]

    def client(self, **options: Any) -> httpx.Client:
        """A browser without scripts."""
        return self._open.enter_context(httpx.Client(base_url=self.origin, trust_env=False, verify=NO_TLS, **options))

    def signed_in(self, key: str = STAFF) -> httpx.Client:
        """A browser without scripts in which somebody signed in by a key."""
        client = self.client()
        answer = send_form(client, "/sign-in", {"key": key}, page="/sign-in")
        assert answer.status_code == 303, answer.text
        return client

    def by_link(self, company_id: str = "acme") -> httpx.Client:
        """A browser without scripts in which a bookkeeper signed in by a link."""
        client = self.client()
        path = urlsplit(self.link(company_id)).path
        answer = send_form(client, "/link", {"token": path.rpartition("/")[2]}, page=path)
        assert answer.status_code == 303, answer.text
        return client

    def web_connector(
        self, quickbooks: CompanyFile | None = None, *, company_id: str = "acme", password: str = stores.PASSWORD
    ) -> WebConnector:
        """The simulated Web Connector on a real bridge over the same database; `run_once()` is one session."""
        dispatcher = Dispatcher(
            self.database,
            limits=Limits(),
            clock=self.clock,
            new_id=stores.counter(f"S{time.monotonic_ns()}"),
            remap=Remapping(self.clock),
        )
        wsgi = build_wsgi(dispatcher, public_url="http://localhost", support_page=lambda _company: None)
        http = self._open.enter_context(
            httpx.Client(transport=httpx.WSGITransport(app=wsgi, raise_app_exceptions=True))
        )
        with self.database.transaction() as session:
            row = session.get(Company, company_id)
            assert row is not None
            qwc = a_qwc(company_id, owner_id=row.owner_id, file_id=row.file_id)
        return WebConnector(
            read_qwc(qwc), password, quickbooks or freight_company(clock=self.clock), http=http, sleep=lambda _s: None
        )

    def bring_lists(self, connector: WebConnector) -> list[UpdateReport]:
        """Let the Web Connector call until every list is here."""
        reports = []
        for _ in range(10):
            reports.append(connector.run_once())
            with httpx.Client(base_url=self.origin, trust_env=False, verify=NO_TLS, headers=bearer()) as api:
                if api.get(f"/v1/companies/{connector_company(connector)}").json()["lists"]["state"] == "done":
                    return reports
            self.clock.forward(minutes=1)
        raise AssertionError("the lists did not come over")

    def close(self) -> None:
        """Give everything back."""
        self._open.close()


def connector_company(connector: WebConnector) -> str:
    """The company whose .qwc file a Web Connector has."""
    return connector.qwc.user_name.removeprefix("qbwc-")


def bearer(key: str = STAFF) -> dict[str, str]:
    """The header of an API call."""
    return {"Authorization": f"Bearer {key}"}


def form_token(html: str) -> str:
    """The token of a page's forms."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', html)
    assert found is not None, html[:2000]
    return found[1]


def send_form(client: httpx.Client, address: str, data: dict[str, Any], *, page: str) -> httpx.Response:
    """Fill in a form on a page, as a browser without scripts does."""
    token = form_token(client.get(page).text)
    origin = str(client.base_url).rstrip("/")
    return client.post(address, data={"form_token": token, **data}, headers={"Origin": origin})


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """Serve an application over real sockets, in a thread."""
    config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none", log_config=None, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated database with keys and two companies, made once."""
    path = tmp_path_factory.mktemp("console") / "empty.sqlite"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.transaction() as session:
        for key, (scopes, company) in KEYS.items():
            session.add(
                ApiKey(
                    id=key[4:],
                    name=key,
                    key_hash=secrets.fingerprint(key),
                    scopes=scopes,
                    company_id=company,
                    created_at=datetime(2026, 11, 1, tzinfo=UTC),
                )
            )
    stores.add_company(database, "acme", lists_are_here=False, mapping={})
    stores.add_company(database, "rival", lists_are_here=False, mapping={}, name="Rival Freight")
    database.close()
    return path.read_bytes()


@contextmanager
def a_world(path: Path, migrated: bytes, clock: stores.Clock) -> Iterator[World]:
    """A served console over a database of its own."""
    path.write_bytes(migrated)
    database = Database(f"sqlite:///{path}")
    stores.hurry(database)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        origin = f"http://localhost:{listener.getsockname()[1]}"
        signer = Signer(SECRET)
        app = build_app(
            ApiServices(
                database=database,
                exporter=NoTemporal(),
                qwc_file=lambda company: a_qwc(company.id, owner_id=company.owner_id, file_id=company.file_id),
                clock=clock,
                public_soap_url="https://qb.example.com/qbwc",
                temporal_ui_url=lambda workflow_id, run_id: f"http://ui/{workflow_id}/{run_id or ''}",
                registry=CollectorRegistry(),
                console_link=LinkMaker(signer, origin),
            )
        )
        install(app, signer=signer, origin=origin)
        made = World(database, clock, app, origin, signer)
        with serving(app, listener):
            yield made
        made.close()
    database.close()


@pytest.fixture
def world(tmp_path: Path, migrated: bytes, clock: stores.Clock) -> Iterator[World]:
    """A served console over a database of this test's own."""
    with a_world(tmp_path / "qbd.sqlite", migrated, clock) as made:
        yield made


def _chromium() -> str:
    named = "/usr/bin/chromium"
    found = named if Path(named).exists() else shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, once a module: while it lives, no asynchronous test can run in this thread."""
    program = _chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Window:
    """A browser window that fails the test on an error of a script, a refused resource or a console error."""

    page: Page
    context: BrowserContext
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """No script failed, nothing was refused by the Content-Security-Policy."""
        assert not self.errors, self.errors

    def axe(self) -> None:
        """axe-core finds nothing serious or critical on the page as it is now."""
        found = Axe().run(self.page)
        bad = [
            f"{one['id']}: {one['help']}: {one['nodes'][0]['html']}"
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert not bad, f"{self.page.url}: " + "; ".join(bad)

    def fits(self) -> None:
        """Nothing makes the page wider than the window, and nothing is wider than its place in a card."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"
        facts = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"
        cut = self.page.eval_on_selector_all(".facts dd, .table--cards td", facts)
        assert not cut, f"{self.page.url}: {cut}"

    def screenshot(self, name: str) -> None:
        """Keep a picture for the guide, when QBD_TEST_SCREENSHOTS asks for it."""
        if os.environ.get("QBD_TEST_SCREENSHOTS"):
            SCREENS.mkdir(parents=True, exist_ok=True)
            self.page.evaluate("scrollTo(0, 0)")
            self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True, animations="disabled")


NewWindow = Callable[..., Window]


@pytest.fixture
def window(browser: Browser) -> Iterator[NewWindow]:
    """Opens windows: `window("narrow", dark=True)`; their errors are looked at when the test ends."""
    opened: list[Window] = []

    def open_window(width: str = "wide", *, dark: bool = False, **options: Any) -> Window:
        w, h = WIDTHS[width]
        context = browser.new_context(
            viewport={"width": w, "height": h},
            color_scheme="dark" if dark else "light",
            timezone_id="America/Chicago",
            locale="en-US",
            **options,
        )
        context.set_default_timeout(10_000)
        page = context.new_page()
        made = Window(page, context)
        page.on("console", lambda message: made.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: made.errors.append(str(error)))
        opened.append(made)
        return made

    yield open_window
    for one in opened:
        one.context.close()
    for one in opened:
        one.check()
