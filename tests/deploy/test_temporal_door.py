"""deploy/temporal-door.caddy under a real Caddy before a real Temporal: who has a certificate of the CA gets in."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import TLSConfig
from temporalio.testing import WorkflowEnvironment

from ops.ports import free_ports
from tests.deploy.compose_file import PROJECT
from tests.deploy.test_caddy import CADDY, CADDYFILE, HOSTS, needs_caddy

DOOR = PROJECT / "deploy" / "temporal-door.caddy"
NAME = "qb-temporal.example.com"
PATIENCE_S = 60.0


@asynccontextmanager
async def caddy(folder: Path, temporal: str, port: int, health: int) -> AsyncIterator[bytes]:
    """Caddy with the door and a CA of its own; gives that CA's certificate."""
    doors = folder / "doors"
    doors.mkdir()
    (doors / "temporal.caddy").symlink_to(DOOR)
    environment = {
        **os.environ,
        **HOSTS,
        "DOORS": str(doors),
        "TEMPORAL_HOST": NAME,
        "TEMPORAL": temporal,
        "TMS_CA": str(folder / "mine" / "secrets" / "tms_ca.pem"),
        "TLS_ISSUER": "internal",
        "HTTPS_PORT": str(port),
        "CADDY_HEALTH_PORT": str(health),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    assert CADDY is not None
    command = [CADDY, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    with (folder / "caddy.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        certificate = folder / "caddy" / "certificates" / "local" / NAME / f"{NAME}.crt"
        async with asyncio.timeout(PATIENCE_S):
            while not (root.exists() and certificate.exists()):
                assert process.poll() is None, (folder / "caddy.log").read_text()[-2000:]
                await asyncio.sleep(0.1)
        yield root.read_bytes()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def certificate(folder: Path, name: str) -> TLSConfig:
    """A CA of this name, and a client's certificate of it: by the commands of docs/deploy.md."""
    page = (PROJECT / "docs" / "deploy.md").read_text("utf-8")
    [commands] = re.findall(r"^```sh\n(openssl req -x509 .*?)^```$", page, re.MULTILINE | re.DOTALL)
    place = folder / name
    (place / "secrets").mkdir(parents=True)
    subprocess.run(["sh", "-euc", commands], cwd=place, check=True, capture_output=True, timeout=30)
    return TLSConfig(
        client_cert=(place / "tms.pem").read_bytes(), client_private_key=(place / "tms.key").read_bytes(), domain=NAME
    )


@pytest.mark.long
@pytest.mark.timeout(120)
@needs_caddy
async def test_only_a_certificate_of_the_ca_opens_the_door(temporal: WorkflowEnvironment, tmp_path: Path) -> None:
    mine, foreign = certificate(tmp_path, "mine"), certificate(tmp_path, "foreign")
    port, health = free_ports(2)
    target = temporal.client.service_client.config.target_host
    async with caddy(tmp_path, target, port, health) as root:
        for tls in (mine, foreign):
            tls.server_root_ca_cert = root
        client = await Client.connect(f"127.0.0.1:{port}", tls=mine)
        answer = await client.workflow_service.get_system_info(GetSystemInfoRequest())
        assert answer.server_version
        assert [one async for one in client.list_workflows("WorkflowType = 'None'")] == []
        for tls in (foreign, TLSConfig(domain=NAME, server_root_ca_cert=root)):
            with pytest.raises(RuntimeError, match="connect"):
                await Client.connect(f"127.0.0.1:{port}", tls=tls)


def test_without_an_override_there_is_no_door() -> None:
    """Caddy reads what is mounted at one place; the compose file mounts nothing there."""
    caddyfile, compose = CADDYFILE.read_text("utf-8"), (PROJECT / "docker-compose.yml").read_text("utf-8")
    assert caddyfile.rstrip().endswith("import {$DOORS:/etc/caddy/doors}/*.caddy")
    assert "temporal-door" not in compose
    assert "/etc/caddy/doors/temporal.caddy:ro" in (PROJECT / "docs" / "deploy.md").read_text("utf-8")
    assert "mode require_and_verify" in DOOR.read_text("utf-8")
