"""A short wire: the Web Connector's calls reach the dispatcher without spyne, for tests of many sessions.

Errors of ours are not hidden behind a legal answer: they end the test.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import httpx
from lxml import etree

from qbwc_bridge.service import WebConnectorService
from simulator.soap import ENVELOPE, NAMESPACE

METHODS = {
    "serverVersion": "server_version",
    "clientVersion": "client_version",
    "authenticate": "authenticate",
    "sendRequestXML": "send_request_xml",
    "receiveResponseXML": "receive_response_xml",
    "connectionError": "connection_error",
    "getLastError": "get_last_error",
    "closeConnection": "close_connection",
}


class DirectWire:
    """Stands where the Web Connector has its HTTP client."""

    def __init__(self, service: WebConnectorService) -> None:
        self.service = service
        self.cookies = httpx.Cookies()

    def post(self, _url: str, *, content: bytes, headers: dict[str, str], follow_redirects: bool) -> httpx.Response:
        """Do one call."""
        assert not follow_redirects
        method = headers["SOAPAction"].strip('"').rpartition("/")[2]
        call = etree.fromstring(content, etree.XMLParser(huge_tree=True))[0][0]
        result: Any = getattr(self.service, METHODS[method])(*("".join(part.itertext()) for part in call))
        inner = (
            "".join(f"<string>{escape(text)}</string>" for text in result)
            if isinstance(result, list)
            else escape(str(result))
        )
        body = f"<{method}Result>{inner}</{method}Result>"
        text = (
            f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body><{method}Response xmlns="{NAMESPACE}">{body}'
            f"</{method}Response></s:Body></s:Envelope>"
        )
        return httpx.Response(200, content=text.encode(), headers={"Content-Type": "text/xml; charset=utf-8"})
