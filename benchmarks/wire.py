"""Idle polls and whole sessions over loopback against the real bridge process."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks import filling
from benchmarks.report import Figure
from benchmarks.surroundings import ROOT, Place, Process, bridge_settings, start_bridge
from ops.ports import free_ports

COMPANIES = 1000
PARTS = 3


@dataclass(frozen=True)
class Ran:
    """What the clients did, and what it cost the server."""

    done: int
    calls: int
    seconds: float
    client_cpu_s: float
    server_cpu_s: float

    @property
    def rate(self) -> float:
        """Give how many a second."""
        return self.done / self.seconds

    @property
    def raw(self) -> dict[str, float]:
        """Give the raw figures."""
        return {
            "done": self.done,
            "seconds": round(self.seconds, 2),
            "server_ms_of_processor_each": round(1000 * self.server_cpu_s / max(self.done, 1), 3),
            "client_ms_of_processor_each": round(1000 * self.client_cpu_s / max(self.done, 1), 3),
        }


def run_clients(
    server: Process, kind: str, port: int, *, clients: int, seconds: float, companies: int, first: int = 0
) -> Ran:
    """Run the client process against a server, from the company `first`; raises RuntimeError when a client failed."""
    command = [sys.executable, "-m", "benchmarks.wire_client", kind]
    command += [str(one) for one in (port, clients, seconds, companies, first)]
    before = server.cpu_s()
    ended = subprocess.run(  # noqa: S603  our own interpreter
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds + 120
    )
    last = ended.stdout.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        raise RuntimeError(f"the client did not run: {ended.stderr[-2000:]}")
    found = json.loads(last)
    if found.pop("failures") or ended.returncode:
        raise RuntimeError(f"a client failed: {ended.stdout} {ended.stderr[-2000:]}")
    return Ran(**found, server_cpu_s=server.cpu_s() - before)


def idle_polls(place: Place, *, seconds: float) -> list[Figure]:
    """Measure idle polls of many companies with one and with eight clients, and a bare spyne service beside them."""
    database = place.new_database()
    filling.add_companies(database, COMPANIES)
    settings = bridge_settings(database, place)
    port = int(settings["QBD_SOAP_PORT"])
    [bare_port] = free_ports(1)
    bridge = start_bridge(place, settings)
    bare = place.start(["-m", "benchmarks.bare_spyne", str(bare_port)], {}, f"bare-{bare_port}")
    bare.wait_until_listening(bare_port)
    figures: list[Figure] = []
    for clients, budget in ((1, 500.0), (8, 800.0)):
        for server, at in ((bare, bare_port), (bridge, port)):
            run_clients(server, "polls", at, clients=clients, seconds=min(1.0, seconds), companies=COMPANIES)
        # In turns, so that whatever else the machine does meets both.
        bares, ours = [], []
        for _ in range(2):
            bares.append(
                run_clients(bare, "polls", bare_port, clients=clients, seconds=seconds / 2, companies=COMPANIES)
            )
            ours.append(run_clients(bridge, "polls", port, clients=clients, seconds=seconds / 2, companies=COMPANIES))
        ran, beside = max(ours, key=lambda one: one.rate), max(bares, key=lambda one: one.rate)
        who = "one client" if clients == 1 else f"{clients} clients"
        figures += [
            Figure(
                what=f"idle polls, {who}", database=place.kind, value=ran.rate, unit="/s", at_least=budget, raw=ran.raw
            ),
            Figure(
                what=f"idle polls, {who}, against bare spyne in memory",
                database=place.kind,
                value=ran.rate / beside.rate,
                raw={"bare_polls_a_second": round(beside.rate), **beside.raw},
            ),
        ]
    bridge.stop()
    bare.stop()
    return figures


def durable_sessions(place: Place, *, sessions: int) -> list[Figure]:
    """Measure whole sessions of six calls with one document each, every one of another company.

    In several parts, of which the fastest counts, as with the polls: whatever else the machine does only takes away.
    """
    database = place.new_database()
    filling.add_companies(database, sessions + 1)
    first = filling.prepare(database, filling.company_id(0), filling.an_invoice("inv_0"))
    filling.queue_copies(database, first, sessions, each_company=True)
    settings = bridge_settings(database, place)
    bridge = start_bridge(place, settings)
    port = int(settings["QBD_SOAP_PORT"])
    parts = [
        run_clients(bridge, "sessions", port, clients=1, seconds=90.0, companies=end, first=begin)
        for begin, end in itertools.pairwise(range(1, sessions + 2, sessions // PARTS))
    ]
    bridge.stop()
    ran = max(parts, key=lambda one: one.rate)
    return [
        Figure(
            what="durable sessions (6 calls, one document), one client",
            database=place.kind,
            value=ran.rate,
            unit="/s",
            at_least=150.0,
            raw={
                "calls_each": ran.calls / max(ran.done, 1),
                **ran.raw,
                "all_parts": " ".join(f"{one.rate:.0f}" for one in parts),
            },
        )
    ]
