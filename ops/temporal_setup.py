"""`qbd temporal-setup`: the namespace, its retention and the search attributes that exports need, made through the SDK.

The job of docker-compose.yml that runs before the worker. Every step looks first, so that it may run at each start and
by several at once; it takes nothing away and never shortens a retention.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from ops.embedded import RETENTION
from ops.exits import settle
from ops.problems import ProblemError
from ops.settings import Settings
from ops.wiring import connect_temporal
from workflows import search_attributes

PATIENCE_S = 120.0
"""A new namespace is known to every part of a cluster only after its caches were renewed, which takes seconds."""
PAUSE_S = 1.0


class SetupRefusedError(ProblemError):
    """Temporal does not let us make what is missing, or holds something else under its name."""


async def run_setup(settings: Settings, environ: Mapping[str, str] | None = None) -> list[str]:
    """Connect as TEMPORAL_* say and set everything up; give one line for each thing. Raises `ProblemError`."""
    try:
        client = await connect_temporal(settings, environ)
        return await set_up(client)
    finally:
        await settle()


async def set_up(client: Client, *, patience_s: float = PATIENCE_S) -> list[str]:
    """Make what is missing and give one line for each thing; raises `SetupRefusedError`.

    A second call changes nothing. The worker's start checks the same attributes (`check_search_attributes`).
    """
    try:
        async with asyncio.timeout(patience_s):
            return [await _namespace(client), *await _attributes(client)]
    except TimeoutError:
        raise SetupRefusedError(
            f"The namespace {client.namespace} was not ready after {patience_s:.0f} s; run the command again."
        ) from None
    except RPCError as error:
        reason = str(error).splitlines()[0][:200]
        raise SetupRefusedError(
            f"Temporal refused ({error.status.name.lower()}): {reason}. "
            "On Temporal Cloud, make the namespace and the search attributes in its own console (docs/deploy.md)."
        ) from error


async def _namespace(client: Client) -> str:
    name = client.namespace
    keep = await _retention(client)
    if keep is None:
        try:
            await client.workflow_service.register_namespace(
                RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=_duration(RETENTION))
            )
        except RPCError as error:
            if error.status != RPCStatusCode.ALREADY_EXISTS:  # somebody was faster
                raise
        return f"namespace {name}: made, keeps what has ended for {RETENTION.days} days"
    if keep < RETENTION:
        config = NamespaceConfig(workflow_execution_retention_ttl=_duration(RETENTION))
        await client.workflow_service.update_namespace(UpdateNamespaceRequest(namespace=name, config=config))
        return f"namespace {name}: keeps what has ended for {RETENTION.days} days now, before {keep.days}"
    return f"namespace {name}: is there, keeps what has ended for {keep.days} days"


async def _retention(client: Client) -> timedelta | None:
    try:
        answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


async def _attributes(client: Client) -> list[str]:
    wanted = {key.name: int(key.indexed_value_type) for key in search_attributes.ALL}
    before = await _known(client)
    for name, kind in wanted.items():
        if before.get(name, kind) != kind:
            raise SetupRefusedError(
                f"The search attribute {name} of the namespace {client.namespace} has the type "
                f"{_word(before[name])}, exports need {_word(kind)}; use a namespace of its own for exports."
            )
    missing = {name: IndexedValueType.ValueType(kind) for name, kind in wanted.items() if name not in before}
    if missing:
        await _add(client, missing)
        while not missing.keys() <= (await _known(client)).keys():
            await asyncio.sleep(PAUSE_S)
    return [f"search attribute {name}: {'made' if name in missing else 'is there'}" for name in wanted]


async def _add(client: Client, missing: Mapping[str, IndexedValueType.ValueType]) -> None:
    while True:
        try:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
        except RPCError as error:
            if error.status == RPCStatusCode.ALREADY_EXISTS:  # another run of this job was faster
                return
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return


async def _known(client: Client) -> dict[str, int]:
    while True:
        try:
            answer = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=client.namespace)
            )
        except RPCError as error:
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                raise
            await asyncio.sleep(PAUSE_S)  # the namespace is newer than the server's cache
        else:
            return dict(answer.custom_attributes)


def _duration(period: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(period)
    return duration


def _word(kind: int) -> str:
    return IndexedValueType.Name(IndexedValueType.ValueType(kind)).removeprefix("INDEXED_VALUE_TYPE_").title()
