"""The embedded stack of `qbd up` and `qbd demo`: which processes it has, what they are told, when they are ready."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from temporalio.service import RPCError

from ops import embedded
from ops.beginnings import unknown_to_database
from ops.database import make_data_folder, migrate, open_database
from ops.exits import settle
from ops.ports import NO_TLS, require_all_free
from ops.problems import StackError
from ops.secret_key import with_secret_key
from ops.settings import Settings, env_name
from ops.supervisor import Part, Supervisor
from ops.wiring import connect_temporal

PROJECT = Path(__file__).resolve().parent.parent
TEMPORAL_CHOSEN_BY = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")
PROBE_TIMEOUT_S = 2.0


def has_own_temporal(environ: Mapping[str, str]) -> bool:
    """Say whether the user named a Temporal cluster, so that none is embedded."""
    return any(environ.get(name, "").strip() for name in TEMPORAL_CHOSEN_BY)


def child_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Give what a child process sees: our settings spelt out, and the way to Temporal."""
    embeds = not has_own_temporal(environ)
    dropped = ("QBD_", "TEMPORAL_") if embeds else ("QBD_",)
    values = {name: value for name, value in environ.items() if not name.startswith(dropped)}
    values |= settings.environment()
    if embeds:
        values["TEMPORAL_ADDRESS"] = temporal_address(settings)
        values["TEMPORAL_NAMESPACE"] = embedded.NAMESPACE
    values["PYTHONPATH"] = str(PROJECT)
    values["PYTHONUNBUFFERED"] = "1"  # the log files are read while the process runs
    return values


def temporal_address(settings: Settings) -> str:
    """Give the address of the embedded Temporal server."""
    return f"{embedded.HOST}:{settings.temporal_port}"


def codec_address(settings: Settings) -> str:
    """Give the address at which a browser on this machine finds the codec server."""
    return f"http://localhost:{settings.codec_port}"


def stack_parts(settings: Settings, environ: Mapping[str, str], *, with_ui: bool = True) -> list[list[Part]]:
    """List the processes in waves: Temporal (if it is ours), then worker, bridge and API together."""
    environment = child_environment(settings, environ)
    waves: list[list[Part]] = []
    if not has_own_temporal(environ):
        address = temporal_address(settings)
        waves.append(
            [
                Part(
                    name="temporal",
                    command=_watched(
                        embedded.server_command(
                            port=settings.temporal_port,
                            database_file=settings.data_dir.absolute() / "temporal.sqlite3",
                            ui_port=settings.temporal_ui_port if with_ui else None,
                            codec_endpoint=codec_address(settings) if settings.payload_keys else None,
                        )
                    ),
                    environment=environment,
                    ready=functools.partial(embedded.server_ready, address),
                    on_ready=functools.partial(embedded.prepare, address),
                )
            ]
        )
    services = [
        ("worker", f"http://127.0.0.1:{settings.metrics_port}/metrics"),
        ("bridge", f"http://{settings.own_host}:{settings.soap_port}/healthz"),
        ("api", f"http://{settings.own_host}:{settings.api_port}/healthz"),
    ]
    if settings.payload_keys and with_ui:
        services.append(("codec", f"http://{settings.own_host}:{settings.codec_port}/healthz"))
    waves.append(
        [
            Part(
                name=name,
                command=[sys.executable, "-P", "-m", "ops", name],
                environment=environment,
                ready=functools.partial(answers, url),
            )
            for name, url in services
        ]
    )
    return waves


def _watched(command: list[str]) -> list[str]:
    """Let a program that is not ours end with us, where the kernel does not see to it (supervisor.py)."""
    return command if sys.platform == "linux" else [sys.executable, "-P", "-m", "ops.parent_watch", *command]


async def answers(url: str) -> bool:
    """Say whether the address answers with 200; a proxy of the environment is not asked."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=PROBE_TIMEOUT_S) as client:
        try:
            return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def stack_ports(settings: Settings, environ: Mapping[str, str], *, with_ui: bool = True) -> dict[str, int]:
    """Give the ports that the stack needs, by the name of their setting."""
    fields = ["soap_port", "api_port", "metrics_port", "bridge_metrics_port"]
    if settings.payload_keys and with_ui:
        fields.append("codec_port")
    if not has_own_temporal(environ):
        fields += ["temporal_port"] + (["temporal_ui_port"] if with_ui else [])
    return {env_name(field): port for field in fields if (port := getattr(settings, field))}


@contextmanager
def data_folder(settings: Settings) -> Iterator[Path]:
    """Make the data folder and hold it: two stacks on the same files would disturb each other."""
    make_data_folder(settings)
    folder = settings.data_dir.absolute()
    try:
        lock = os.fdopen(os.open(folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600), "w")
    except OSError as error:
        raise StackError(f"Cannot write to the data folder {folder}: {error.strerror}. Set QBD_DATA_DIR.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(f"Another qbd runs on the data folder {folder}; stop it or set QBD_DATA_DIR.") from error
        yield folder


async def run_up(settings: Settings, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
    """Run the stack until a signal asks for its end; what was under way goes on at the next start."""
    with data_folder(settings) as folder:
        settings = with_secret_key(settings, folder)
        require_all_free(stack_ports(settings, environ))
        migrate(settings)
        tell(f"starting; logs are in {folder / 'logs'}")
        supervisor = Supervisor(stack_parts(settings, environ), folder / "logs", tell)
        try:
            await until_signal(_start_and_watch(supervisor, settings, environ, tell))
            tell("stopping")
        finally:
            await supervisor.stop()
    tell("stopped")
    await settle()


async def _start_and_watch(
    supervisor: Supervisor, settings: Settings, environ: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    await supervisor.start()
    for line in [*addresses(settings, environ), *await _warnings(settings, environ)]:
        tell(line)
    tell("ready; Ctrl-C stops everything")
    await supervisor.watch()


async def _warnings(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Say what a person should know before anything is exported."""
    with closing(open_database(settings)) as database:
        try:
            client = await connect_temporal(settings, child_environment(settings, environ), patience_s=0)
            unknown = await unknown_to_database(database, client)
        except (RuntimeError, RPCError, OSError):
            return []  # a Temporal of the user's that is away just now: the processes say so themselves
    return [unknown] if unknown is not None else []


def addresses(settings: Settings, environ: Mapping[str, str]) -> Sequence[str]:
    """Say where everything is."""
    own = has_own_temporal(environ)
    chosen = environ.get("TEMPORAL_ADDRESS") or "as its profile says"
    lines = [
        f"SOAP (Web Connector)  {settings.app_origin}",
        f"API                   http://localhost:{settings.api_port}/openapi.json",
        f"Console               {settings.console_origin}",
        f"Temporal              {chosen}" if own else f"Temporal UI           {settings.temporal_ui}",
    ]
    if settings.payload_keys:
        lines.append(f"Codec server          {codec_address(settings)} (sign in there to see payloads in the UI)")
    return lines


async def until_signal(work: Coroutine[Any, Any, None]) -> bool:
    """Run the work until it ends, or SIGTERM or SIGINT comes, which cancels it. Say whether it ended by itself."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return True
