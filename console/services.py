"""What the console works with, built once beside the API's services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from jinja2 import Environment
from starlette.requests import Request

from console.assets import Assets
from console.signing import Signer
from console.visitors import Doorkeeper

LINK_LIFE = timedelta(minutes=10)
"""From the click in the TMS to the console; a link that lies about longer is a risk without a use."""


@dataclass(frozen=True, kw_only=True)
class Console:
    """The console of one process."""

    origin: str
    """Where people find it: scheme, host and port, without a slash at its end."""
    signer: Signer
    doorkeeper: Doorkeeper
    templates: Environment
    assets: Assets


def console_of(request: Request) -> Console:
    """Give the console of the application that serves this request."""
    return cast("Console", request.app.state.console)


class LinkMaker:
    """Makes one-time links to the console of one company."""

    def __init__(self, signer: Signer, origin: str, life: timedelta = LINK_LIFE) -> None:
        self._signer = signer
        self._origin = origin
        self._life = life

    def __call__(self, company_id: str, now: datetime) -> tuple[str, datetime]:
        """Give the address and when it runs out, in whole seconds."""
        expires_at = (now + self._life).replace(microsecond=0)
        return f"{self._origin}/link/{self._signer.link(company_id, expires_at)}", expires_at
