from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree
from prometheus_client import CollectorRegistry

from qbwc_bridge.observing import CallObserver
from qbwc_bridge.wsdl import OPERATIONS, build_wsdl
from qbwc_bridge.wsgi import build_wsgi
from telemetry.instruments import BridgeMetrics
from telemetry.tracing import Tracing
from tests.soap.fake_service import RecordingService, support_text
from tests.soap.server_process import Server, start_process


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/qbwc", "/qbwc/", "/healthz", "/readyz", "/support/acme", "/support/nobody", "/support/%C3%A9"]
)
def test_pages_answer_200(server: Server, method: str, path: str) -> None:
    reply = server.request(method, path)
    assert reply.status == 200
    assert int(reply.headers["content-length"]) > 0
    assert bool(reply.body) == (method == "GET")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/qbwc2"), ("POST", "/healthz"), ("PUT", "/qbwc"), ("GET", "/support")]
)
def test_everything_else_is_404(server: Server, method: str, path: str) -> None:
    assert server.request(method, path).status == 404


@pytest.mark.parametrize("failing", [False, True])
def test_a_bridge_without_its_database_is_alive_and_not_ready(failing: bool) -> None:
    """A load balancer leaves it out; nobody restarts it."""

    def is_ready() -> bool:
        if failing:
            raise OSError("the database is away")
        return False

    application = build_wsgi(RecordingService(), public_url="", support_page=support_text, is_ready=is_ready)
    statuses: list[str] = []
    for path in ("/readyz", "/healthz"):
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": ""}
        list(application(environ, lambda status, _headers: statuses.append(status)))  # type: ignore[arg-type,return-value]
    assert statuses == ["503 Service Unavailable", "200 OK"]


def test_support_page_escapes_and_hides_what_it_does_not_know(server: Server) -> None:
    assert b"Call &lt;us&gt; &amp; ask\nfor Jo" in server.request("GET", "/support/acme").body
    neutral = server.request("GET", "/support/nobody").body
    assert neutral == server.request("GET", "/support/broken").body
    assert neutral == server.request("GET", "/support/" + "x" * 500).body


def test_wsdl_states_the_requests_host_or_the_configured_address(server: Server) -> None:
    reply = server.request("GET", "/qbwc?wsdl", headers={"Host": "bridge.example.com"})
    assert reply.body.startswith(b"<?xml")
    assert b'location="http://bridge.example.com/qbwc"' in reply.body
    for public in ("https://qb.example.com", "https://qb.example.com/qbwc"):
        application = build_wsgi(RecordingService(), public_url=public, support_page=support_text)
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/qbwc", "QUERY_STRING": "WSDL"}
        body = b"".join(application(environ, lambda *_: None))  # type: ignore[arg-type,return-value]
        assert b'location="https://qb.example.com/qbwc"' in body


def contract(path: str) -> dict[str, tuple[Any, ...]]:
    """What a client sees of each operation of the SOAP 1.1 binding."""
    client = zeep.Client(path)
    try:
        binding = next(b for b in client.wsdl.bindings.values() if type(b).__name__ == "Soap11Binding")
        return {
            name: (
                str(operation.input.body.qname),
                str(operation.output.body.qname),
                operation.input.signature(),
                operation.output.signature(),
                elements(operation.input.body.type),
                elements(operation.output.body.type),
                operation.soapaction,
                operation.style,
                list(operation.abstract.input_message.parts),
            )
            for name, operation in binding._operations.items()
        }
    finally:
        client.transport.session.close()


def elements(kind: Any) -> list[tuple[Any, ...]]:
    return [
        (
            str(element.qname),
            str(element.type.qname),
            element.min_occurs,
            element.max_occurs,
            element.nillable,
            elements(element.type) if hasattr(element.type, "elements") else [],
        )
        for _, element in kind.elements
    ]


def test_wsdl_means_the_same_as_intuits(intuit_wsdl: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours.wsdl"
    ours.write_bytes(build_wsdl("https://qb.example.com/qbwc"))
    assert contract(str(ours)) == contract(str(intuit_wsdl))
    assert len(contract(str(ours))) == 8


def test_spyne_serves_exactly_the_stated_operations() -> None:
    from qbwc_bridge.soap import build_server

    observer = CallObserver(BridgeMetrics(CollectorRegistry()), Tracing())
    methods = build_server(RecordingService(), observer).app.interface.service_method_map
    assert {etree.QName(name).localname for name in methods} == {operation.name for operation in OPERATIONS}


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process: subprocess.Popen[bytes] = start_process(port, tmp_path / "calls", tmp_path / "log")
        assert process.wait(20) != 0
    said = (tmp_path / "log").read_text()
    assert "address already in use" in said
    assert "Traceback" not in said
