"""A real server process on a free loopback port, and a client that shows its bytes."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "http://developer.intuit.com/"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(call: str, namespace: str = NAMESPACE, soap: str = SOAP11) -> bytes:
    """The shape that the Web Connector sends; `call` is the first element of the body without its namespace."""
    name, _, rest = call.partition(">")
    inner = f'{name} xmlns="{namespace}">{rest}'.replace(f'/ xmlns="{namespace}">', f' xmlns="{namespace}"/>')
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{soap}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        f"<soap:Body>{inner}</soap:Body></soap:Envelope>"
    ).encode()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    port: int
    notebook: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/qbwc"

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **options: Any
    ) -> Reply:
        connection = http.client.HTTPConnection("localhost", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {}, **options)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, body: Any, content_type: str = "text/xml; charset=utf-8", **options: Any) -> Reply:
        return self.request("POST", "/qbwc", body, {"Content-Type": content_type}, **options)

    def calls(self) -> list[list[str]]:
        lines = self.notebook.read_text(encoding="utf-8").splitlines() if self.notebook.exists() else []
        return [json.loads(line) for line in lines]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_process(port: int, notebook: Path, log: Path) -> subprocess.Popen[bytes]:
    script = (
        "from ops.http_server import serve_wsgi\nfrom ops.settings import load_settings\n"
        "from tests.soap.fake_service import app\n"
        f"serve_wsgi(app(), load_settings({{}}), port={port})"
    )
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAKE_NOTEBOOK": str(notebook)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
