"""Opening and migrating the database that the settings name."""

from __future__ import annotations

import logging

from ops.beginnings import require_no_full_file
from ops.private_files import tighten
from ops.problems import ProblemError
from ops.settings import Settings
from store.engine import Database, Passing, go_on

log = logging.getLogger(__name__)


class DataFolderError(ProblemError):
    """The data folder cannot be used."""


def open_database(settings: Settings, *, passing: Passing = go_on, plans_once: bool = False) -> Database:
    """Open the database; raise `DatabaseProblemError` unless it answers and is migrated. `plans_once`: see there.

    Raises `BeginningAnewError` when it is empty and the data folder holds another that is not.
    """
    database = _opened(settings, passing, plans_once=plans_once)
    try:
        database.check()
        require_no_full_file(settings, database)
    except BaseException:
        database.close()
        raise
    return database


def migrate(settings: Settings) -> str:
    """Bring the database to this program's version; give its address without the password."""
    database = _opened(settings)
    try:
        database.migrate()
        database.check()  # it may have been moved
        require_no_full_file(settings, database)
        return database.shown
    finally:
        database.close()


def make_data_folder(settings: Settings) -> None:
    """Make the folder, or close it to other users; raise `DataFolderError` when that is not possible."""
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        changed = tighten(folder)
    except OSError as error:
        raise DataFolderError(
            f"The data folder {folder} cannot be made: {error.strerror}. Set QBD_DATA_DIR."
        ) from error
    if changed:
        # Without logs set up, as in `qbd up` and `qbd keys`, this is a line on standard error.
        log.warning(
            "Other users could read the data folder %s; it is closed to them now (%d paths).", folder, len(changed)
        )


def _opened(settings: Settings, passing: Passing = go_on, *, plans_once: bool = False) -> Database:
    if settings.database_url is None:
        make_data_folder(settings)  # SQLite makes the file, but not the folder
    return Database(settings.database, passing=passing, plans_once=plans_once)
