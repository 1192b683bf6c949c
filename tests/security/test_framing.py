"""Requests that two readers could read differently: each of our servers refuses them alike and closes the connection.

Over real sockets: the bridge, and the API with the console on it and the codec server, which share a server.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from ops.codec_server import build_codec_app
from ops.http_server import server_config
from ops.settings import load_settings
from ops.wiring import api_app
from qbwc_bridge.http_requests import FIELDS_MAX, HEAD_BYTES_MAX, BadRequestError, RequestReader
from qbwc_bridge.server import Server
from qbwc_bridge.wsgi import build_wsgi
from store.engine import Database
from store.key_ring import read_key_ring
from tests.soap.fake_service import RecordingService
from tests.support.raw_http import answers_to, status_lines

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
PATHS = {"bridge": b"/qbwc", "api": b"/v1/companies", "console": b"/console/sign-in", "codec": b"/decode"}

BAD: dict[str, bytes] = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nabcde",
    "a length with a sign": b"Content-Length: +5\r\n\r\nabcde",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in another base": b"Content-Length: 0x5\r\n\r\nabcde",
    "a length with an exponent": b"Content-Length: 1e3\r\n\r\n",
    "a length with a line between": b"Content-Length: 5\x0b\r\n\r\nabcde",
    "an empty length": b"Content-Length: \r\n\r\n",
    "a length beyond all numbers": b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "another coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunks": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a disguised coding": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "white space before the colon": b"Content-Length : 5\r\n\r\nabcde",
    "a folded line": b"X-One: a\r\n Content-Length: 5\r\n\r\nabcde",
    "a line feed alone": b"X-One: a\nContent-Length: 5\r\n\r\nabcde",
    "a carriage return alone": b"X-One: a\rContent-Length: 5\r\n\r\nabcde",
    "a NUL": b"X-One: a\0b\r\n\r\n",
    "a line without a colon": b"X-One\r\n\r\n",
    "a nameless field": b": a\r\n\r\n",
    "two hosts": b"Host: b\r\n\r\n",
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n",
    "a chunk size in another notation": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    "a chunk size with a space": b"Transfer-Encoding: chunked\r\n\r\n5 \r\nabcde\r\n0\r\n\r\n",
    "an empty chunk size": b"Transfer-Encoding: chunked\r\n\r\n\r\nabcde\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    "a chunk line that ends by a line feed": b"Transfer-Encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n",
    "an endless chunk line": b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 1000,
    "a length behind the chunks": b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
}
"""Fields and what follows them; a request line and a Host stand before."""
BAD_WHOLE: dict[str, bytes] = {
    "line feeds only": b"POST @ HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "no host": b"POST @ HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST @ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space in the address": b"POST @ x HTTP/1.1\r\nHost: a\r\n\r\n",
    "another version": b"POST @ HTTP/2.0\r\nHost: a\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a folded first line": b"POST @ HTTP/1.1\r\n Host: a\r\n\r\n",
}
CASES = {name: b"POST @ HTTP/1.1\r\nHost: a\r\n" + rest for name, rest in BAD.items()} | BAD_WHOLE


class _Quiet(uvicorn.Server):
    """Runs beside the tests, so it takes no signals."""

    def install_signal_handlers(self) -> None:
        """Take none."""


def _in_thread(app: ASGIApp) -> tuple[uvicorn.Server, threading.Thread, int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = server_config(app, load_settings({}), port=0, host="127.0.0.1", lifespan="off")
    server = _Quiet(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    return server, thread, int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Give the ports of the servers, each over production's own code."""
    folder: Path = tmp_path_factory.mktemp("framing")
    settings = load_settings({"QBD_DATA_DIR": str(folder), "QBD_SECRET_KEY": "s" * 32})
    database = Database(settings.database)
    database.migrate()
    api = _in_thread(api_app(settings, database))
    codec = _in_thread(
        build_codec_app(database, read_key_ring(""), ui_origin="http://ui", clock=lambda: datetime.now(UTC))
    )
    listener = socket.create_server(("127.0.0.1", 0))
    bridge = Server(build_wsgi(RecordingService(), public_url="", support_page=lambda _company: None), listener)
    thread = threading.Thread(target=bridge.run)
    thread.start()
    yield {"bridge": int(listener.getsockname()[1]), "api": api[2], "console": api[2], "codec": codec[2]}
    bridge.told_to_end()
    for server, _, _ in (api, codec):
        server.should_exit = True
    for one in (thread, api[1], codec[1]):
        one.join(20)
    database.close()


@pytest.mark.parametrize("server", PATHS)
def test_each_server_refuses_what_could_be_read_differently(ports: dict[str, int], server: str) -> None:
    """One answer, 400 or 431, and the connection ends: the request behind is never read. A good one before is fine."""
    wrong: dict[str, bytes] = {}
    for name, request in CASES.items():
        answer = answers_to(ports[server], request.replace(b"@", PATHS[server]) + HIDDEN)
        if status_lines(answer) != [b"HTTP/1.1 400 Bad Request"] or b"connection: close" not in answer.lower():
            wrong[name] = answer[:200]
    assert not wrong


@pytest.mark.parametrize("server", PATHS)
def test_headers_that_are_too_large_are_refused(ports: dict[str, int], server: str) -> None:
    for fields in (b"X: " + b"a" * (2 * HEAD_BYTES_MAX) + b"\r\n", b"X: a\r\n" * FIELDS_MAX):
        answer = answers_to(ports[server], b"GET " + PATHS[server] + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        assert status_lines(answer) == [b"HTTP/1.1 431 Request Header Fields Too Large"]


@pytest.mark.parametrize("server", ["bridge", "api", "codec"])
def test_good_requests_are_read_one_after_the_other(ports: dict[str, int], server: str) -> None:
    """Together in one packet, byte by byte, in chunks with extensions and trailers, and a bad one behind a good one."""
    chunks = (
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nabcde\r\n0\r\nX: y\r\n\r\n"
    )
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    together = answers_to(ports[server], HIDDEN + chunks + last)
    assert [one[9:12] for one in status_lines(together)] in ([b"200", b"404", b"200"], [b"200", b"405", b"200"])
    single = answers_to(ports[server], *(bytes([one]) for one in chunks + last))
    assert [one[9:12] for one in status_lines(single)] in ([b"404", b"200"], [b"405", b"200"])


def test_an_underscore_is_no_hyphen() -> None:
    """A proxy guards X-Forwarded-For and lets X_Forwarded_For through, which in an environment has the same name."""
    from qbwc_bridge.connections import Connection, environment

    reader = RequestReader(keep_max=10)
    reader.receive(b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\nContent_Length: 5\r\n\r\n")
    assert reader.is_whole()
    with socket.socket() as sock:
        environ = environment(reader.take(), Connection(sock, "8.8.8.8", keep_max=0, now=0.0), ("h", 80))
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert environ["CONTENT_LENGTH"] == "0"


@pytest.mark.parametrize("name", CASES)
def test_the_reader_refuses_it_however_it_is_cut(name: str) -> None:
    """Byte by byte too, and never after it gave a request away."""
    reader = RequestReader(keep_max=100)
    with pytest.raises(BadRequestError):
        for byte in CASES[name].replace(b"@", b"/"):
            reader.receive(bytes([byte]))
            assert not reader.is_whole()
