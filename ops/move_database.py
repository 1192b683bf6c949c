"""`qbd move-database`: everything from one database into another, empty one, while nothing of ours runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ops.fresh import now
from ops.problems import ProblemError
from ops.settings import Settings
from ops.stack import data_folder
from store.engine import Database
from store.moving import move, require_alone_on_file


def run_move(settings: Settings, *, source: str | None, target: str | None, tell: Callable[[str], None]) -> None:
    """Move from `source`, by default the file in the data folder, to `target`, by default QBD_DATABASE_URL.

    Raises `ProblemError` or `DatabaseProblemError`; then the target holds nothing and the source can go on.
    """
    if target is None and settings.database_url is None:
        raise ProblemError("Where to? Give --to postgresql://user:password@host/name, or set QBD_DATABASE_URL.")
    source = source or settings.embedded_database
    target = target or settings.database
    with ExitStack() as held:
        if source == settings.embedded_database and settings.data_dir.exists():
            held.enter_context(data_folder(settings))  # neither does `qbd up` begin meanwhile
        if (path := _file_of(source)) is not None:
            if not path.exists():
                raise ProblemError(f"There is no database {path}; give --from the address of the one to move.")
            require_alone_on_file(path)
        one, other = held.enter_context(closing(Database(source))), held.enter_context(closing(Database(target)))
        moved = move(one, other, now=now(), tell=tell)
        tell(f"{sum(moved.values()):>10}  rows were moved from {one.shown} to {other.shown} and compared there.")
        tell("Set QBD_DATABASE_URL to that address from now on; the database before is refused.")


def _file_of(address: str) -> Path | None:
    """Give the file of an SQLite address; None for a server, and for what `Database` will refuse."""
    try:
        url = make_url(address)
    except ArgumentError:
        return None
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
