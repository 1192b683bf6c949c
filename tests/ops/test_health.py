"""`qbd health`: a real server's answers, nobody listening, a name that is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.health import check_health
from ops.ports import free_ports
from ops.problems import ProblemError
from ops.settings import Settings, load_settings


class Answers(BaseHTTPRequestHandler):
    """200 on the paths that an API answers, 503 on others."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def settings() -> Iterator[Settings]:
    """Something listens on the API's and the metrics' port, nothing on the bridge's."""
    servers = [HTTPServer(("127.0.0.1", 0), Answers) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    [bridge] = free_ports(1)
    api, metrics = (str(server.server_port) for server in servers)
    yield load_settings({"QBD_SOAP_PORT": str(bridge), "QBD_API_PORT": api, "QBD_METRICS_PORT": metrics})
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def test_each_process_is_asked_by_name(settings: Settings) -> None:
    assert check_health(settings, "api").is_well
    assert check_health(settings, "bridge").lines == ("bridge: does not listen",)
    assert check_health(settings, "worker").lines == ("worker: not well (status 503)",)
    assert not check_health(settings, "bridge").is_well
    with pytest.raises(ProblemError, match="relay"):
        check_health(settings, "relay")


def test_without_a_name_those_that_listen_are_asked(settings: Settings) -> None:
    """In a container that is the one that runs there; none at all is not well."""
    report = check_health(settings)
    assert report.lines == ("api: ok", "worker: not well (status 503)")
    assert not report.is_well
    nobody = dict(zip(("QBD_SOAP_PORT", "QBD_API_PORT", "QBD_METRICS_PORT"), map(str, free_ports(3)), strict=True))
    assert check_health(load_settings(nobody)).lines == ("nothing: does not listen",)
