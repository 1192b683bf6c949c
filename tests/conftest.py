"""Fixtures that several levels share."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import settings
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from store.engine import Database
from tests.support import postgres, stores
from workflows import search_attributes

# Until every test is collected: what that makes stays, and looking through it for garbage takes a third of the time.
gc.disable()

DATABASE_SETTING = "QBD_TEST_DATABASE"
KINDS_OF_CHOICE: dict[str, list[Any]] = {
    "default": [],
    "sqlite": ["sqlite"],
    "postgresql": ["postgresql"],
    "both": ["sqlite", "postgresql"],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=KINDS_OF_CHOICE,
        default=os.environ.get(DATABASE_SETTING) or "default",
        help=f"which databases the tests run on (or {DATABASE_SETTING}); default: SQLite, what is marked "
        "`both_databases` on PostgreSQL too, and the rest on PostgreSQL with -m long",
    )


def pytest_configure() -> None:
    """Examples of hypothesis have no time limit each: on a busy machine that says nothing of the code."""
    settings.register_profile("qbd", deadline=None)
    settings.load_profile("qbd")


def pytest_collection_finish() -> None:
    """From here on there is garbage; what was collected is none, and is not looked at again."""
    gc.freeze()
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with a database runs once for each kind that was chosen."""
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "database_kind" not in metafunc.fixturenames or "database_kind" in own:
        return
    kinds: list[Any] = KINDS_OF_CHOICE[metafunc.config.getoption("--database")]
    if not kinds:
        is_quick = metafunc.definition.get_closest_marker("both_databases") is not None
        kinds = ["sqlite", "postgresql" if is_quick else pytest.param("postgresql", marks=pytest.mark.long)]
    metafunc.parametrize("database_kind", kinds, indirect=True)


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """What this test's database runs on: sqlite or postgresql."""
    return str(request.param)


@pytest.fixture
def database(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated database of this test's own, without a row."""
    if database_kind == "sqlite":
        yield from stores.sqlite(tmp_path)
    else:
        yield from stores.postgresql(request.getfixturevalue("scratch"))


@pytest.fixture
def clock() -> stores.Clock:
    """A clock that the test moves."""
    return stores.Clock()


def temporal_binary() -> str:
    """The development server that came with the pinned requirements."""
    path = Path(sysconfig.get_path("scripts")) / "temporal"
    found = str(path) if path.exists() else shutil.which("temporal")
    if found is None:
        pytest.skip("the Temporal development server is not installed")
    return found


@pytest_asyncio.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """One development server for the whole run."""
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_binary(),
        data_converter=pydantic_data_converter,
        search_attributes=list(search_attributes.ALL),
        dev_server_log_level="error",
    )
    yield env
    await env.shutdown()
    await asyncio.sleep(0.1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server where databases may be made."""
    named = os.environ.get(postgres.SETTING)
    if named:
        yield named
        return
    found = postgres.binaries()
    if found is None:
        pytest.skip(f"no PostgreSQL is installed, and {postgres.SETTING} names no server")
    server = postgres.Server(found)
    server.start()
    yield server.url
    server.close()


@pytest.fixture(scope="session")
def scratch(postgresql: str) -> Iterator[postgres.Scratch]:
    """The PostgreSQL database that the tests of this run share; each finds it empty."""
    with postgres.database_on(postgresql) as url:
        shared = postgres.Scratch(url)
        yield shared
        shared.close()
