"""Large lists: memory stays flat and calls grow with the rows only."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.list_sync import measure

PAGE = 50


@pytest.mark.long
def test_memory_does_not_grow_with_the_list_and_calls_grow_in_step(tmp_path: Path) -> None:
    """Four times the customers: the same peak, four times the pages."""
    measure(50, tmp_path, page=PAGE)  # fills the caches
    small, large = measure(200, tmp_path, page=PAGE), measure(800, tmp_path, page=PAGE)
    assert small.is_equal
    assert large.is_equal
    assert large.peak_bytes < small.peak_bytes * 1.3 + 200_000, (small, large)
    assert large.sets - small.sets == (800 - 200) // PAGE


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("cut_every", [0, 60])
def test_fifty_thousand_customers(tmp_path: Path, cut_every: int) -> None:
    """No row lost or repeated, in one session or in many that were cut."""
    small, large = measure(5_000, tmp_path, cut_every=cut_every), measure(50_000, tmp_path, cut_every=cut_every)
    assert large.is_equal
    assert large.rows == 50_000
    assert large.peak_bytes < small.peak_bytes * 1.3 + 2_000_000, (small, large)
    assert large.sets <= 50_000 // 200 * 1.2 + 30
    assert cut_every == 0 or large.sessions > 3
