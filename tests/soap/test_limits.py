"""What the bridge bears: large headers, half requests, two lengths; and the headers of its answers."""

from __future__ import annotations

import socket
from wsgiref.types import WSGIEnvironment

import httpx
import pytest

from qbwc_bridge.wsgi import build_wsgi
from tests.soap.fake_service import RecordingService
from tests.soap.server_process import Server, envelope

CALL = envelope("<serverVersion/>")


def raw(server: Server, *parts: bytes) -> bytes:
    with socket.create_connection(("localhost", server.port), timeout=20) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65536):
                answer += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass  # it was closed while we still sent
        return answer


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"a" * 1_000_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(500)),
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e3\r\n",
    ],
    ids=["long", "many", "two lengths", "negative", "no number"],
)
def test_headers_that_no_client_sends_are_refused(server: Server, head: bytes) -> None:
    before = len(server.calls())
    answer = raw(server, b"POST /qbwc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head + b"\r\n")
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or answer == b""
    assert len(server.calls()) == before


@pytest.mark.parametrize(
    ("public_url", "is_told"), [("https://qb.example.com", True), ("http://localhost:8080", False)]
)
def test_security_headers_and_no_banner(server: Server, public_url: str, is_told: bool) -> None:
    """On pages and calls alike; HSTS only with an https address; nothing says which server this is."""
    app = build_wsgi(RecordingService(), public_url=public_url, support_page=lambda _company: None)
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://b") as http:
        for answer in (http.get("/support/acme"), http.get("/nothing"), http.post("/qbwc", content=CALL)):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert ("strict-transport-security" in answer.headers) is is_told
            assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert server.request("GET", "/healthz").headers["server"] == "qbd"


def test_an_environment_without_address_is_served() -> None:
    seen: list[str] = []
    app = build_wsgi(RecordingService(), public_url="", support_page=lambda _company: None)
    environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz"}
    assert b"".join(app(environ, lambda status, _headers, _info=None: seen.append(status))) == b"ok\n"  # type: ignore[arg-type,return-value]
    assert seen == ["200 OK"]
