"""`python -m ops`: what `./qbd` runs."""

from __future__ import annotations

import sys

from ops.garbage import search_seldom

search_seldom()

from ops.cli import main  # noqa: E402  after that: loading is what it spares

sys.exit(main())
