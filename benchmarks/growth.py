"""How cost grows: with companies, with the lines of a document, with the length of a list."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks import filling, list_sync
from benchmarks.queue_length import dispatcher_over, one_set, read_by
from benchmarks.report import Figure
from benchmarks.surroundings import Place

ROUNDS = 30
FLAT = 1.5
MEMORY_FLAT = 1.3
MEMORY_SLACK = 2_000_000


def best_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Give the least processor time of some work: what it takes when nothing else disturbs the caches."""
    least = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return 1000 * least


def companies(place: Place, *, counts: tuple[int, ...]) -> list[Figure]:
    """Poll among more and more companies."""
    database = place.new_database()
    dispatcher = dispatcher_over(database)
    reads: dict[int, int] = {}
    spent: dict[int, float] = {}
    made = 0
    for count in counts:
        filling.add_companies(database, count - made, first=made)
        made = count
        user = f"qbwc-{filling.company_id(count // 2)}"

        def poll(user: str = user) -> None:
            if dispatcher.authenticate(user, filling.PASSWORD) != ["", "none"]:
                raise RuntimeError("the poll found something to do")

        reads[count], spent[count] = read_by(database, poll), best_ms(poll)
    fewest, most = counts[0], counts[-1]
    unit = "steps" if database.is_sqlite else "blocks"
    return [
        Figure(
            what=f"idle poll: read among {most:,} companies against {fewest:,}",
            database=place.kind,
            value=reads[most] / reads[fewest],
            raw={f"{unit}_at_{count:,}": found for count, found in reads.items()}
            | {f"ms_at_{count:,}": round(ms, 3) for count, ms in spent.items()},
        )
    ]


def document_lines(place: Place, *, lines: tuple[int, ...], rounds: int = 3) -> list[Figure]:
    """Prepare and export documents with more and more lines."""
    database = place.new_database()
    filling.add_companies(database, 1)
    company = filling.company_id(0)
    dispatcher = dispatcher_over(database)
    prepared: dict[int, float] = {}
    sent: dict[int, float] = {}
    number = 0
    for count in lines:
        for _ in range(rounds):
            number += 1
            document = filling.an_invoice(f"inv_{number}", count)
            began = time.process_time()
            filling.prepare(database, company, document)
            spent = 1000 * (time.process_time() - began)
            prepared[count] = min(prepared.get(count, spent), spent)
            sent[count] = min(sent.get(count, float("inf")), one_set(dispatcher, company, documents=1))
    fewest, most = lines[0], lines[-1]
    return [
        Figure(
            what=f"preparing a document of {most:,} lines against {fewest:,}",
            database=place.kind,
            value=prepared[most] / prepared[fewest],
            raw={f"ms_at_{count:,}": round(ms, 2) for count, ms in prepared.items()}
            | {f"session_ms_at_{count:,}": round(ms, 2) for count, ms in sent.items()},
        )
    ]


def lists(place: Place, *, customers: tuple[int, ...]) -> list[Figure]:
    """Sync lists of more and more customers; none may be lost or repeated, and memory may not grow."""
    found = {
        count: list_sync.measure(count, place.folder, database=place.new_database(), traced=True) for count in customers
    }
    small, large = found[customers[0]], found[customers[-1]]
    wrong = sum(not one.is_equal for one in found.values()) + sum(one.rows != one.customers for one in found.values())
    return [
        Figure(
            what=f"list sync of {large.customers:,} customers: lists with rows lost or repeated",
            database=place.kind,
            value=wrong,
            at_most=0,
            raw={"rows": large.rows, "message_sets": large.sets, "calls": large.calls, "sessions": large.sessions},
        ),
        Figure(
            what=f"list sync: peak memory with {large.customers:,} customers against {small.customers:,}",
            database=place.kind,
            value=large.peak_bytes / small.peak_bytes,
            at_most=MEMORY_FLAT + MEMORY_SLACK / small.peak_bytes,
            raw={f"MB_at_{count:,}": round(one.peak_bytes / 1e6, 2) for count, one in found.items()}
            | {f"s_traced_at_{count:,}": round(one.seconds, 1) for count, one in found.items()},
        ),
    ]
