"""Whoever sends slowly, or not at all, or takes no reply, holds a buffer and no thread: others are answered meanwhile.

Over real sockets; the clients' addresses are told by a proxy that is trusted, as in production.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from wsgiref.types import WSGIApplication

import pytest
from prometheus_client import CollectorRegistry

from ops import http_server
from ops.keys import create_key
from ops.ports import free_ports
from ops.settings import load_settings
from ops.wiring import api_app
from qbwc_bridge import front, unfinished
from qbwc_bridge.front import CALL_THREADS, PAGE_THREADS, Front
from qbwc_bridge.unfinished import BODIES_MAX, BODIES_OF_ADDRESS_MAX, BYTES_MAX, Half, who_ends
from qbwc_bridge.wsgi import build_wsgi
from store.engine import Database
from telemetry import collectors
from tests.soap.fake_service import RecordingService
from tests.soap.server_process import envelope
from tests.support.raw_http import answers_to, status_lines
from tests.support.served import served

CALL = envelope("<serverVersion/>")
WITHIN_S = 1.0
PROXIES = [ipaddress.ip_network("127.0.0.0/8")]
GET = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def application() -> WSGIApplication:
    return build_wsgi(RecordingService(), public_url="", support_page=lambda _company: None)


@contextmanager
def serving(
    app: WSGIApplication | None = None, *, limits: Mapping[str, object] | None = None, **options: int
) -> Iterator[int]:
    """Run the server in a thread; give its port."""
    front = Front(app or application(), trusted=PROXIES, **options)
    with served(front, limits=limits, proxy_headers=False) as port:
        yield port


def post(body: bytes, *, address: str = "8.8.8.8", length: int | None = None) -> bytes:
    told = len(body) if length is None else length
    return (
        f"POST /qbwc HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\nContent-Type: text/xml\r\n"
        f"Content-Length: {told}\r\nConnection: close\r\n\r\n"
    ).encode() + body


def half_sent(port: int, address: str, stack: ExitStack) -> socket.socket:
    """Promise a call and send its first bytes."""
    one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
    one.sendall(post(CALL[:20], address=address, length=len(CALL)))
    return one


def all_answer(port: int, address: str) -> None:
    """A whole call of this address and each kind of page, each within a second."""
    for request in (post(CALL, address=address), *(GET % path for path in PAGES)):
        begun = time.monotonic()
        assert [line[9:12] for line in status_lines(answers_to(port, request))] == [b"200"]
        assert time.monotonic() - begun < WITHIN_S


PAGES = (b"/healthz", b"/readyz", b"/qbwc", b"/support/acme")


@pytest.mark.parametrize("addresses", [["10.0.0.9"], ["8.8.8.8"], ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"]])
def test_unfinished_bodies_hold_up_nobody(addresses: Sequence[str]) -> None:
    """Seventy of one address, private or public, or of four in turn; their own whole calls are answered, too."""
    with serving() as port, ExitStack() as stack:
        halves = [half_sent(port, addresses[number % len(addresses)], stack) for number in range(70)]
        for address in (*addresses, "9.9.9.9"):
            all_answer(port, address)
        # The last of them was not refused for the crowd: its call is answered as soon as it is whole.
        halves[-1].sendall(CALL[20:])
        assert halves[-1].recv(65536).startswith(b"HTTP/1.1 200")


def test_unfinished_bodies_hold_up_nobody_at_the_api(tmp_path: Path) -> None:
    """Seventy of one address, of a key that is good; its own whole requests and the health check are answered."""
    settings = load_settings({"QBD_DATA_DIR": str(tmp_path)})
    database = Database(settings.database)
    database.migrate()
    key = create_key(settings, "test").key
    head = f" /v1/companies HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n".encode()
    body = b'{"company_id": 1}'
    posted = b"POST" + head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with served(api_app(settings, database)) as port, ExitStack() as stack:
        halves = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(70)]
        for one in halves:
            one.sendall(posted + body[:5])
        for request in (GET % b"/healthz", b"GET" + head + b"\r\n"):
            begun = time.monotonic()
            assert [line[9:12] for line in status_lines(answers_to(port, request))] == [b"200"]
            assert time.monotonic() - begun < WITHIN_S
        halves[-1].sendall(body[5:])
        assert halves[-1].recv(65536).startswith(b"HTTP/1.1 422")
    database.close()


def test_the_slowest_of_a_crowd_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason; who sent more by then, and other addresses, go on."""
    monkeypatch.setattr(unfinished, "BODIES_OF_ADDRESS_MAX", 3)
    monkeypatch.setattr(unfinished, "GRACE_S", 0.001)
    with serving() as port, ExitStack() as stack:
        other, silent, quick = (half_sent(port, address, stack) for address in ("9.9.9.9", "8.8.8.8", "8.8.8.8"))
        quick.sendall(CALL[20:-1])
        late = [half_sent(port, "8.8.8.8", stack) for _ in range(2)]
        ended = next(one for one in (silent, *late) if _is_ended(one))
        assert ended.recv(65536).startswith(b"HTTP/1.1 408")
        quick.sendall(CALL[-1:])
        other.sendall(CALL[20:])
        for one in (quick, other):
            assert one.recv(65536).startswith(b"HTTP/1.1 200")


def _is_ended(one: socket.socket) -> bool:
    one.settimeout(0.5)
    try:
        return bool(one.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        one.settimeout(20)


def test_a_body_that_stops_ends_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SILENCE_S", 0.1)
    with serving() as port, ExitStack() as stack:
        answer = half_sent(port, "8.8.8.8", stack).recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"took too long" in answer


def test_connections_without_a_header_make_room() -> None:
    """Silent ones beyond the limit end, the oldest first; whoever asks is let in."""
    with serving(limits={"connections_max": 20}) as port, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(60)]
        all_answer(port, "8.8.8.8")
        assert silent[0].recv(1) == b""


def test_pages_answer_while_every_call_waits_for_the_database() -> None:
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    class Waiting(RecordingService):
        def server_version(self) -> str:
            waiting.release()
            go_on.wait(30)
            return "1"

    app = build_wsgi(Waiting(), public_url="", support_page=lambda _company: None)
    with serving(app) as port, ExitStack() as stack:
        calls = []
        for number in range(CALL_THREADS + PAGE_THREADS + 4):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(post(CALL.replace(b"<soap:Body>", b"<soap:Body><!--%d-->" % number)))
            calls.append(one)
        for _ in range(CALL_THREADS):
            assert waiting.acquire(timeout=20)
        for page in PAGES:
            assert b" 200 " in status_lines(answers_to(port, GET % page))[0]
        go_on.set()
        for one in calls:
            assert one.recv(65536).startswith(b"HTTP/1.1 200")


def test_replies_that_nobody_takes_hold_no_thread() -> None:
    """Each is larger than what the network buffers; a client that reads it late has all of it."""
    large = b"x" * 8_000_000

    def app(environ, start_response):  # type: ignore[no-untyped-def]
        body = large if environ["REQUEST_METHOD"] == "POST" else b"ok"
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    with serving(app) as port, ExitStack() as stack:
        readers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(10)]
        many = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(40)]
        for one in (*readers[:1], *many):
            one.sendall(post(b"a"))
        begun = time.monotonic()
        assert status_lines(answers_to(port, GET % b"/healthz")) == [b"HTTP/1.1 200 OK"]
        assert answers_to(port, post(b"b")).endswith(large)
        assert time.monotonic() - begun < 5 * WITHIN_S
        came = bytearray()
        while chunk := readers[0].recv(1 << 20):
            came += chunk
        assert came.endswith(large)


def test_a_body_that_is_too_long_is_not_kept() -> None:
    """Of one that waits to be invited nothing is read; of another it is read and forgotten, and told."""
    with serving(keep_max=1000) as port:
        app_limit = 17 << 20
        waits = post(b"", length=app_limit).replace(b"Connection:", b"Expect: 100-continue\r\nConnection:")
        answer = answers_to(port, waits)
        assert b"100 Continue" not in answer
        assert b"too large" in answer
        assert b"too large" in answers_to(port, post(b"x" * app_limit))


def half(key: int, address: str, *, age_s: float, came: int, kept: int | None = None) -> Half[int]:
    return Half(key=key, address=address, age_s=age_s, came_bytes=came, kept_bytes=came if kept is None else kept)


def crowd(address: str, count: int, first: int = 0) -> list[Half[int]]:
    return [half(first + number, address, age_s=10, came=100 + number) for number in range(count)]


@pytest.mark.parametrize(
    ("halves", "ended"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param(crowd("a", BODIES_OF_ADDRESS_MAX), [], id="just enough"),
        pytest.param(crowd("a", BODIES_OF_ADDRESS_MAX + 2), [0, 1], id="two too many: the slowest two"),
        pytest.param(
            [*crowd("a", BODIES_OF_ADDRESS_MAX), half(900, "a", age_s=0.1, came=0)], [0], id="the newcomer has its time"
        ),
        pytest.param(
            [half(n, "a", age_s=0.1 + n / 1000, came=0) for n in range(BODIES_OF_ADDRESS_MAX + 1)],
            [BODIES_OF_ADDRESS_MAX],
            id="all are young: the oldest",
        ),
        pytest.param(
            [half(n, str(n // 60), age_s=10, came=n) for n in range(BODIES_MAX)], [], id="many addresses, just enough"
        ),
        pytest.param(
            [half(n, "crowd" if n < 30 else str(n), age_s=10, came=1000 - n) for n in range(BODIES_MAX + 1)],
            [29],
            id="too many in all: of whoever has most",
        ),
        pytest.param(
            [
                half(0, "a", age_s=10, came=0),
                half(1, "b", age_s=10, came=BYTES_MAX + 1),
                half(2, "b", age_s=10, came=9),
            ],
            [2, 1],
            id="too many bytes: of whoever holds most",
        ),
        pytest.param(
            [half(0, "a", age_s=10, came=2 * BYTES_MAX, kept=0), half(1, "b", age_s=10, came=5)],
            [],
            id="what is forgotten weighs nothing",
        ),
    ],
)
def test_who_ends(halves: list[Half[int]], ended: list[int]) -> None:
    assert who_ends(halves) == ended


def test_a_body_that_trickles_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte prolongs its time, and not without end."""
    monkeypatch.setattr(front, "BODY_S", 0.3)
    with serving() as port, ExitStack() as stack:
        one = half_sent(port, "8.8.8.8", stack)
        one.settimeout(0.02)
        begun = time.monotonic()
        while True:
            one.sendall(b" ")
            try:
                answer = one.recv(65536)
                break
            except TimeoutError:
                assert time.monotonic() - begun < 10
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_reply_that_is_not_taken_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes it slowly goes on; whoever takes nothing does not hold it for ever."""
    monkeypatch.setattr(http_server, "UNTAKEN_S", 0.2)
    large = b"x" * 30_000_000

    def app(_environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", [("Content-Length", str(len(large)))])
        return [large]

    with serving(app) as port, ExitStack() as stack:
        silent, slow = (stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in "ab")
        for one in (silent, slow):
            one.sendall(post(b"a"))
        came, begun = 0, time.monotonic()
        while chunk := slow.recv(1 << 18):
            came += len(chunk)
            if time.monotonic() - begun < 1:
                time.sleep(0.02)  # as slow as the network of an office; five times the patience in all
        assert came > len(large)
        came = 0
        with suppress(ConnectionResetError):
            while chunk := silent.recv(1 << 20):
                came += len(chunk)
        assert came < len(large)


def test_the_metrics_port_waits_for_no_silent_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a thread for each connection, and gives it up."""
    monkeypatch.setattr(collectors, "SILENCE_S", 0.1)
    [port] = free_ports(1)
    server = collectors.MetricsServer(CollectorRegistry(), host="127.0.0.1", port=port)
    try:
        assert answers_to(port, b"GET /metrics HT") == b""
        assert status_lines(answers_to(port, GET % b"/metrics"))[0].endswith(b" 200 OK")
    finally:
        server.stop()
