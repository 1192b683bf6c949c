"""The whole system as real processes: Temporal, worker, bridge and API, with the simulated QuickBooks outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(180)
def test_the_demo_brings_every_sample_to_its_expected_end(tmp_path: Path) -> None:
    """`./qbd demo` exits 0, and its table shows each sample with its state."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("QBD_", "TEMPORAL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "ops", "demo"],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    expected = json.loads((ROOT / "samples" / "expected.json").read_text())
    for name, wanted in expected.items():
        shown = name.removesuffix(".json")
        state = "Successful" if wanted == "Successful" else "Refused"
        assert re.search(rf"{re.escape(shown)}\s+{state}", done.stdout), f"{shown} should be {state}"
    assert not list(tmp_path.iterdir()), "the demo leaves nothing behind where it was started"
