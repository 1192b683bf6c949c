"""Figures count what is so now."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store import companies, figures
from store.engine import Database
from tests.support import stores

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_problem_that_was_mended_counts_no_more(database: Database) -> None:
    """It is JSON's null afterwards, which is not the null that a company has at first."""
    stores.add_company(database, last_seen_at=NOW)
    seen = []
    for problem in ({"code": "dialog_open"}, None):
        with database.transaction() as session:
            owner = companies.company(session, "acme")
            assert owner is not None
            owner.problem = problem
        with database.transaction() as session:
            found = figures.connections(session, NOW)
            seen.append((found.refused, found.connected))
    assert seen == [(1, 0), (0, 1)]
