"""Starts the Temporal worker: `python worker.py` is the same as `./qbd worker`. It ends on SIGTERM."""

from __future__ import annotations

import sys

from ops.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["worker"]
    raise SystemExit(main())
