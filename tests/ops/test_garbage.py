"""What a process loads before it works is no longer searched for garbage; what it makes later is."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, weakref
import ops.wiring
from ops.garbage import leave_out_what_stays

class Ring:
    pass

def a_ring():
    ring = Ring()
    ring.itself = ring
    return weakref.ref(ring)

before = len(gc.get_objects())
leave_out_what_stays()
assert gc.get_freeze_count() > before / 2, gc.get_freeze_count()
assert len(gc.get_objects()) < before / 10, len(gc.get_objects())
later = a_ring()
gc.collect()
assert later() is None
"""


def test_what_is_loaded_is_left_out_and_later_garbage_is_found() -> None:
    """In a process of its own: it holds for the whole process."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
