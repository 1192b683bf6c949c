"""Opening the database, migrating it, and the transaction that callers own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from store import epochs, identity
from store.changes import write_changes, write_gathered
from store.connections import LOCK_WAIT_S, open_postgresql, open_sqlite
from store.within import carrying, tell_all

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
LIGHT_POOL = 8
_T = TypeVar("_T")
Passing = Callable[[str], None]
"""Told the name of each point that work passes. Tests make a process die there; otherwise nothing happens."""


def go_on(_point: str) -> None:
    """Pass every point."""


@functools.cache
def revisions() -> tuple[str, ...]:
    """Give this program's migrations, oldest first: the numbers that their files begin with.

    Alembic reads the same (tests/store/test_migrations.py), but loading it is a tenth of a process's start, and only
    migrating needs it.
    """
    return tuple(sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")))


class DatabaseProblemError(Exception):
    """The database cannot be used; the message is one line for a person."""


class Database:
    """An engine and its transactions. Make one per process, after any fork."""

    def __init__(self, url: str, *, passing: Passing = go_on, plans_once: bool = False) -> None:
        """`plans_once`: see `connections.open_postgresql`."""
        self._plans_once = plans_once
        self.passing = passing
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise DatabaseProblemError(
                "QBD_DATABASE_URL is not a database address, such as postgresql://user:password@host/name."
            ) from error
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if not self.is_sqlite and parsed.get_backend_name() != "postgresql":
            raise DatabaseProblemError("QBD_DATABASE_URL must name a SQLite or PostgreSQL database.")
        self.url = parsed
        self.engine: Engine = self._open(waits=True, size=20)
        self._unhurried: Engine = self._open(waits=False, size=LIGHT_POOL)
        self._light: Engine = self._open(waits=False, size=LIGHT_POOL, commits_each=True)
        self._writing = threading.Lock()

    def _open(self, *, waits: bool, size: int, commits_each: bool = False) -> Engine:
        """Give a way to the database: whose commits wait for the disk, and whose statements are committed each."""
        if self.is_sqlite:
            return open_sqlite(self.url, waits=waits, size=size, commits_each=commits_each, met=self._meet)
        return open_postgresql(
            self.url, waits=waits, size=size, commits_each=commits_each, met=self._meet, plans_once=self._plans_once
        )

    def _meet(self, connection: Any) -> None:
        """Notice on a new connection that the database is not the one that it was, before anything is read from it."""
        found = identity.changed(connection, self.url.database if self.is_sqlite else None)
        if found is None:
            return
        if not self.is_sqlite:
            connection.autocommit = False
        alone = create_engine(self.url.set(query={}), creator=lambda: connection, poolclass=StaticPool)
        try:
            with alone.begin() as one:
                if self.is_sqlite:
                    one.exec_driver_sql("begin immediate")  # its driver begins nothing by itself here
                with Session(one, info=carrying(one)) as session:
                    epochs.look(session, found, now=identity.now())
                    session.flush()
        finally:
            alone.dispose(close=False)
            if not self.is_sqlite:
                connection.autocommit = True

    @contextmanager
    def transaction(self, step: str = "", *, waits: bool = True) -> Iterator[Session]:
        """Commit at the end, roll back on any exception. On SQLite it holds the write lock from its start.

        A named step passes the points `{step}: before commit` and `{step}: after commit`. One that does not wait for
        the disk (`waits`) may be gone after a loss of power, together with all that came later: a later commit that
        waits takes it to the disk as well.
        """
        engine = self.engine if waits else self._unhurried
        with self._turn(), engine.begin() as connection:
            session = Session(connection, expire_on_commit=False, info=carrying(connection))
            try:
                yield session
                write_changes(session)
            finally:
                session.close()
            if step:
                self.passing(f"{step}: before commit")
        tell_all(session)
        if step:
            self.passing(f"{step}: after commit")

    def at_once(self, step: str, work: Callable[[Session], _T]) -> _T:
        """Have something written without a wait for the disk, on PostgreSQL by one statement instead of a transaction.

        `work` only gathers, by `changes.add_row` and `change_row`, one row a table. Raises `StaleDataError` when a row
        is not as it was known; nothing is written then. Points are passed as in a transaction.
        """
        if self.is_sqlite:
            with self.transaction(step, waits=False) as session:
                return work(session)
        session = Session()
        answer = work(session)
        self.passing(f"{step}: before commit")
        with self._light.connect() as connection:
            write_gathered(session, connection)
        tell_all(session)
        self.passing(f"{step}: after commit")
        return answer

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let the threads of this process write one after the other on SQLite, whose own wait is a row of sleeps.

        Who waited too long goes on: SQLite then says itself that the database is locked.
        """
        has_turn = self.is_sqlite and self._writing.acquire(timeout=LOCK_WAIT_S)
        try:
            yield
        finally:
            if has_turn:
                self._writing.release()

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Give a connection without a transaction, for reads and for notes that nobody needs after a crash.

        Each statement is committed by itself and does not wait for the disk. A durable commit that follows takes what
        was written before it to the disk as well, so nothing durable ever rests on a note that is lost.
        """
        with self._light.connect() as connection:
            yield connection

    def check(self) -> None:
        """Raise `DatabaseProblemError` unless the database answers and is at this program's migration or a later one.

        A later one is what a process finds that starts again during an upgrade: the schema only grows.
        """
        try:
            with self.engine.connect() as connection:
                connection.execute(text("select 1"))
                current = _revision_of(connection)
                moved = epochs.moved_to(connection) if current == revisions()[-1] else None
        except SQLAlchemyError as error:
            raise DatabaseProblemError(
                f"The database {self.shown} does not answer: {str(error.__cause__ or error).splitlines()[0]}"
            ) from error
        if not _is_newer(current) and current != revisions()[-1]:
            raise DatabaseProblemError(
                f"The database {self.shown} is at migration {current or 'none'}, this program needs {revisions()[-1]}. "
                "Run: ./qbd migrate"
            )
        if moved is not None:
            to, at = moved
            raise DatabaseProblemError(
                f"Everything in {self.shown} was moved to {to} on {at:%B %-d, %Y}, so this one is not used any more. "
                "Set QBD_DATABASE_URL to that one."
            )

    def is_at_this_version(self) -> bool:
        """Say whether it is at this program's migration, and not at a later one."""
        with self.engine.connect() as connection:
            return _revision_of(connection) == revisions()[-1]

    def answers(self) -> bool:
        """Say whether the database answers and was ever migrated; never raises.

        At which migration it is does not matter: running processes go on while a newer program is brought in.
        """
        try:
            with self.engine.connect() as connection:
                return _revision_of(connection) is not None
        except SQLAlchemyError:
            return False

    def migrate(self) -> None:
        """Bring the schema to this program's version; on a current or newer database it changes nothing.

        Other processes may be at work, other migrations too: see `store.online`.
        """
        from store import online  # noqa: PLC0415

        try:
            if self.is_sqlite:
                with self.engine.begin() as connection:
                    self._upgrade(connection)
            else:
                with online.one_at_a_time(self.engine):
                    self._upgrade_patiently()
        except SQLAlchemyError as error:
            raise DatabaseProblemError(
                f"The database {self.shown} cannot be migrated: {str(error.__cause__ or error).splitlines()[0]}"
            ) from error

    def _upgrade_patiently(self) -> None:
        """Each revision is a transaction: a try goes on where the one before met a lock that was held for too long."""
        from store import online  # noqa: PLC0415

        for left in reversed(range(online.TRIES)):
            try:
                with self.engine.connect() as connection:
                    online.no_long_waits(connection)
                    self._upgrade(connection)
                    return
            except OperationalError as error:
                if not left or not online.is_passing(error):
                    raise

    def _upgrade(self, connection: Connection) -> None:
        if _is_newer(_revision_of(connection)):
            return
        if not self.is_sqlite:
            connection.rollback()  # ends what reading began: Alembic makes a transaction for each revision
        from alembic import command  # noqa: PLC0415

        config = self._alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Give all ways to the database, for whoever watches what runs on them."""
        return self.engine, self._unhurried, self._light

    @property
    def shown(self) -> str:
        """Give the address without its password."""
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Give the connections back."""
        for engine in self.engines:
            engine.dispose()

    @staticmethod
    def _alembic() -> Config:
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        return config


def _revision_of(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"select version_num from {VERSION_TABLE}"))  # noqa: S608 no input
    return revision


def _is_newer(revision: str | None) -> bool:
    """Say whether a revision is one that this program does not know: a later version of it made it."""
    return revision is not None and revision not in revisions()
