from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soap.server_process import ROOT, Server, free_port, start_process


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("soap")
    running = Server(free_port(), folder / "calls.jsonl", folder / "log.txt")
    process = start_process(running.port, running.notebook, running.log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                if running.request("GET", "/healthz").status == 200:
                    break
            except OSError:
                pass
            text = running.log.read_text(errors="replace")
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        yield running
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def intuit_wsdl() -> Path:
    path = ROOT.parent / "shared" / "reference" / "QBWebConnectorSvc.wsdl"
    if not path.exists():
        pytest.skip("Intuit's WSDL is not at hand (it may not be copied into this repository)")
    return path
