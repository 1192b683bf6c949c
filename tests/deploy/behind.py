"""Ways from an address that the .qwc file names to this machine's ports: what DNS and a load balancer would do."""

from __future__ import annotations

import itertools
import ssl
from pathlib import Path

import httpx


class ToLoopback(httpx.HTTPTransport):
    """Takes TLS away and hands each call to the next port: what stands in front of the bridges does just that."""

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self._ports = itertools.cycle(ports)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=next(self._ports))
        return super().handle_request(request)


class ToTls(httpx.HTTPTransport):
    """Speaks TLS 1.2 to a port of this machine, under the name in the address, and trusts only the given root."""

    def __init__(self, port: int, root: Path, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> None:
        context = ssl.create_default_context(cafile=str(root))
        context.minimum_version = context.maximum_version = version
        super().__init__(verify=context, http1=True, http2=False)
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return super().handle_request(request)
