"""What the stack tells its children, and the whole stack as `qbd up` and `qbd demo` run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ops.demo import demo_settings
from ops.keys import create_key
from ops.ports import NO_TLS
from ops.problems import PortInUseError, StackError
from ops.settings import load_settings
from ops.stack import child_environment, data_folder, has_own_temporal, stack_parts, stack_ports
from ops.wiring import workflow_links
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from tests.support import stores

PROJECT = Path(__file__).resolve().parents[2]
QBD = [sys.executable, "-P", "-m", "ops"]


def test_children_of_the_embedded_stack_find_its_temporal() -> None:
    settings = load_settings({"QBD_TEMPORAL_PORT": "17233"})
    told = child_environment(
        settings, {"TEMPORAL_API_KEY": "k", "TEMPORAL_TLS": "true", "QBD_TEST_X": "1", "HOME": "/h"}
    )
    assert told["TEMPORAL_ADDRESS"] == "127.0.0.1:17233"
    assert told["TEMPORAL_NAMESPACE"] == "default"
    assert "TEMPORAL_API_KEY" not in told
    assert "TEMPORAL_TLS" not in told
    assert told["HOME"] == "/h"
    assert load_settings(told).temporal_port == 17233


@pytest.mark.parametrize("name", ["TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"])
def test_named_cluster_is_used_instead(name: str) -> None:
    environ = {name: "x", "TEMPORAL_API_KEY": "k"}
    settings = load_settings({})
    assert has_own_temporal(environ)
    assert child_environment(settings, environ)["TEMPORAL_API_KEY"] == "k"
    assert [part.name for wave in stack_parts(settings, environ) for part in wave] == ["worker", "bridge", "api"]
    assert "QBD_TEMPORAL_PORT" not in stack_ports(settings, environ)


def test_two_stacks_cannot_share_a_data_folder(tmp_path: Path) -> None:
    settings = load_settings({"QBD_DATA_DIR": str(tmp_path)})
    with data_folder(settings), pytest.raises(StackError, match="QBD_DATA_DIR"), data_folder(settings):
        pass


def test_workflow_links_escape_the_id() -> None:
    link = workflow_links(load_settings({}), "default")
    start = "http://localhost:8233/namespaces/default/workflows/export%2Fco%2Finvoice%2F1"
    assert link("export/co/invoice/1", None) == start
    assert link("export/co/invoice/1", "run") == f"{start}/run/history"


def test_port_in_use_says_which_setting() -> None:
    error = PortInUseError(8080, "QBD_SOAP_PORT")
    assert "8080" in str(error)
    assert "QBD_SOAP_PORT" in str(error)


def test_up_restarts_what_dies_and_stops_cleanly(tmp_path: Path) -> None:
    settings, environ = demo_settings(os.environ, tmp_path / "data")
    environ |= settings.environment() | {"PYTHONPATH": str(PROJECT)}
    output = tmp_path / "output"
    with output.open("wb") as out:
        up = subprocess.Popen([*QBD, "up"], env=environ, cwd=tmp_path, stdout=out, stderr=out)
    try:
        wait_for(lambda: "ready;" in output.read_text(), up)
        bridge = child_of(up.pid, "bridge")
        os.kill(bridge, signal.SIGKILL)
        wait_for(lambda: "bridge runs again" in output.read_text(), up)
        assert (
            httpx.get(f"http://127.0.0.1:{settings.soap_port}/healthz", trust_env=False, verify=NO_TLS).status_code
            == 200
        )
        children = children_of(up.pid)
        children += [grandchild for child in children for grandchild in children_of(child)]
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(60)
    assert code == 0, output.read_text()
    assert len(children) == 4  # Temporal, worker, bridge, API: no one has processes of its own
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert (tmp_path / "data" / "logs" / "bridge.log").read_text().count("listens") == 2
    assert output.read_text().splitlines()[-1] == "stopped"


@pytest.mark.long
def test_up_goes_on_after_everything_was_killed(tmp_path: Path) -> None:
    """SIGKILL of the supervisor and of all that it started, with exports under way; `qbd up` again finishes them."""
    settings, environ = demo_settings(os.environ, tmp_path / "data")
    environ |= settings.environment() | {"PYTHONPATH": str(PROJECT)}
    output = tmp_path / "output"
    address = f"http://127.0.0.1:{settings.api_port}"

    def start_up() -> subprocess.Popen[bytes]:
        output.write_bytes(b"")
        with output.open("wb") as out:
            up = subprocess.Popen([*QBD, "up"], env=environ, cwd=tmp_path, stdout=out, stderr=out)
        wait_for(lambda: "ready;" in output.read_text(), up)
        return up

    up = start_up()
    pids = [up.pid]
    try:
        headers = {"Authorization": f"Bearer {create_key(settings, 'test').key}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, verify=NO_TLS, timeout=30) as api:
            made = api.post(
                "/v1/companies",
                json={"id": "acme", "name": "Acme", "quickbooks_release": "2024", "confirm_first_file": False},
            ).json()
            api.put("/v1/companies/acme/mapping", json=stores.MAPPING)
            qwc = read_qwc(api.get("/v1/companies/acme/qwc").text)
            for number in range(3):
                document = stores.an_invoice(f"inv_{number}")
                assert api.post("/v1/companies/acme/exports", json={"document": document}).status_code == 202
        pids += children_of(up.pid)
        pids += [grandchild for child in pids[1:] for grandchild in children_of(child)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        up.wait(30)
        wait_for_end(pids[1:])
        up = start_up()
        quickbooks = freight_company("Acme")
        with (
            httpx.Client(base_url=address, headers=headers, trust_env=False, verify=NO_TLS, timeout=30) as api,
            httpx.Client(trust_env=False, verify=NO_TLS, timeout=30) as soap,
        ):
            connector = WebConnector(qwc, made["password"], quickbooks, http=soap)

            def all_there() -> bool:
                connector.run_once()
                items = api.get("/v1/companies/acme/exports").json()["items"]
                return [item["status"] for item in items] == ["Successful"] * 3

            wait_for(all_there, up)
        assert len(quickbooks.ledger) == 3
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def wait_for_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "qbd up ended early"
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child_of(pid: int, command: str) -> int:
    for child in children_of(pid):
        if Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[-2].decode() == command:
            return child
    raise AssertionError(f"no child {command}")
