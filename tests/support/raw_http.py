"""Bytes to a server and back, for what no HTTP client would send."""

from __future__ import annotations

import re
import socket
from contextlib import suppress

_STATUS = re.compile(rb"HTTP/1\.[01] [0-9]{3} [^\r\n]*")


def answers_to(port: int, *parts: bytes, timeout_s: float = 20) -> bytes:
    """Send the parts, and give what comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = bytearray()
        with suppress(ConnectionResetError, BrokenPipeError):  # it was closed while we still sent
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
        return bytes(answer)


def status_lines(answer: bytes) -> list[bytes]:
    """Give the first line of each answer in it."""
    return _STATUS.findall(answer)
