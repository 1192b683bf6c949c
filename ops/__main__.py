"""`python -m ops`: what `./qbd` runs."""

from __future__ import annotations

import gc
import sys

# Loading makes a hundred thousand objects that all stay: at the usual 700 each, looking through them for garbage takes
# an eighth of the start.
gc.set_threshold(50_000)

from ops.cli import main  # noqa: E402

sys.exit(main())
