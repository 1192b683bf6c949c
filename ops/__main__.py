"""`python -m ops`: what `./qbd` runs."""

from __future__ import annotations

import gc
import sys

# Loading makes a quarter of a million objects that all stay. At the usual threshold of 700, a seventh of the start goes
# into looking for garbage among them.
gc.set_threshold(50_000)

from ops.cli import main  # noqa: E402

sys.exit(main())
