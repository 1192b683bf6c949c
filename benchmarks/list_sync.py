"""First sync of a company with many customers: calls, rows and the peak of memory in the bridge.

`python -m benchmarks.list_sync 5000 50000`. The memory is what Python allocated after the company file was built
(tracemalloc): bridge, wire and the simulator's iterator together, with the database in a file.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from simulator.company import CompanyFile
from simulator.cuts import Cuts
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store.engine import Database
from tests.support import lists, stores
from tests.support.direct import DirectWire
from tests.support.world import a_qwc

JOBS_EACH = 4
SESSIONS_MAX = 400


@dataclass(frozen=True)
class Measured:
    """What one first sync took."""

    customers: int
    sessions: int
    calls: int
    sets: int
    rows: int
    seconds: float
    peak_bytes: int
    is_equal: bool


def a_large_company(customers: int, clock: Any) -> CompanyFile:
    """A freight broker's file with this many customers and jobs, of which one in five is a customer."""
    book = freight_company(clock=clock)
    while len(book.state.customers) < customers:
        number = len(book.state.customers)
        shipper = book.add_customer(f"Shipper {number:06d}", address={"Addr1": "1 Main St", "City": "Reno"})
        for job in range(min(JOBS_EACH, customers - len(book.state.customers))):
            book.add_customer(f"Load {number + job:06d}", parent=shipper)
    for number, entry in enumerate(book.entries()):
        # Made one after the other, not all in the second in which the test began.
        entry.time_modified = (clock() - timedelta(days=2) + timedelta(seconds=number)).isoformat()
    return book


def measure(
    customers: int,
    folder: Path,
    *,
    page: int = 200,
    cut_every: int = 0,
    traced: bool = True,
    database: Database | None = None,
) -> Measured:
    """Sync everything once; with `cut_every`, each session is lost at that many answers.

    `database` is a migrated one without companies; otherwise a SQLite file in the folder is made.
    """
    moment = [datetime(2026, 11, 23, 10, tzinfo=UTC)]

    def clock() -> datetime:
        return moment[0]

    if database is None:
        database = Database(f"sqlite:///{folder / f'{customers}-{cut_every}.sqlite'}")
        database.migrate()
        stores.hurry(database)
    stores.add_company(database, lists_are_here=False)
    book = a_large_company(customers, clock)
    numbers = itertools.count(1)
    dispatcher = Dispatcher(
        database, limits=Limits(list_page=page), clock=clock, new_id=lambda: f"SET{next(numbers):06d}"
    )
    wire: Any = DirectWire(dispatcher)
    cuts = Cuts()
    connector = WebConnector(read_qwc(a_qwc("acme")), stores.PASSWORD, book, http=wire, cuts=cuts, keep_exchanges=False)
    calls = sessions = 0
    book.index.in_order(book.state, "customers")  # the simulated QuickBooks sorts its list once; that is not the bridge
    if traced:
        tracemalloc.start()
        tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0] if traced else 0
    began = time.perf_counter()
    for _ in range(SESSIONS_MAX):
        if cut_every:
            cuts.before("receiveResponseXML", cut_every)
        moment[0] += timedelta(minutes=15)
        report = connector.run_once()
        calls += report.count
        if report.outcome == "none":
            break
        sessions += 1
    seconds = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1] - before if traced else 0
    if traced:
        tracemalloc.stop()
    held = lists.in_store(database)
    result = Measured(
        customers=customers,
        sessions=sessions,
        calls=calls,
        sets=next(numbers) - 1,
        rows=sum(kind == "customer" for kind, _ in held),
        seconds=seconds,
        peak_bytes=peak,
        is_equal=held == lists.in_quickbooks(book),
    )
    database.close()
    return result


def main() -> None:
    """Measure each size once whole and once with sessions that are cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers", nargs="*", type=int, default=[5_000, 50_000])
    parser.add_argument("--page", type=int, default=200)
    parser.add_argument("--cut-every", type=int, default=0)
    parser.add_argument("--untraced", action="store_true", help="without tracemalloc, which slows down Python")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for customers in chosen.customers:
            found = measure(
                customers, Path(folder), page=chosen.page, cut_every=chosen.cut_every, traced=not chosen.untraced
            )
            print(
                f"{found.customers} customers: {found.rows} rows, {found.sessions} sessions, {found.calls} calls, "
                f"{found.sets} message sets, {found.seconds:.1f} s, peak {found.peak_bytes / 1e6:.2f} MB, "
                f"equal to QuickBooks: {found.is_equal}"
            )


if __name__ == "__main__":
    main()
