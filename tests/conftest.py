"""Fixtures that several levels share."""

from __future__ import annotations

import asyncio
import os
import shutil
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from store.engine import Database
from tests.support import postgres, stores
from workflows import search_attributes


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite database of this test's own."""
    yield from stores.sqlite(tmp_path)


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
