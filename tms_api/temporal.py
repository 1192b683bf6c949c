"""Cancelling export workflows on Temporal. Starts go through the outbox (store/outbox.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from tms_api.services import ExportNotRunningError, TemporalUnreachableError

RPC_TIMEOUT = timedelta(seconds=10)
"""A client of the API waits this long at most before it hears that Temporal is away."""
HEALTH_TIMEOUT = timedelta(seconds=2)

_PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,  # the SDK's own word for its time limit
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
    }
)

ClientFactory = Callable[[], Awaitable[Client]]


class TemporalExporter:
    """The `Exporter` over a Temporal client that is connected at the first use, and again if that failed."""

    def __init__(self, client_factory: ClientFactory) -> None:
        """`client_factory` must give the client `temporalio.contrib.pydantic.pydantic_data_converter`."""
        self._client_factory = client_factory
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def cancel(self, workflow_id: str, reason: str) -> None:
        """Ask the running export to end; it decides itself whether it still can."""
        client = await self._connected()
        try:
            await client.get_workflow_handle(workflow_id).cancel(reason=reason, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise ExportNotRunningError(workflow_id) from error
            raise _unreachable_or_itself(error) from error

    async def reachable(self) -> bool:
        """Say whether Temporal answers."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT.total_seconds()):
                client = await self._connected()
                return await client.service_client.check_health(timeout=HEALTH_TIMEOUT)
        except (TemporalUnreachableError, RPCError, TimeoutError):
            return False

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None:
                try:
                    async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                        self._client = await self._client_factory()
                except (RuntimeError, RPCError, OSError, TimeoutError) as error:
                    # The SDK reports a refused connection as a RuntimeError.
                    raise TemporalUnreachableError("no connection") from error
            return self._client


def _unreachable_or_itself(error: RPCError) -> Exception:
    return TemporalUnreachableError(error.status.name) if error.status in _PASSING else error
