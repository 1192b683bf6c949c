"""What a seed draws of the harder world: the arguments of the functions of `harder.py`. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from simulator.by_hand import Typed
from simulator.faults import HangPoint

STRIKES = {
    "list_lies": "spoil_row",
    "storage_fails": "storage",
    "storage_full": "storage",
    "commit_unanswered": "storage",
}
"""What a run counts for a fault under another name than the fault's."""
IN_PROCESS = ("storage_fails", "storage_full", "commit_unanswered")
"""Only where the test holds the database itself: not on the real processes."""
ON_STACK = ("set_back",)
"""Only on the real processes: Temporal knows what the database has lost."""
TYPED = {
    "same": Typed(),
    "other date": Typed(days=2),
    "for a job": Typed(is_for_job=True),
    "a cent off": Typed(cents=-1),
    "other number": Typed(ref_number="10017"),
}
"""What a person types who types almost what is exported."""
POINTS: tuple[HangPoint, ...] = ("before_judged", "before_commit", "after_commits", "before_record", "after_record")
LISTS = ("CustomerQueryRq", "VendorQueryRq", "ItemQueryRq", "AccountQueryRq", "TermsQueryRq")


def _typed(draw: random.Random, document: int) -> tuple[Any, ...]:
    return document, draw.choice(list(TYPED))


DRAWS: dict[str, Callable[[random.Random, int], tuple[Any, ...]]] = {
    "odd_answer": lambda draw, _: (
        draw.choice(("0", "510", "1000", "left_out")),
        draw.random() < 0.6,
        draw.choice((1, 1, 2)),
    ),
    "copy_opened": lambda draw, _: (draw.random() < 0.5,),
    "other_spelling": lambda draw, _: (draw.randrange(7),),
    "shared_file": lambda draw, _: (draw.randrange(7),),
    "types_almost": _typed,
    "tax_on_top": lambda draw, _: (draw.choice((5, 7, 8)),),
    "list_lies": lambda draw, _: (draw.choice(LISTS), draw.choice(("info", "row"))),
    "set_back": lambda draw, _: (draw.choice(("sendRequestXML", "receiveResponseXML")), draw.choice((1, 2, 3))),
    "slow_pc": lambda draw, _: (
        draw.choice(POINTS),
        draw.choice((4, 10, 70)),
        draw.choice((1, 2)),
    ),
    "clock_behind": lambda draw, _: (draw.choice((-2, 2, 3, 10)),),
    "wrong_word": lambda _draw, _: (),
    "storage_fails": lambda draw, _: (draw.randint(1, 60),),
    "storage_full": lambda _draw, _: (),
    "commit_unanswered": lambda draw, _: (draw.randint(1, 6), draw.random() < 0.5),
}
"""What each takes beside the world and the desk; the second argument is the number of a document of the plan."""
HELD = tuple(name for name in DRAWS if name not in ON_STACK)
