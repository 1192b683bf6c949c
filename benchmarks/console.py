"""The console's large pages: a dropdown over 50,000 External Items, 10,000 documents, and a list of 10,000 companies.

`python -m benchmarks.console`. For each question: the database's questions, processor time of this process and elapsed
time (the API's functions with the page's template around them, without sockets). `--browser` opens the dropdown in
Chromium as well and says how long it takes from the last key to the choices; of that, 80 ms are the pause in which the
field waits for another key. The times of a busy machine say nothing; processor time does, where the database is SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import event, insert, select, text

from benchmarks.surroundings import POSTGRESQL, SQLITE, place
from console.app import install
from console.signing import Signer
from mapping.documents import content_hash, parse_document
from store import list_syncs, secrets
from store.api_tables import HandedDocument
from store.engine import Database
from store.list_tables import ListEntry
from store.sync_tables import ListSync
from store.tables import ApiKey, Company, Export
from tests.support import stores
from tms_api.app import ApiServices, build_app

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
KEY = "qbd_benchmark"
NAMES = ("Cascade", "Harbor", "Summit", "Prairie", "Juniper", "Granite", "Lakeside", "Pioneer")
TRADES = ("Foods", "Paper", "Steel", "Lumber", "Produce", "Supply", "Textiles", "Chemicals")
REPEATS = 9


@dataclass(frozen=True)
class Measured:
    """One page or answer: medians."""

    what: str
    questions: int
    processor_ms: float
    elapsed_ms: float
    kilobytes: float


class NoTemporal:
    """Stands where Temporal is; nothing is exported here."""

    async def cancel(self, workflow_id: str, reason: str) -> None:
        """Take the wish."""

    async def reachable(self) -> bool:
        """Be there."""
        return True


def a_large_company(database: Database, customers: int, documents: int) -> None:
    """A company with this many customers, one in ten of them inactive, and documents in every state."""
    stores.add_company(database, "acme", mapping={"customers": _links(2_000)})
    with database.transaction() as session:
        key = ApiKey(id="k1", name="benchmark", key_hash=secrets.fingerprint(KEY), scopes="admin", created_at=NOW)
        session.add(key)
        done = {"phase": "done", "mode": "full", "last_full_at": NOW, "last_sync_at": NOW}
        session.add(ListSync(company_id="acme", kind="customer", **done))
        sync = list_syncs.company_sync(session, "acme")
        if sync is not None:
            sync.state = list_syncs.DONE
        rows = [_customer(number) for number in range(customers)]
        for start in range(0, customers, 2_000):
            session.execute(insert(ListEntry), rows[start : start + 2_000])
        handed, exported = [], []
        for number in range(documents):
            document = _invoice(number)
            at = NOW - timedelta(minutes=7 * number)
            parsed = parse_document(document)
            digest = "" if isinstance(parsed, list) else content_hash(parsed)
            common = {"company_id": "acme", "kind": "invoice", "document_id": document["id"], "created_at": at}
            common |= {"number": document["number"], "document": document, "content_hash": digest, "updated_at": at}
            handed.append({**common, "party": document["customer"]["name"]})
            if number % 5:
                exported.append({**common, **_state(number)})
        for table, new in ((HandedDocument, handed), (Export, exported)):
            for start in range(0, len(new), 1_000):
                session.execute(insert(table), new[start : start + 1_000])


def more_companies(database: Database, count: int) -> None:
    """This many other companies, some of them paused, silent or with a problem."""
    with database.transaction() as session:
        like = session.execute(select(Company.__table__).where(Company.id == "acme")).one()._asdict()
        problem = {"code": "x", "explanation": "A dialog is open.", "owner": "bookkeeper", "next_step": "Close it."}
        rows = [
            {
                **{name: value for name, value in like.items() if value is not None},
                "id": f"c{number:05}",
                "username": f"qbwc-c{number:05}",
                "name": f"{NAMES[number % 8]} Freight {number * 7919 % count:05}",
                "mapping": {"customers": _links(20)},
                "last_seen_at": NOW - timedelta(minutes=number % 60),
                "paused": number % 97 == 0,
                "problem": {**problem, "at": NOW.isoformat()} if number % 50 == 0 else None,
            }
            for number in range(count)
        ]
        for start in range(0, count, 1_000):
            session.execute(insert(Company), rows[start : start + 1_000])


def _customer(number: int) -> dict[str, Any]:
    name = f"{NAMES[number % 8]} {TRADES[number // 8 % 8]} {number:06d}"
    return {
        "company_id": "acme",
        "kind": "customer",
        "list_id": f"80{number:06X}-1767225600",
        "full_name": name,
        "name_key": name.casefold(),
        "type": "",
        "is_active": number % 10 != 7,
        "is_gone": False,
        "parent_list_id": None,
        "facts": {"has_address": True},
        "time_modified": "",
        "updated_at": NOW,
        "generation": 1,
    }


def _links(count: int) -> dict[str, Any]:
    rows = (_customer(number) for number in range(count))
    return {f"cus_{n}": {"list_id": row["list_id"], "full_name": row["full_name"]} for n, row in enumerate(rows)}


def _invoice(number: int) -> dict[str, Any]:
    return {
        "kind": "invoice",
        "id": f"inv_{number}",
        "number": f"{100_000 + number}",
        "customer": {"id": f"cus_{number % 2_500}", "name": _customer(number % 2_500)["full_name"]},
        "date": "2026-11-20",
        "currency": "USD",
        "lines": [{"charge": "LINEHAUL", "amount": "1850.00"}, {"charge": "FUEL", "amount": "212.50"}],
        "total": "2062.50",
    }


def _state(number: int) -> dict[str, Any]:
    state = ("Successful", "Failed", "Queued", "Sent")[number % 4]
    error = None
    if state == "Failed":
        error = {
            "code": "3140",
            "message": "There is an invalid reference.",
            "explanation": "QuickBooks does not know the customer.",
            "owner": "bookkeeper",
            "next_step": "Choose the customer again.",
        }
    return {
        "state": state,
        "detail": "Waiting for the Web Connector",
        "error": error,
        "owner": "bookkeeper" if error else None,
        "changes": [],
    }


async def measure(app: FastAPI, database: Database) -> list[Measured]:
    """Ask for each page several times and keep the medians."""
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    found = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8081") as client:
        page = await client.get("/sign-in")
        token = page.text.partition('name="form_token" value="')[2][:64]
        signed = await client.post("/sign-in", data={"form_token": token, "key": KEY})
        if signed.status_code != 303:
            raise SystemExit(f"signing in failed: {signed.status_code}")
        for what, address in PAGES:
            times, spent = [], []
            for _ in range(REPEATS):
                asked.clear()
                start, start_cpu = time.perf_counter(), time.process_time()
                answer = await client.get(address)
                times.append(time.perf_counter() - start)
                spent.append(time.process_time() - start_cpu)
                if answer.status_code != 200:
                    raise SystemExit(f"{address}: {answer.status_code}")
            kilobytes = len(answer.content) / 1000
            found.append(Measured(what, len(asked), median(spent) * 1000, median(times) * 1000, kilobytes))
    return found


PAGES = (
    ("dropdown: opened", "/c/acme/targets?place=customers"),
    ("dropdown: 'summit'", "/c/acme/targets?place=customers&q=summit"),
    ("dropdown: '04821', inside names", "/c/acme/targets?place=customers&q=04821"),
    ("dropdown: two words", "/c/acme/targets?place=customers&q=prod%20harb"),
    ("dropdown: nothing matches", "/c/acme/targets?place=customers&q=zzzz"),
    ("documents: first page", "/c/acme/documents"),
    ("documents: failed", "/c/acme/documents?status=Failed"),
    ("documents: search", "/c/acme/documents?q=juniper"),
    ("documents: oldest first", "/c/acme/documents?sort=oldest"),
    ("document", "/c/acme/documents/invoice/inv_5"),
    ("mapping: customers", "/c/acme/mapping/customers"),
    ("companies: the worst", "/companies/rows"),
    ("companies: page 50", "/companies/rows?page=50"),
)


KEY_TO_CHOICES = """word => new Promise(done => {
  const field = document.activeElement;
  const popup = field.parentElement.querySelector(".combobox__list");
  new MutationObserver((_, watching) => {
    if (popup.hidden) return;
    watching.disconnect();
    requestAnimationFrame(() => done(performance.now() - start));
  }).observe(popup, { attributes: true });
  const start = performance.now();
  field.value = word;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})"""
"""Types in the focused field, and gives the milliseconds until its choices are about to be painted."""


def in_browser(origin: str, start: Callable[[], Any]) -> float:
    """Give the milliseconds from the last key to the choices in Chromium, the median of some."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 only with --browser

    with start(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--headless", "--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{origin}/sign-in")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"{origin}/c/acme/mapping/customers")
        field = page.get_by_role("combobox", name="Customer in QuickBooks").first
        taken = []
        for word in ("summit", "0482", "harbor pap", "granite", "prod"):
            field.fill("")
            field.blur()  # takes back what that has asked for, and closes the choices
            field.focus()
            taken.append(page.evaluate(KEY_TO_CHOICES, word))
        browser.close()
    return median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--companies", type=int, default=10_000)
    parser.add_argument("--database", choices=[SQLITE, POSTGRESQL], default=SQLITE)
    parser.add_argument("--browser", action="store_true")
    options = parser.parse_args()
    # A run that is told to stop ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder, place(options.database, Path(folder)) as here:
        database = here.new_database()
        a_large_company(database, options.customers, options.documents)
        more_companies(database, options.companies)
        with database.engine.begin() as connection:
            connection.execute(text("ANALYZE"))  # a server does so by itself within a minute
        origin = "http://localhost:8081"
        services = ApiServices(
            database=database,
            exporter=NoTemporal(),
            qwc_file=lambda _company: "",
            clock=lambda: NOW,
            public_soap_url="https://qb.example.com/qbwc",
            temporal_ui_url=lambda workflow_id, _run_id: f"http://ui/{workflow_id}",
            registry=CollectorRegistry(),
        )
        app = build_app(services)
        install(app, signer=Signer("a secret key of the benchmark, long enough"), origin=origin)
        sizes = f"{options.customers:,} customers, {options.documents:,} documents, {options.companies:,} companies"
        print(f"{options.database}, {sizes}; medians of {REPEATS}")
        print(f"{'':34}{'questions':>10}{'CPU ms':>9}{'ms':>9}{'kB':>8}")
        for one in asyncio.run(measure(app, database)):
            line = f"{one.what:34}{one.questions:>10}{one.processor_ms:>9.0f}{one.elapsed_ms:>9.0f}"
            print(f"{line}{one.kilobytes:>8.0f}")
        if options.browser:
            import socket  # noqa: PLC0415

            from tests.console.conftest import serving  # noqa: PLC0415 only with --browser

            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen(64)
                address = f"http://localhost:{listener.getsockname()[1]}"
                taken = in_browser(address, lambda: serving(app, listener))
            print(f"{'dropdown in Chromium, last key to choices':53}{taken:>9.0f}")


if __name__ == "__main__":
    main()
