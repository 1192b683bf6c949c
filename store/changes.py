"""Writing changed rows past the session's unit of work, which sorts and compares and takes longer than the database.

For what every call of the Web Connector changes: rows that were read in the same transaction, whose keys stay.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Table, Update, bindparam, inspect, update
from sqlalchemy.orm import Session

from store.engine import connection_of

_KEY = "key_of_row"


def write_changes(session: Session) -> None:
    """Write what has changed in the rows of a session, one statement a row; it is over with them then.

    New and deleted rows are left to the session, and so is everything beside them, for their order matters.
    """
    if session.new or session.deleted:
        session.flush()
        return
    for row in list(session.dirty):
        state = inspect(row)
        before, now = state.committed_state, state.dict
        values = {name: now[name] for name in sorted(before) if before[name] != now[name]}
        if values:
            statement = _update(state.mapper.local_table, tuple(values))
            connection_of(session).execute(statement, {**values, _KEY: state.identity[0]})
    session.expunge_all()


@cache
def _update(table: Table, names: tuple[str, ...]) -> Update:
    """Built once for each choice of columns; there are few."""
    [key] = table.primary_key.columns
    return update(table).where(key == bindparam(_KEY, type_=key.type)).values({name: bindparam(name) for name in names})
