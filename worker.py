"""Starts the Temporal worker: `python worker.py` (or `./qbd worker`). Ends on SIGTERM after the work in hand."""

from __future__ import annotations

from ops.worker_process import main

if __name__ == "__main__":
    main()
