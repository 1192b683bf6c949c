"""The stack of `qbd up` on ports and in a folder of its own, and a simulated PC that calls on and on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ops.database import migrate
from ops.demo import demo_settings
from ops.keys import create_key
from ops.ports import NO_TLS
from ops.secret_key import with_secret_key
from ops.settings import Settings
from ops.stack import stack_parts
from ops.supervisor import Supervisor
from simulator.web_connector import WebConnector

PATIENCE_S = 120.0
"""Generous: a machine that does something else as well is not what is tested."""
CALLS_EVERY_S = 1.0


@contextmanager
def running(folder: Path) -> Iterator[Settings]:
    """Temporal, worker, bridge and API as processes; ends them all."""
    settings, environ = demo_settings(os.environ, folder)
    settings = with_secret_key(settings, folder)
    migrate(settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="supervisor", daemon=True)
    thread.start()
    waves = stack_parts(settings, environ, with_ui=False)
    supervisor = Supervisor(waves, folder / "logs", lambda _line: None, ready_timeout_s=PATIENCE_S)
    try:
        asyncio.run_coroutine_threadsafe(supervisor.start(), loop).result(PATIENCE_S)
        yield settings
    finally:
        asyncio.run_coroutine_threadsafe(supervisor.stop(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def the_tms(settings: Settings) -> Iterator[httpx.Client]:
    """What TMS.ai does: HTTP calls with a key."""
    headers = {"Authorization": f"Bearer {create_key(settings, 'tms').key}"}
    address = f"http://127.0.0.1:{settings.api_port}"
    with httpx.Client(base_url=address, headers=headers, trust_env=False, verify=NO_TLS, timeout=30) as client:
        yield client


@contextmanager
def calling(connector: WebConnector) -> Iterator[None]:
    """Auto-Run: the Web Connector calls each second, until the end."""
    over, failed = threading.Event(), list[BaseException]()

    def call_on() -> None:
        try:
            while not over.wait(CALLS_EVERY_S):
                connector.run_once()
        except BaseException as error:  # noqa: BLE001 (told below, in the thread of the test)
            failed.append(error)

    thread = threading.Thread(target=call_on, name="web connector", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)
    assert not failed, failed
