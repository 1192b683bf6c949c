"""Every process is ended by SIGTERM and replaced, in turn, while documents are posted and Web Connectors poll.

Nothing may be noticed: each SOAP call gets its answer, no session is lost, each document arrives exactly once.
`./qbd chaos --rolling` runs this module's `roll`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from ops.ports import NO_TLS
from simulator.cuts import Cuts
from simulator.web_connector import WebConnector
from store import states
from tests.scenario import oracle
from tests.scenario.plan import Document, Plan
from tests.scenario.stack import Stack
from tests.scenario.stack_chaos import OnStack, check_the_stack
from tests.scenario.wiring import Line
from tests.scenario.world import Desk

COMPANIES = 3
ROUNDS = 2
"""How often each process is replaced."""
BEFORE = 3
"""Documents of each company that have arrived when the first process is ended."""
DRAIN_S = 3
PROBE_S = 0.1
"""How often the front asks for readiness: several times while a bridge drains, as a load balancer does."""
UNDER_WAY = 3
"""Documents of each company that were posted and have not arrived."""
ORDER = ("bridge", "worker", "api", "bridge-2", "worker-2")
LEGAL = ("ok", "none")
"""How a session may end: with its work done, or with nothing to do."""


class Rolling(OnStack):
    """Some companies on a stack, each with a network connection of its own; no faults."""

    def __init__(self, stack: Stack, seed: int) -> None:
        plan = Plan(seed=seed, companies=COMPANIES, batch_size=3, documents=(), updates=(), records_survive=False)
        super().__init__(plan, stack)
        self.documents: list[Document] = []
        self.counts: Counter[str] = Counter()
        """Sessions by their end, and calls of the API by what came back."""
        self.problems: list[str] = []
        self.stop = threading.Event()
        for desk in self.desks:
            desk.connector.http = self._line()  # type: ignore[assignment]

    def name_companies(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}-{number}" for number in range(COMPANIES))

    def _line(self) -> Line:
        return Line(self.stack.new_client(), self.fuse)

    def poll(self, desk: Desk) -> None:
        """Be a Web Connector until told to stop: one session after another."""
        connector: WebConnector = desk.connector
        connector.cuts = Cuts()
        while not self.stop.is_set():
            report = connector.run_once()
            self.counts[f"session {report.outcome}"] += 1
            self.counts["SOAP calls"] += len(report.calls)
            if report.outcome not in LEGAL:
                self.problems.append(f"a session of {desk.id} ended as {report.outcome}: {report.status}")
            if report.outcome == "none":
                self.stop.wait(0.5)

    def post(self, company: int) -> None:
        """Be the TMS until told to stop: one document after another, each until it is accepted."""
        with httpx.Client(base_url=str(self.stack.api.base_url), trust_env=False, verify=NO_TLS, timeout=30) as http:
            http.headers["Authorization"] = self.stack.api.headers["Authorization"]
            for number in itertools.count(1):
                if self.stop.is_set():
                    return
                kind = "carrier_bill" if number % 3 == 0 else "invoice"
                document = Document(
                    company=company, kind=kind, number=number, fate="good", before_session=0, again_before=None
                )
                self._accept(http, document)
                self.documents.append(document)
                # Always something under way, never so much that the machine is what is tested.
                while number - len(self.desks[company].quickbooks.ledger) >= UNDER_WAY and not self.stop.is_set():
                    self.stop.wait(0.1)

    def _accept(self, http: httpx.Client, document: Document) -> None:
        path = f"/v1/companies/{self.company_ids[document.company]}/exports"
        while True:
            try:
                answer = http.post(path, json={"document": document.body()})
            except httpx.TransportError as error:
                self.counts[f"API {type(error).__name__}"] += 1
                time.sleep(0.05)
                continue
            self.counts[f"API {answer.status_code}"] += 1
            if answer.status_code in (200, 202):
                return
            self.problems.append(f"the API answered {answer.status_code} to {document.id}")
            time.sleep(0.05)

    def arrived(self) -> list[int]:
        """Count the transactions in each company file."""
        return [len(desk.quickbooks.ledger) for desk in self.desks]


def roll(stack: Stack, *, seed: int = 0, rounds: int = ROUNDS) -> Counter[str]:
    """Replace every process of a running stack under load; gives what was counted. Raises AssertionError."""
    world = Rolling(stack, seed)
    stack.wait_ready()
    try:
        _roll(world, stack, rounds)
    except AssertionError as violation:
        raise AssertionError("\n".join([str(violation), *world.problems, str(world.counts)])) from violation
    world.counts["documents"] = len(world.documents)
    return world.counts


def _roll(world: Rolling, stack: Stack, rounds: int) -> None:
    work: list[tuple[Callable[..., None], object]] = [(world.poll, desk) for desk in world.desks]
    work += [(world.post, company) for company in range(COMPANIES)]
    with ThreadPoolExecutor(len(work)) as threads:
        under_way = [threads.submit(what, about) for what, about in work]
        try:
            stack.wait_until(lambda: min(world.arrived()) >= BEFORE, "the first documents arrive")
            for _ in range(rounds):
                for part in ORDER:
                    stack.replace(part)
                    world.counts[f"{part} replaced"] += 1
                    # The next one ends only when this one has work again.
                    before = world.arrived()
                    stack.wait_until(
                        lambda before=before: all(
                            now > then for now, then in zip(world.arrived(), before, strict=True)
                        ),  # type: ignore[misc]
                        f"documents arrive after the restart of {part}",
                    )
        finally:
            world.stop.set()
        for one in under_way:
            one.result(60)
    for number in range(20):
        for desk in world.desks:
            world.update(f"last session {number}", desk, desk.connector)
        if len(world.requests()) == len(world.documents) and all(r.state == states.DONE for r in world.requests()):
            break
        stack.wait_until(lambda: len(world.requests()) == len(world.documents), "every document is queued")
    world.settle()
    assert not world.problems, "something was noticed"
    oracle.check(world)
    oracle.check_the_end(world)
    check_the_stack(world)
    assert sum(world.arrived()) == len(world.documents) == len(world.rows())
