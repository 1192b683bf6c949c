"""Writing changed rows past the session's unit of work, which sorts and compares and takes longer than the database.

For what every call of the Web Connector changes: rows that were read in the same transaction, whose keys stay.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, inspect, update
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.exc import StaleDataError

from store.engine import connection_of

_KEY = "key_of_row_"


def write_changes(session: Session) -> None:
    """Write what has changed in the rows of a session, one statement a row; it is over with them then.

    New and deleted rows are left to the session, and so is everything beside them, for their order matters. Raises
    `StaleDataError`, as the session does, when a row is not there any more.
    """
    if session.new or session.deleted:
        session.flush()
        return
    for row in list(session.dirty):
        state = inspect(row)
        before, now = state.committed_state, state.dict
        values = {name: now[name] for name in sorted(before) if before[name] != now[name]}
        if values:
            keys = {f"{_KEY}{number}": value for number, value in enumerate(state.identity)}
            written = connection_of(session).execute(_update(state.mapper, tuple(values)), {**values, **keys})
            if written.rowcount != 1:
                raise StaleDataError(f"a row of {state.mapper.local_table} that was changed is not there any more")
    session.expunge_all()


@cache
def _update(mapper: Mapper[Any], names: tuple[str, ...]) -> Update:
    """Built once for each choice of columns; there are few."""
    table = mapper.local_table
    keys = (key == bindparam(f"{_KEY}{number}", type_=key.type) for number, key in enumerate(mapper.primary_key))
    return update(table).where(*keys).values({name: bindparam(name) for name in names})  # type: ignore[arg-type]
