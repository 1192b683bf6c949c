"""What the API needs from outside, handed over once by whoever builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from store.engine import Database
from store.tables import Company


class TemporalUnreachableError(Exception):
    """Temporal did not take the call; the caller may repeat it."""


class ExportNotRunningError(Exception):
    """No workflow of this export is running."""


class Exporter(Protocol):
    """Reaches Temporal for what cannot wait in the outbox."""

    async def cancel(self, workflow_id: str, reason: str) -> None:
        """Ask the export to end before it is sent; repeating it is harmless.

        Raises `ExportNotRunningError` when there is none, `TemporalUnreachableError` when Temporal is away.
        """

    async def reachable(self) -> bool:
        """Say whether Temporal answers; never raises."""


@dataclass(frozen=True, kw_only=True)
class ApiServices:
    """Everything that the API works with. One registry serves one application."""

    database: Database
    exporter: Exporter
    qwc_file: Callable[[Company], str]
    """Writes the .qwc file of a company."""
    clock: Callable[[], datetime]
    """Aware UTC time."""
    public_soap_url: str
    """Where Web Connectors call; named in advice."""
    temporal_ui_url: Callable[[str, str | None], str]
    """Gives the page of a workflow from its id and, when known, its run id."""
    registry: CollectorRegistry
    password_grace_minutes: int = 60
    """How long the old password of a Web Connector works after a change, unless the request says otherwise."""
    rate_limit_per_minute: int = 0
    """Requests that one key may send in a minute, in this process; 0: any number."""
    console_link: Callable[[str, datetime], tuple[str, datetime]] | None = None
    """Makes the address of a one-time link to a company's console, and says when it ends; None: the console is off."""
    webhook_allow_private: bool = False
    """Whether webhooks may lead to private addresses and to http://localhost: for development only."""


def services_of(request: Request) -> ApiServices:
    """Give the services of the application that serves this request."""
    return cast("ApiServices", request.app.state.services)


Services = Annotated[ApiServices, Depends(services_of)]
