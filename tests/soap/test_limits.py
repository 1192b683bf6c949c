"""What the bridge bears: large headers, half requests, two lengths; and the headers of its answers."""

from __future__ import annotations

import socket
import threading
from wsgiref.types import WSGIEnvironment

import httpx
import pytest

from qbwc_bridge.reading import BodyReaders, TooManySlowBodiesError
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


def test_a_request_hidden_in_another_is_not_read(server: Server) -> None:
    """Both a length and chunks: chunks count and the connection ends (RFC 9112, 6.3)."""
    before = len(server.calls())
    hidden = b"POST /qbwc HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(CALL), CALL)
    answer = raw(
        server,
        b"POST /qbwc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        hidden,
    )
    assert answer.count(b"HTTP/1.1") <= 1
    assert len(server.calls()) == before


def test_silent_bodies_hold_up_nobody(server: Server) -> None:
    """A dozen connections that promise a body and send none: others are served meanwhile."""
    held = [socket.create_connection(("localhost", server.port), timeout=20) for _ in range(24)]
    try:
        for one in held:
            one.sendall(b"POST /qbwc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nab")
        assert server.post(CALL).status == 200
    finally:
        for one in held:
            one.close()


def test_one_address_has_so_many_unfinished_requests_and_no_more() -> None:
    """The next one of that address is refused at once; another address is served; places come back."""
    arrived, go_on = threading.Semaphore(0), threading.Event()

    class SlowBody:
        def read(self, _size: int = -1) -> bytes:
            arrived.release()
            go_on.wait(20)
            return b""

    readers = BodyReaders(limit=3)

    def slow() -> None:
        with readers.one_more("8.8.8.8"):
            SlowBody().read()

    threads = [threading.Thread(target=slow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert arrived.acquire(timeout=20)
    with pytest.raises(TooManySlowBodiesError), readers.one_more("8.8.8.8"):
        pass
    with readers.one_more("8.8.4.4"), readers.one_more("10.0.0.1"):
        pass
    go_on.set()
    for thread in threads:
        thread.join(20)
    with readers.one_more("8.8.8.8"):
        pass


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
