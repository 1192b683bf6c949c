"""The embedded Temporal server of a data folder that an older version made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from ops import embedded
from ops.ports import free_ports
from workflows import search_attributes

LATER = ("ExportOwner", "ErrorCode")


async def test_a_folder_from_before_gains_the_new_search_attributes(tmp_path: Path) -> None:
    """The server takes its option for a new database only; without the attributes no worker would start."""
    for is_old in (True, False):
        [port] = free_ports(1)
        address = f"127.0.0.1:{port}"
        command = embedded.server_command(port=port, database_file=tmp_path / "t.sqlite3", ui_port=None)
        if is_old:
            for name in LATER:
                at = command.index(f"{name}=Keyword")
                del command[at - 1 : at + 1]
        server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(60):
                while not await embedded.server_ready(address):
                    await asyncio.sleep(0.1)
            if not is_old:
                assert await _known(address) == {key.name for key in search_attributes.ALL} - set(LATER)
                await embedded.prepare(address)
                assert await _known(address) == {key.name for key in search_attributes.ALL}
        finally:
            server.terminate()
            await server.wait()


async def _known(address: str) -> set[str]:
    client = await Client.connect(address, namespace=embedded.NAMESPACE)
    request = ListSearchAttributesRequest(namespace=embedded.NAMESPACE)
    answer = await client.operator_service.list_search_attributes(request)
    return set(answer.custom_attributes) & {key.name for key in search_attributes.ALL}
