"""What the demo shows: progress while it runs, the table of results, and the verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table

from simulator.records import Posted
from simulator.report import UpdateReport

REFUSED = "Refused"
SUCCESSFUL = "Successful"
PENDING = "Pending"
PLAIN_WIDTH = 150
COLOURS = {SUCCESSFUL: "green", REFUSED: "yellow"}
Json = dict[str, Any]


@dataclass
class Outcome:
    """What became of one document."""

    name: str
    document: Json
    started: float
    state: str = ""
    status: str = PENDING
    codes: list[str] = field(default_factory=list)
    txn_id: str = ""
    ref_number: str = ""
    seconds: float | None = None
    timeline: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def is_pending(self) -> bool:
        """Say whether it is still under way."""
        return self.status == PENDING

    def take_answer(self, status_code: int, body: Json) -> None:
        """Note the answer to the export."""
        if status_code in (200, 202):
            self.take_panel(body)
            return
        self.state = self.status = REFUSED
        self.codes = [issue["code"] for issue in body.get("issues", [])] or [str(body.get("code"))]

    def take_panel(self, panel: Json) -> bool:
        """Note the Data Panel; say whether the state has changed."""
        changed: bool = panel["state"] != self.state
        self.state, self.status = panel["state"], panel["status"]
        self.timeline = [(datetime.fromisoformat(one["at"]), one["state"]) for one in panel["timeline"]]
        transaction = panel["quickbooks"] or {}
        self.txn_id, self.ref_number = transaction.get("txn_id") or "", panel["ref_number"] or ""
        if panel["error"]:
            self.codes = [issue["code"] for issue in panel["error"]["issues"]] or [panel["error"]["code"]]
        if not self.is_pending and self.seconds is None:
            self.seconds = time.monotonic() - self.started
        return changed

    @property
    def steps(self) -> str:
        """Give the transitions, each with its time since the first."""
        if not self.timeline:
            return "refused before it was accepted: " + ", ".join(self.codes)
        first = self.timeline[0][0]
        return " -> ".join(f"{state} +{(at - first).total_seconds():.2f}" for at, state in self.timeline)

    def matches(self, expected: Any) -> bool:
        """Compare with the entry of `expected.json`."""
        if isinstance(expected, Mapping):
            return self.status in (REFUSED, "Failed") and sorted(self.codes) == sorted(expected["refused"])
        return bool(self.status == expected)


class Sessions:
    """The Web Connector's sessions so far."""

    def __init__(self) -> None:
        self._reports: list[UpdateReport] = []

    def add(self, report: UpdateReport) -> None:
        """Note one session."""
        self._reports.append(report)

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self._reports)

    @property
    def calls(self) -> int:
        """How many SOAP calls they took."""
        return sum(report.count for report in self._reports)

    def of(self, txn_id: str) -> str:
        """Name the session whose answer held this transaction, and its calls."""
        for number, report in enumerate(self._reports, start=1):
            if any(f"<TxnID>{txn_id}</TxnID>" in response for _, response in report.exchanges):
                return f"{report.count} (session {number})"
        return ""

    def troubles(self) -> list[str]:
        """Name the sessions that did not end well."""
        return [
            f"session {number} ended with {report.outcome} {report.code or ''}: {report.status}"
            for number, report in enumerate(self._reports, start=1)
            if report.outcome not in ("ok", "none")
        ]


class DemoReport:
    """Writes to standard output: live in a terminal, plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console = console or Console(highlight=False, width=PLAIN_WIDTH)
        self._status: Status | None = None
        self._last = ""

    def progress(self, text: str) -> None:
        """Show what is being done now."""
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            self._status.update(text)
        elif text.partition(":")[0] != self._last:
            self._last = text.partition(":")[0]  # one line per step, not one per document
            self.say(text)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(text, markup=False)

    def transition(self, outcome: Outcome) -> None:
        """Tell that a document has moved."""
        if self._console.is_terminal:
            self.say(f"  {outcome.name}: {outcome.state}")

    def done(self) -> None:
        """End the live line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def finish(
        self, outcomes: Sequence[Outcome], sessions: Sessions, ledger: Sequence[Posted], expected: Mapping[str, Any]
    ) -> bool:
        """Print table, transitions and verdict; say whether all is as expected."""
        self.done()
        self._console.print(_table(outcomes, sessions))
        self.say("Transitions (seconds since the first)")
        for outcome in outcomes:
            self.say(f"  {outcome.name}: {outcome.steps}")
        problems = [*sessions.troubles(), *_differences(outcomes, expected), *_ledger_problems(outcomes, ledger)]
        counts = Counter(outcome.status for outcome in outcomes)
        told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        self.say(f"\n{told}; {sessions.count} Web Connector sessions with {sessions.calls} calls.")
        for problem in problems:
            self.say(f"NOT AS EXPECTED: {problem}")
        if not problems:
            self.say(f"As expected: QuickBooks holds each of the {len(ledger)} transactions exactly once.")
        return not problems


def _table(outcomes: Sequence[Outcome], sessions: Sessions) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("Document", overflow="fold")
    for name in ("State", "TxnID", "RefNumber"):
        table.add_column(name, no_wrap=True)
    table.add_column("Seconds", justify="right", no_wrap=True)
    table.add_column("Web Connector calls", no_wrap=True)
    for outcome in outcomes:
        colour = COLOURS.get(outcome.state, "red")
        table.add_row(
            outcome.name.removesuffix(".json"),
            f"[{colour}]{outcome.state}[/]",
            outcome.txn_id,
            outcome.ref_number,
            "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
            sessions.of(outcome.txn_id) if outcome.txn_id else "",
        )
    return table


def _differences(outcomes: Sequence[Outcome], expected: Mapping[str, Any]) -> list[str]:
    found = []
    known = {outcome.name: outcome for outcome in outcomes}
    for name in sorted(known.keys() ^ expected.keys()):
        found.append(f"{name} is only in {'samples' if name in known else 'expected.json'}")
    for name, outcome in known.items():
        if name in expected and not outcome.matches(expected[name]):
            codes = f" ({', '.join(outcome.codes)})" if outcome.codes else ""
            found.append(f"{name} is {outcome.state}{codes}, expected {expected[name]}")
    return found


def _ledger_problems(outcomes: Sequence[Outcome], ledger: Sequence[Posted]) -> list[str]:
    found = []
    done = [outcome for outcome in outcomes if outcome.status == SUCCESSFUL]
    for outcome in done:
        entries = [entry for entry in ledger if entry.txn_id == outcome.txn_id]
        if len(entries) != 1:
            found.append(f"{outcome.name}: the company file holds {outcome.txn_id} {len(entries)} times")
        elif entries[0].total != Decimal(outcome.document["total"]):
            found.append(f"{outcome.name}: {entries[0].total} in QuickBooks, {outcome.document['total']} in the TMS")
    if len(ledger) != len(done):
        found.append(f"the company file holds {len(ledger)} transactions, {len(done)} exports are Successful")
    return found
