"""Seeded chaos against the real processes: the faults of the fast runs, and every process killed at named points.

A seed decides the documents, the sessions, what goes wrong in them and where processes die. Each seed has companies of
its own on a stack that many seeds use one after another. `./qbd chaos` runs this module.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter

from ops.stack import temporal_address
from store import exports
from store.tables import Export, OutboxSignal
from tests.scenario import chaos, oracle
from tests.scenario.harder_draws import HELD, IN_PROCESS
from tests.scenario.plan import STEPS, Document, Plan
from tests.scenario.stack import PARTS, Stack
from tests.scenario.storage import Snapshots
from tests.scenario.world import Desk, World, outcome_of
from workflows.contracts import ExportState, export_workflow_id

POSTING_POINTS = (
    *(f"{step}: {when} commit" for step in ("accept", "prepare_export") for when in ("before", "after")),
    *("relay: taken", "relay: signalled", "relay: before commit", "relay: after commit"),
)
SESSION_POINTS = (
    *(f"{step}: {when} commit" for step in STEPS for when in ("before", "after")),
    *(f"record_state: {when} commit" for when in ("before", "after")),
    *("relay: taken", "relay: signalled", "relay: before commit", "relay: after commit"),
)
"""Every named point that an export passes by itself; what people ask for, such as a cancel, is not among them."""
WORKER_POINTS = ("prepare_export", "record_state")
SUBMIT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Death:
    """A process that dies: at a named point while documents are posted or while a session runs, or by a plain kill."""

    session: int
    phase: str
    """posting | session"""
    point: str
    """A named point, or `kill PART`."""
    nth: int


def deaths_of(plan: Plan, parts: Sequence[str] = PARTS) -> list[Death]:
    """Draw which processes die during the runs of a plan, on a stack of these parts."""
    draw = random.Random(f"{plan.seed}/stack")
    deaths = []
    for session in range(len(plan.updates)):
        if draw.random() < 0.45:
            phase = draw.choice(("posting", "session", "session"))
            points = POSTING_POINTS if phase == "posting" else SESSION_POINTS
            if draw.random() < 0.2:
                points = tuple(f"kill {part}" for part in parts)
            deaths.append(Death(session=session, phase=phase, point=draw.choice(points), nth=draw.choice((1, 1, 2, 3))))
    return deaths


class OnStack(World):
    """One run against the real processes."""

    def __init__(self, plan: Plan, stack: Stack) -> None:
        self.stack = stack
        self.base = stack.base
        self._snapshots = Snapshots(stack.database)
        self._kept: bytes | None = None
        self.prefix = f"s{plan.seed}-{random.SystemRandom().randrange(16**6):06x}"
        clock: Any = stack.clock
        fuse: Any = stack.fuse
        super().__init__(plan, stack.database, stack.soap, clock, fuse, looks_first=stack.recovers)

    def name_companies(self) -> tuple[str, ...]:
        return (f"{self.prefix}-acme", f"{self.prefix}-bolt")

    def submit(self, document: Document, *, confirmed_absent: bool = False) -> None:
        company = self.company_ids[document.company]
        deadline = time.monotonic() + SUBMIT_S
        while True:
            try:
                body = {"document": document.body(), "confirm_not_in_quickbooks": confirmed_absent}
                answer = self.stack.api.post(f"/v1/companies/{company}/exports", json=body)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 500:
                break
            assert time.monotonic() < deadline, f"{document.id} could not be posted"
            time.sleep(0.05)
        assert answer.status_code in (200, 202, 409), f"{document.id}: {answer.status_code} {answer.text}"
        self._wait(lambda: self._state(document) is not ExportState.MAPPED, f"{document.id} is queued or refused")

    def catch_up(self) -> None:
        """The workflows do, in their own time."""

    def say_of_file(self, desk: Desk, answer: str, path: str) -> None:
        """By the API."""
        body = {"answer": answer, "path": path}
        reply = self.stack.api.post(f"/v1/companies/{desk.id}/company-file/confirm", json=body)
        assert reply.status_code == 200, f"{answer} to {path}: {reply.text}"

    def keep_database(self) -> None:
        """Remember it as it is between two calls."""
        if self.database.is_sqlite:
            self._kept = self._snapshots.take()

    def put_right(self) -> None:
        """Put the database back if it was kept, and start every process anew upon it; Temporal's server stays."""
        if self._kept is None:
            return
        self.forgotten |= {r.facts["external_guid"]: r.workflow_id for r in self.requests()}
        self.known.clear()
        self._snapshots.put_back(self._kept)
        self._kept = None
        self.events.append("    our own database was set back")
        self.struck["set_back"] += 1
        for part in self.stack.parts:
            if part != "temporal":
                self.stack.kill(part)
        self.stack.wait_ready()

    def settle(self) -> None:
        """Wait until Temporal has heard everything and every export that is decided shows it."""
        self._wait(lambda: not self._undelivered(), "the outbox is empty")
        self._wait(lambda: not self._undecided(), "the read model follows")

    def _wait(self, condition: object, what: str) -> None:
        started = time.monotonic()

        def met() -> bool:
            nonlocal started
            if time.monotonic() - started > 1:
                # A relay that died holds its lease, and the starts it had in hand, until their time is over.
                self.clock.forward(seconds=20)
                started = time.monotonic()
            return bool(condition())  # type: ignore[operator]

        self.stack.wait_until(met, what)

    def _state(self, document: Document) -> ExportState | None:
        with self.read() as session:
            row = exports.find_export(session, self.company_ids[document.company], document.kind, document.id)
            return ExportState(row.state) if row is not None else None

    def _undelivered(self) -> int:
        with self.read() as session:
            query = select(func.count()).where(
                OutboxSignal.delivered_at.is_(None), OutboxSignal.workflow_id.like(f"export/{self.prefix}-%")
            )
            return session.scalar(query) or 0

    def rows(self) -> list[Export]:
        """Give the read model of this run's exports."""
        with self.read() as session:
            return list(session.scalars(select(Export).where(Export.company_id.in_(self.company_ids))))

    def _undecided(self) -> list[str]:
        decided = {r.export_id for r in self.requests() if r.outcome is not None and r.state == "done"}
        newest = {r.export_id: r for r in self.requests()}
        return [
            row.document_id
            for row in self.rows()
            if row.id in decided and newest[row.id].state == "done" and not ExportState(row.state).is_final
        ]


def run(seed: int, stack: Stack, harder: Collection[str] = ()) -> Counter[str]:
    """Play a seed; gives what struck and how exports ended. Raises AssertionError when the promise is broken."""
    plan = Plan.of(seed, harder)
    deaths = deaths_of(plan, stack.parts)
    stack.wait_ready()
    world = OnStack(plan, stack)
    try:
        return _play(world, deaths)
    except AssertionError as violation:
        story = "\n".join(world.events)
        raise AssertionError(f"{violation}\n{plan}\n{deaths}\nwhat happened:\n{story}") from violation
    finally:
        stack.fuse.disarm()


def _play(world: OnStack, deaths: list[Death]) -> Counter[str]:
    struck: Counter[str] = Counter()
    for number, update in enumerate(world.plan.updates):
        here = [death for death in deaths if death.session == number]
        _arm(world, [death for death in here if death.phase == "posting"], struck)
        world.queue_documents(number)
        world.stack.fuse.disarm()
        world.stack.wait_ready()
        # The points of the fast runs that only one process has are drawn here by their own rules.
        _arm(world, [death for death in here if death.phase == "session"], struck)
        chaos.play_session(world, number, update, struck)
        world.stack.fuse.disarm()
        world.stack.wait_ready()
        oracle.check(world)
    chaos.calm_down(world)
    oracle.check_the_end(world)
    world.settle()
    check_the_stack(world)
    for request in world.requests():
        outcome = outcome_of(request)
        struck["= Successful" if outcome.failure is None else f"= Failed {outcome.failure.code}"] += 1
    return struck


def _arm(world: OnStack, deaths: list[Death], struck: Counter[str]) -> None:
    for death in deaths:
        world.events.append(f"    {death.point}, passing {death.nth}")
        struck[death.point] += 1
        if death.point.startswith("kill "):
            world.stack.kill(death.point.removeprefix("kill "))
        else:
            world.stack.fuse.arm(death.point, death.nth)


def check_the_stack(world: OnStack) -> None:
    """Read model, API and Temporal tell one story, and it is that of the request."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:  # a loop of its own, whoever calls
        thread.submit(asyncio.run, _check_the_stack(world)).result()


async def _check_the_stack(world: OnStack) -> None:
    client = await Client.connect(temporal_address(world.stack.settings), data_converter=pydantic_data_converter)
    newest = {request.export_id: request for request in world.requests()}
    for row in world.rows():
        name = f"{row.company_id}/{row.kind}/{row.document_id}"
        panel = world.stack.api.get(f"/v1/companies/{row.company_id}/exports/{row.kind}/{row.document_id}").json()
        assert panel["state"] == row.state, f"{name}: the API says {panel['state']}, the row {row.state}"
        assert ExportState(row.state).is_final, f"{name} is {row.state} at the end: {row.detail}"
        outcome = outcome_of(newest[row.id])
        if outcome.transaction is not None:
            assert row.state == "Successful", f"{name} is {row.state}, but in QuickBooks"
            assert panel["quickbooks"]["txn_id"] == outcome.transaction.txn_id, f"{name} names another transaction"
        else:
            assert row.state == "Failed", f"{name} is {row.state}"
            error = panel["error"]
            assert all(error[part] for part in ("code", "explanation", "owner", "next_step")), f"{name}: {error}"
        workflow_id = export_workflow_id(row.company_id, row.kind, row.document_id)
        description = await client.get_workflow_handle(workflow_id).describe()
        wanted = WorkflowExecutionStatus.COMPLETED if row.state == "Successful" else WorkflowExecutionStatus.FAILED
        assert description.status == wanted, f"{name} is {row.state}, its workflow {description.status}"
    await asyncio.sleep(0.05)  # the SDK's threads may abort an interpreter that exits at once (temporal.md 21)


def _work(
    seeds: list[int], database_url: str | None, recovery: bool, twins: bool, harder: Collection[str]
) -> list[tuple[int, str, Counter[str]]]:
    """Run seeds one after another on a stack of their own; stops at the first violation."""
    results: list[tuple[int, str, Counter[str]]] = []
    with tempfile.TemporaryDirectory(prefix="qbd-chaos-") as folder:
        stack = Stack(Path(folder) / "data", database_url=database_url, recovery=recovery, twins=twins)
        try:
            stack.start()
            for seed in seeds:
                try:
                    results.append((seed, "", run(seed, stack, harder)))
                except AssertionError as violation:
                    results.append((seed, str(violation), Counter()))
                    break
        finally:
            stack.stop()
    return results


def _roll(database_url: str | None) -> int:
    """Replace every process in turn; exit code 1 when anything of it was noticed."""
    from tests.scenario import rolling  # it is built upon this module

    with tempfile.TemporaryDirectory(prefix="qbd-rolling-") as folder:
        stack = Stack(
            Path(folder) / "data",
            database_url=database_url,
            twins=True,
            drain_s=rolling.DRAIN_S,
            probe_s=rolling.PROBE_S,
        )
        try:
            stack.start()
            counts = rolling.roll(stack)
        except AssertionError as violation:
            sys.stdout.write(f"the rolling restart was noticed: {violation}\n")
            return 1
        finally:
            stack.stop()
    for name, count in sorted(counts.items()):
        sys.stdout.write(f"{count:6} {name}\n")
    return 0


def main() -> int:
    """Run the command line; exit code 1 when a seed violated the promise."""
    parser = argparse.ArgumentParser(prog="qbd chaos", description=__doc__)
    parser.add_argument("--seeds", default="20", help="how many, or FROM:TO")
    parser.add_argument("--jobs", type=int, default=1, help="stacks side by side")
    parser.add_argument("--database-url", help="a PostgreSQL database for all jobs; otherwise SQLite, one file a job")
    parser.add_argument("--twins", action="store_true", help="two bridges behind one address, and two workers")
    parser.add_argument(
        "--rolling", action="store_true", help="no seeds: replace each process of such a stack in turn, under load"
    )
    parser.add_argument(
        "--harder",
        nargs="?",
        const=",".join(name for name in HELD if name not in IN_PROCESS),
        default="",
        help="also what people, other computers and odd answers do to the books; with names, only these",
    )
    parser.add_argument("--without-recovery", action="store_true", help="the deliberately broken build")
    given = parser.parse_args()
    if given.rolling:
        return _roll(given.database_url)
    first, _, end = given.seeds.rpartition(":")
    seeds = list(range(int(first or 0), int(end)))
    harder = [name for name in given.harder.split(",") if name]
    started = time.monotonic()
    total: Counter[str] = Counter()
    done, violations = 0, []
    chunks = [seeds[start : start + 10] for start in range(0, len(seeds), 10)]
    with concurrent.futures.ProcessPoolExecutor(given.jobs, max_tasks_per_child=1) as pool:
        futures = [
            pool.submit(_work, chunk, given.database_url, not given.without_recovery, given.twins, harder)
            for chunk in chunks
        ]
        for future in concurrent.futures.as_completed(futures):
            if future.cancelled():
                continue
            for seed, violation, struck in future.result():
                done += 1
                total += struck
                if violation:
                    violations.append(seed)
                    sys.stdout.write(f"seed {seed} violates the promise: {violation}\n")
            sys.stdout.write(f"{done} of {len(seeds)} seeds, {time.monotonic() - started:.0f} s\n")
            sys.stdout.flush()
            if violations:
                for other in futures:
                    other.cancel()
    for name, count in sorted(total.items()):
        sys.stdout.write(f"{count:6} {name}\n")
    verdict = f"violations: seeds {sorted(violations)}" if violations else "no violation"
    sys.stdout.write(f"{done} seeds, {time.monotonic() - started:.0f} s, {verdict}\n")
    return 1 if violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
