"""What a transaction of `engine.Database` carries beside its session: its connection, and what is told after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

_AFTER_COMMIT = "after_commit"
_CONNECTION = "connection"


def carrying(connection: Connection) -> dict[str, Any]:
    """Give the `info` of a session over this connection."""
    return {_CONNECTION: connection}


def connection_of(session: Session) -> Connection:
    """Give the connection of a transaction, for statements past the session's machinery.

    What they read and change is what is flushed. The session itself would look for it anew each time.
    """
    found: Connection | None = session.info.get(_CONNECTION)
    return found if found is not None else session.connection()


def after_commit(session: Session, tell: Callable[[], None]) -> None:
    """Have something told once the transaction has become true: a metric, a log line, a span. It must not raise."""
    session.info.setdefault(_AFTER_COMMIT, []).append(tell)


def tell_all(session: Session) -> None:
    """Tell what waited for the transaction to become true."""
    for told in session.info.pop(_AFTER_COMMIT, ()):
        told()


def take_back(session: Session) -> None:
    """Undo all of a transaction, and forget what was to be written and told; nothing but its end may follow."""
    connection = connection_of(session)
    session.expunge_all()
    session.info.clear()
    connection.rollback()
