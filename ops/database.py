"""Opening and migrating the database that the settings name."""

from __future__ import annotations

from ops.problems import ProblemError
from ops.settings import Settings
from store.engine import Database, Passing, go_on


class DataFolderError(ProblemError):
    """The data folder cannot be used."""


def open_database(settings: Settings, *, passing: Passing = go_on, plans_once: bool = False) -> Database:
    """Open the database; raise `DatabaseProblemError` unless it answers and is migrated. `plans_once`: see there."""
    database = _opened(settings, passing, plans_once=plans_once)
    try:
        database.check()
    except BaseException:
        database.close()
        raise
    return database


def migrate(settings: Settings) -> str:
    """Bring the database to this program's version; give its address without the password."""
    database = _opened(settings)
    try:
        database.migrate()
        return database.shown
    finally:
        database.close()


def make_data_folder(settings: Settings) -> None:
    """Make the folder; raise `DataFolderError` when that is not possible."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        folder = settings.data_dir.absolute()
        raise DataFolderError(
            f"The data folder {folder} cannot be made: {error.strerror}. Set QBD_DATA_DIR."
        ) from error


def _opened(settings: Settings, passing: Passing = go_on, *, plans_once: bool = False) -> Database:
    if settings.database_url is None:
        make_data_folder(settings)  # SQLite makes the file, but not the folder
    return Database(settings.database, passing=passing, plans_once=plans_once)
