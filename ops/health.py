"""`qbd health`: a process's own word on itself, over loopback; what containers run as their health check."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from ops.ports import NO_TLS
from ops.problems import ProblemError
from ops.settings import Settings

HOST = "127.0.0.1"
TIMEOUT_S = 4.0
"""Below the time limit of the health checks in docker-compose.yml and the Dockerfile."""


@dataclass(frozen=True, kw_only=True)
class HealthReport:
    """What the processes said, and whether all of it is good."""

    is_well: bool
    lines: tuple[str, ...]


def check_health(settings: Settings, process: str = "") -> HealthReport:
    """Ask one process, or every one that listens here; nobody listening is not well.

    Bridge and API are asked whether they serve, not for Temporal: both work on without it (design.md 3.2), and a
    container that is ended for Temporal's sake helps nobody. Raises `ProblemError` for a name that is none.
    """
    addresses = {
        "bridge": f"http://{settings.own_host}:{settings.soap_port}/healthz",
        "api": f"http://{settings.own_host}:{settings.api_port}/healthz",
        "worker": f"http://{HOST}:{settings.metrics_port}/metrics",
    }
    if process and process not in addresses:
        raise ProblemError(f"{process} is not a process; known: {', '.join(addresses)}.")
    said = {name: _ask(url) for name, url in addresses.items() if process in ("", name)}
    if not process:
        said = {name: word for name, word in said.items() if word is not None} or {"nothing": None}
    return HealthReport(
        is_well=all(word == "ok" for word in said.values()),
        lines=tuple(f"{name}: {word or 'does not listen'}" for name, word in said.items()),
    )


def _ask(url: str) -> str | None:
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False, verify=NO_TLS)
    except httpx.ConnectError:
        return None
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return "ok" if answer.status_code == httpx.codes.OK else f"not well (status {answer.status_code})"
