"""A PostgreSQL server for tests: the one that QBD_TEST_POSTGRESQL_URL names, or one started from what is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from ops.ports import free_ports
from store.engine import Database
from store.metadata import METADATA

SETTING = "QBD_TEST_POSTGRESQL_URL"
USERS = ("postgres", "nobody")
"""Whom the server runs as when the tests run as root, which it refuses."""


def binaries() -> Path | None:
    """Find the folder of `initdb` and `pg_ctl`, the newest installed one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Server:
    """A server of our own in a folder of its own, on loopback."""

    def __init__(self, bin_folder: Path, *, durable: bool = False) -> None:
        """`durable` waits for the disk, for measurements: in tests no power fails, and a killed one still recovers."""
        self._fsync = "on" if durable else "off"
        self._bin = bin_folder
        self._user = next((user for user in USERS if _exists(user)), None) if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="qbd-pg-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._data = self._folder / "data"
        [self.port] = free_ports(1)
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the cluster, if it is not there, and start it."""
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync={self._fsync}"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is what a crash looks like to its clients."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def close(self) -> None:
        """Stop it and remove its folder."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def follower(self) -> Server:
        """Make an asynchronous standby of this running server; it is not started."""
        other = Server(self._bin)
        place = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        other._run("pg_basebackup", "-D", str(other._data), "-d", place, "-R", "-c", "fast")
        return other

    def promote(self) -> None:
        """Let a standby take over."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "promote")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            cwd=self._folder,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


@contextmanager
def database_on(server_url: str) -> Iterator[str]:
    """Make a new database on a server and give its address; it is dropped afterwards."""
    url = make_url(server_url).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"qbd_test_{uuid.uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        admin.dispose()
        with admin.connect() as connection:
            connection.execute(text(f"drop database if exists {name} with (force)"))
        admin.dispose()


class Scratch:
    """One migrated database that many tests use, one after the other.

    Emptying it takes some milliseconds; a clone of a template takes a hundred, and migrating a new one three hundred.
    """

    def __init__(self, url: str) -> None:
        """`url` names a database of ours alone, without tables."""
        self.url = url
        self._database = Database(url)
        self._database.migrate()
        self._engine = self._database.engine
        with self._engine.connect() as connection:
            numbered = connection.execute(text(NUMBERED)).scalars().all()
        tables = [f"delete from {table.name}" for table in reversed(METADATA.sorted_tables)]
        self._statements = ";".join([OTHERS, *tables, *(f"alter sequence {one} restart" for one in numbered)])

    def empty(self) -> None:
        """Delete every row and begin the numbers anew; what a test before left connected is cut off."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("set local lock_timeout = '30s'")
            connection.exec_driver_sql(self._statements)

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()


OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
)
"""Ends every other connection to this database."""
NUMBERED = "select sequence_name from information_schema.sequences where sequence_schema = 'public'"


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
