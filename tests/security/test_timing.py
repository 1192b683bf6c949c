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


def test_every_sign_in_compares_twice_in_constant_time(
    database: Database, clock: stores.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right, wrong, unknown, with and without an old password: always the same comparisons of the same length."""
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
    for user, password in (
        ("qbwc-acme", stores.PASSWORD),
        ("qbwc-acme", "wrong"),
        ("qbwc-nobody", "wrong"),
        ("qbwc-grace", "old"),
        ("qbwc-grace", "wrong"),
        ("", ""),
    ):
        lengths.clear()
        bridge.authenticate(user, password, "203.0.113.7")
        assert lengths == [(64, 64), (64, 64)]
