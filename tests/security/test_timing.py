"""What the time of an answer could tell: counted by comparisons, not by a clock."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.session import Limits
from store import secrets
from store.engine import Database
from tests.support import stores


def test_every_refused_sign_in_makes_the_same_comparisons_in_constant_time(
    database: Database, clock: stores.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong, unknown, with and without an old password: twice two of the same length; a good one ends after two."""
    stores.add_company(database)
    until = clock.now.replace(year=2100)
    old = secrets.hash_password("old")
    stores.add_company(database, "grace", previous_password_hash=old, previous_password_until=until)
    bridge = Dispatcher(database, limits=Limits(), clock=clock, new_id=stores.counter("SET"))
    lengths: list[tuple[int, int]] = []
    genuine = hmac.compare_digest

    def watched(left: Any, right: Any) -> bool:
        lengths.append((len(left), len(right)))
        return genuine(left, right)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    for user, password, times in (
        ("qbwc-acme", stores.PASSWORD, 2),
        ("qbwc-acme", "wrong", 4),
        ("qbwc-nobody", "wrong", 4),
        ("qbwc-grace", "old", 2),
        ("qbwc-grace", "wrong", 4),
        ("", "", 4),
    ):
        lengths.clear()
        bridge.authenticate(user, password, "203.0.113.7")
        assert lengths == [(64, 64)] * times
