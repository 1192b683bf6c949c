"""`./qbd bench`: every budget of the design on each database, as a table, as JSON and into docs/performance.md."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from benchmarks import counts, growth, queue_length, report, throughput, wire
from benchmarks.report import Figure
from benchmarks.surroundings import POSTGRESQL, ROOT, SQLITE, NotHereError, Place, facts, place

PAGE = ROOT / "docs" / "performance.md"
Benchmark = Callable[[Place, bool], list[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "counts": lambda here, _quick: counts.measure(here),
    "polls": lambda here, quick: wire.idle_polls(here, seconds=2 if quick else 8),
    "sessions": lambda here, quick: wire.durable_sessions(here, sessions=200 if quick else 1500),
    "throughput": lambda here, quick: throughput.measure(here, exports=60 if quick else 400),
    "queue": lambda here, quick: queue_length.next_set(
        here, lengths=(100, 10_000) if quick else (100, 10_000, 1_000_000)
    ),
    "companies": lambda here, quick: growth.companies(here, counts=(1, 100) if quick else (1, 100, 10_000)),
    "lines": lambda here, quick: growth.document_lines(here, lines=(1, 100) if quick else (1, 10, 100, 1000)),
    "lists": lambda here, quick: growth.lists(here, customers=(500, 1500) if quick else (5_000, 50_000)),
}
"""The order is that of the budgets; growth follows."""


def main() -> int:
    """Run what was asked for; 1 when a budget is missed, 2 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="qbd bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--database", choices=[SQLITE, POSTGRESQL, "both"], default="both")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="measure nothing: use the figures of a run")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    # What runs in this process has nothing to say unless it fails.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    # A run that is told to stop ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    surroundings = facts()
    if chosen.from_json:
        stored = json.loads(chosen.from_json.read_text(encoding="utf-8"))
        figures, surroundings, problems = report.from_json(stored), stored["surroundings"], 0
    else:
        kinds = [SQLITE, POSTGRESQL] if chosen.database == "both" else [chosen.database]
        figures, problems = run(chosen.names or list(BENCHMARKS), kinds, quick=chosen.quick)
    if chosen.quick:
        surroundings["sizes"] = "small (--quick)"
    print(report.as_text(figures))
    if chosen.json:
        text = json.dumps(report.as_json(figures, surroundings), indent=1)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    if chosen.write_docs:
        report.write_into(PAGE, report.as_markdown(figures, surroundings))
    if problems:
        return 2
    return int(any(figure.is_met is False for figure in figures))


def run(names: list[str], kinds: list[str], *, quick: bool) -> tuple[list[Figure], int]:
    """Run benchmarks on each kind of database; gives the figures, and how many could not be measured."""
    figures: list[Figure] = []
    problems = 0
    with tempfile.TemporaryDirectory(prefix="qbd-bench-") as folder:
        for kind in kinds:
            try:
                with place(kind, Path(folder) / kind) as here:
                    for name in names:
                        problems += measured(name, here, figures, quick=quick)
            except NotHereError as error:
                print(f"{kind}: not measured, {error}", file=sys.stderr)
                problems += 1
    return figures, problems


def measured(name: str, here: Place, figures: list[Figure], *, quick: bool) -> int:
    """Run one benchmark; gives 1 after one sentence when it could not be measured, and the others go on."""
    began = time.monotonic()
    print(f"{here.kind}: {name} ...", end=" ", file=sys.stderr, flush=True)
    try:
        figures += BENCHMARKS[name](here, quick)
    except (RuntimeError, OSError, TimeoutError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
