"""Python's search for garbage, in processes that run for weeks."""

from __future__ import annotations

import gc

LOADING_MAX = 50_000
"""How many more objects there are when the youngest are searched, while a process loads; Python's own number is 700."""
WORKING_MAX = 10_000


def search_seldom() -> None:
    """Spare a start: loading makes a quarter of a million objects that all stay, and searching them is a seventh of it.

    It also serves commands that end before they have made much.
    """
    gc.set_threshold(LOADING_MAX, *gc.get_threshold()[1:])


def leave_out_what_stays() -> None:
    """Let later searches pass over all that is loaded by now, modules and classes above all: it stays anyway.

    It is called once, when a process has loaded what it works with. Without it each full search looks at some 150,000
    objects, which takes a tenth of a second in which the process does nothing else.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(WORKING_MAX, *gc.get_threshold()[1:])
