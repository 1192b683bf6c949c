"""Reading HTTP/1 requests from a connection, strictly: what two readers could read differently is refused.

A proxy and a server that disagree about where a request ends let a stranger hide one request in another. So everything
that RFC 9112 leaves to a reader's mercy (section 5.1 white space before a colon, 5.2 folded lines, 2.2 bare line feeds,
6.3 several lengths, a length beside chunks, other codings) is an error here, and the connection ends with it. Pure: it
is given bytes, and keeps no socket and no clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HEAD_BYTES_MAX = 64 * 1024
FIELDS_MAX = 100
_CHUNK_LINE_BYTES_MAX = 256
_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")


class BadRequestError(Exception):
    """This is no request that everybody reads alike; the text says why. `status` is that of the answer."""

    def __init__(self, reason: str, status: str = "400 Bad Request") -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands before the body. `length` is None for a body in chunks."""

    method: bytes
    target: bytes
    is_http_1_0: bool
    fields: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    length: int | None
    closes: bool
    waits_for_continue: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """A whole request. A body that was too long to keep is empty, and `body_bytes` still says how long it was."""

    head: Head
    body: bytes
    body_bytes: int


@dataclass
class RequestReader:
    """Reads the requests of one connection, one after the other; used by one thread at a time."""

    keep_max: int
    """Bytes of a body that are kept; of a longer one nothing is."""
    head: Head | None = None
    body_bytes: int = 0
    """So much of the present body came."""
    _buffer: bytearray = field(default_factory=bytearray)
    _body: bytearray = field(default_factory=bytearray)
    _searched: int = 0
    _left: int = 0
    """Bytes that are still to come of the body, or of the chunk."""
    _in_trailer: bool = False
    _chunk_ends: bool = False
    """The chunk's data is here, and its line end is not."""

    @property
    def kept_bytes(self) -> int:
        """Give what is held in memory."""
        return len(self._buffer) + len(self._body)

    @property
    def has_begun(self) -> bool:
        """Say whether something of a request came that is not whole."""
        return self.head is not None or bool(self._buffer)

    def receive(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data

    def is_whole(self) -> bool:
        """Read on, and say whether a whole request is there; raises `BadRequestError`, after which nothing is read."""
        if self.head is None and not self._read_head():
            return False
        assert self.head is not None  # noqa: S101
        if self.head.length is None:
            return self._read_chunks()
        self._read_data()
        return not self._left

    def take(self) -> Request:
        """Give the whole request, and begin with the next."""
        assert self.head is not None  # noqa: S101 is_whole() said so
        request = Request(head=self.head, body=bytes(self._body), body_bytes=self.body_bytes)
        self.head, self.body_bytes, self._left = None, 0, 0
        self._in_trailer = self._chunk_ends = False
        self._body = bytearray()
        return request

    def _read_head(self) -> bool:
        end = self._buffer.find(_END, max(0, self._searched - len(_END)))
        if _BARE_LINE_FEED.search(self._buffer, max(0, self._searched - 1), end if end >= 0 else len(self._buffer)):
            raise BadRequestError("A line ends without a carriage return.")
        self._searched = len(self._buffer)
        if (end if end >= 0 else self._searched) > HEAD_BYTES_MAX:
            raise BadRequestError("The header is too large.", "431 Request Header Fields Too Large")
        if end < 0:
            return False
        self.head = read_head(bytes(self._buffer[:end]))
        del self._buffer[: end + len(_END)]
        self._searched = 0
        self._left = self.head.length or 0
        return True

    def _read_data(self) -> None:
        came = min(self._left, len(self._buffer))
        if not came:
            return
        self.body_bytes += came
        self._left -= came
        announced = self.head.length if self.head is not None else None
        if (self.body_bytes if announced is None else announced) <= self.keep_max:
            self._body += self._buffer[:came]
        else:
            self._body.clear()
        del self._buffer[:came]

    def _read_chunks(self) -> bool:
        while True:
            if self._in_trailer:
                return self._read_trailer()
            if self._left:
                self._read_data()
                if self._left:
                    return False
                self._chunk_ends = True
            if self._chunk_ends:
                if len(self._buffer) < 2:
                    return False
                if not self._buffer.startswith(b"\r\n"):
                    raise BadRequestError("A chunk is longer than it says.")
                del self._buffer[:2]
                self._chunk_ends = False
            line = self._line()
            if line is None:
                return False
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise BadRequestError("The length of a chunk is not a number.")
            self._left = int(match[1], 16)
            self._in_trailer = not self._left

    def _line(self, limit: int = _CHUNK_LINE_BYTES_MAX) -> bytes | None:
        end = self._buffer.find(b"\n", 0, limit)
        if end < 0:
            if len(self._buffer) >= limit:
                raise BadRequestError("A line between chunks is too long.")
            return None
        if not self._buffer.startswith(b"\r", end - 1) or not end:
            raise BadRequestError("A line ends without a carriage return.")
        line = bytes(self._buffer[: end - 1])
        del self._buffer[: end + 1]
        return line

    def _read_trailer(self) -> bool:
        """Skip fields behind the chunks; nobody here wants them, and none may speak of length."""
        while (line := self._line()) is not None:
            if not line:
                return True
            name, _ = _field(line)
            if name in (b"content-length", b"transfer-encoding", b"host"):
                raise BadRequestError("Fields behind the body speak of the request.")
        return False


def read_head(text: bytes) -> Head:
    """Read request line and fields, without the empty line at their end; raises `BadRequestError`."""
    first, *lines = text.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise BadRequestError("This is no request of HTTP/1.")
    if len(lines) > FIELDS_MAX:
        raise BadRequestError("The header has too many fields.", "431 Request Header Fields Too Large")
    fields = tuple(_field(one) for one in lines)
    is_http_1_0 = line[3] == b"0"
    hosts = _values(fields, b"host")
    if len(hosts) > 1 or not (hosts or is_http_1_0):
        raise BadRequestError("The header must name one host.")
    connection = b",".join(_values(fields, b"connection")).lower()
    expected = b",".join(_values(fields, b"expect")).lower()
    return Head(
        method=line[1],
        target=line[2],
        is_http_1_0=is_http_1_0,
        fields=fields,
        length=_length(fields, is_http_1_0=is_http_1_0),
        closes=is_http_1_0 or b"close" in [option.strip() for option in connection.split(b",")],
        waits_for_continue=expected == b"100-continue" and not is_http_1_0,
    )


def _length(fields: tuple[tuple[bytes, bytes], ...], *, is_http_1_0: bool) -> int | None:
    lengths, codings = _values(fields, b"content-length"), _values(fields, b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise BadRequestError("The header says more than once how long the body is.")
    for value in lengths:
        if not _LENGTH.fullmatch(value):
            raise BadRequestError("The Content-Length is not one number.")
        return int(value)
    for value in codings:
        if value.lower() != b"chunked" or is_http_1_0:
            raise BadRequestError("The Transfer-Encoding is not just chunked, or this is HTTP/1.0.")
        return None
    return 0


def _values(fields: tuple[tuple[bytes, bytes], ...], wanted: bytes) -> list[bytes]:
    return [value for name, value in fields if name == wanted]


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    # A line that begins with white space goes on with the one before, for some readers: it has no name here.
    if not colon or not _NAME.fullmatch(name) or _CONTROL.search(value):
        raise BadRequestError("A line of the header is no field.")
    return name.lower(), value.strip(b" \t")
