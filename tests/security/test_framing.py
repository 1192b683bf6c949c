"""Requests that two readers could read differently: each of our servers refuses them alike and closes the connection.

Over real sockets: the bridge, and the API with the console on it and the codec server, which share a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops.codec_server import build_codec_app
from ops.http_server import FIELDS_MAX, HEAD_BYTES_MAX
from ops.settings import load_settings
from ops.wiring import api_app
from qbwc_bridge.front import Front, environment
from qbwc_bridge.wsgi import build_wsgi
from store.engine import Database
from store.key_ring import read_key_ring
from tests.soap.fake_service import RecordingService
from tests.support.raw_http import answers_to, status_lines
from tests.support.served import served

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


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Give the ports of the servers, each over production's own code."""
    folder: Path = tmp_path_factory.mktemp("framing")
    settings = load_settings({"QBD_DATA_DIR": str(folder), "QBD_SECRET_KEY": "s" * 32})
    database = Database(settings.database)
    database.migrate()
    bridge = Front(build_wsgi(RecordingService(), public_url="", support_page=lambda _company: None))
    codec = build_codec_app(database, read_key_ring(""), ui_origin="http://ui", clock=lambda: datetime.now(UTC))
    with served(bridge) as soap, served(api_app(settings, database)) as api, served(codec) as codec_port:
        yield {"bridge": soap, "api": api, "console": api, "codec": codec_port}
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
    scope = {
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "http_version": "1.1",
        "server": ("h", 80),
        "client": ("8.8.8.8", 1),
        "headers": [(b"host", b"a"), (b"x_forwarded_for", b"1.2.3.4"), (b"content_length", b"5")],
    }
    environ = environment(scope)
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert environ["CONTENT_LENGTH"] == "0"


@pytest.mark.parametrize("cut", [1, 7])
@pytest.mark.parametrize("server", ["bridge", "api"])
def test_it_is_refused_however_it_is_cut(ports: dict[str, int], server: str, cut: int) -> None:
    """Byte by byte too: one answer at most (lost, if it was closed while we sent), and none to what is hidden."""
    wrong: dict[str, bytes] = {}
    for name in ("length and chunks", "a list of lengths", "a length behind the chunks", "two hosts", "no host"):
        request = CASES[name].replace(b"@", PATHS[server]) + HIDDEN
        parts = [request[at : at + cut] for at in range(0, len(request), cut)]
        answer = answers_to(ports[server], *parts)
        # The API answers 401 on the header alone, before a body that is bad.
        if [line[9:12] for line in status_lines(answer)] not in ([b"400"], [b"401"], []):
            wrong[name] = answer[:200]
    assert not wrong


@pytest.mark.parametrize("name", CASES)
def test_a_good_request_before_has_its_answer_first(ports: dict[str, int], name: str) -> None:
    """In one packet: the good one is answered, the bad one is refused or unanswered, and nothing behind is read."""
    bad = CASES[name].replace(b"@", b"/qbwc")
    for good in (HIDDEN, HIDDEN * 2):
        lines = status_lines(answers_to(ports["bridge"], good + bad + HIDDEN))
        answered = [line[9:12] for line in lines]
        asked = [b"200"] * good.count(b"GET ")
        assert answered in (asked, [*asked, b"400"]), (name, answered)


def test_fields_behind_the_chunks_are_none_of_the_header() -> None:
    """A proxy guards X-Forwarded-For in the header; what a client writes behind its body is not taken for it."""
    seen: list[object] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.extend(name for name in environ if name.startswith("HTTP_"))
        start_response("200 OK", [("Content-Length", "0"), ("Connection", "close")])
        return []

    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = head + b"1\r\na\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    with served(Front(application)) as port:
        assert status_lines(answers_to(port, request)) == [b"HTTP/1.1 200 OK"]
    assert seen == ["HTTP_HOST"]


def test_an_upgrade_is_not_taken_up(ports: dict[str, int]) -> None:
    """What follows would be another protocol: the request is answered once, and the connection ends."""
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert status_lines(answers_to(ports["bridge"], upgrade + HIDDEN)) == [b"HTTP/1.1 200 OK"]
