"""What is told of the installation is told once it is true."""

from __future__ import annotations

import pytest

from store.engine import Database
from store.within import after_commit
from tests.support import stores


def test_what_is_told_after_a_commit_is_not_told_after_a_rollback(database: Database) -> None:
    """Metrics, log lines and spans say only what became true."""
    told: list[str] = []
    stores.add_company(database)
    with database.transaction() as session:
        after_commit(session, lambda: told.append("true"))
        assert not told
    with pytest.raises(RuntimeError), database.transaction() as session:
        after_commit(session, lambda: told.append("false"))
        raise RuntimeError
    assert told == ["true"]
