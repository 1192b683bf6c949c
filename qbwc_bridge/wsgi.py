"""The WSGI application around spyne: what the Web Connector and its dialogs ask of an HTTP server.

The certificate check of the Web Connector is a plain GET of AppURL, the support page is fetched as well, replies are
never compressed nor redirected and carry a Content-Length (Programmer's Guide, "Creating a QWC file"; field reports).
"""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from xml.sax.saxutils import escape

import structlog
from prometheus_client import CollectorRegistry

from qbwc_bridge import client_versions
from qbwc_bridge.client_address import Network, client_address
from qbwc_bridge.envelope import SOAP_NAMESPACE, Refusal, read_envelope
from qbwc_bridge.kept_replies import Kept, KeptReplies
from qbwc_bridge.observing import CallObserver
from qbwc_bridge.service import WebConnectorService
from qbwc_bridge.soap import CallNotes, build_server, describe_failure
from qbwc_bridge.wsdl import build_wsdl
from telemetry.instruments import BridgeMetrics
from telemetry.tracing import Tracing

ENDPOINT = "/qbwc"
SUPPORT = "/support/"
HEALTH = "/healthz"
READY = "/readyz"
BODY_BYTES_MAX = 16 << 20
HSTS = "max-age=31536000"

_LONGEST_COMPANY = 200
_XML = "text/xml; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_NEUTRAL = "If the export to QuickBooks does not work, please contact the support of your transport software."
_PROBE = "This address is for the QuickBooks Web Connector.\n"

_log = structlog.get_logger(__name__)

Reply = tuple[str, str, bytes]


def build_wsgi(
    service: WebConnectorService,
    *,
    public_url: str,
    body_bytes_max: int = BODY_BYTES_MAX,
    support_page: Callable[[str], str | None],
    is_ready: Callable[[], bool] = lambda: True,
    observer: CallObserver | None = None,
    trusted_proxies: Sequence[Network] = (),
) -> WSGIApplication:
    """Give the WSGI application for `service`.

    `is_ready` says whether calls can be served now; `/healthz` only says that the process lives.

    `public_url` is the address stated in the WSDL, with or without `/qbwc` at its end; when it is empty, the host
    that the client asked for is stated. `support_page` gives a company's text, or None for an unknown company. What
    `trusted_proxies` say of a client's address is believed.
    """
    silence_spyne()
    observer = observer or CallObserver(BridgeMetrics(CollectorRegistry()), Tracing())
    calls = _Calls(service, observer, body_bytes_max)
    hsts = [("Strict-Transport-Security", HSTS)] if public_url.startswith("https:") else []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = str(environ.get("REQUEST_METHOD", "GET")).upper()
        path = _path(environ)
        reading = method in ("GET", "HEAD")
        more: list[tuple[str, str]] = []
        if path == ENDPOINT and method == "POST":
            reply = calls.reply(environ, client_address(environ, trusted_proxies), more)
        elif path == ENDPOINT and reading:
            reply = _endpoint_page(environ, public_url)
        elif path == HEALTH and reading:
            reply = ("200 OK", _TEXT, b"ok\n")
        elif path == READY and reading:
            reply = _readiness(is_ready)
        elif path.startswith(SUPPORT) and reading:
            reply = _support_page(path.removeprefix(SUPPORT), support_page)
        else:
            reply = ("404 Not Found", _TEXT, b"Not found\n")
        status, content_type, body = reply
        start_response(
            status,
            [
                ("Content-Type", content_type),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
                ("Referrer-Policy", "no-referrer"),
                ("Server", "qbd"),
                *hsts,
                *more,
            ],
        )
        return [b"" if method == "HEAD" else body]

    return application


def silence_spyne() -> None:
    """Keep spyne quiet: it logs request documents at DEBUG and broken ones, passwords included, at ERROR."""
    for name in ("spyne", *(name for name in logging.root.manager.loggerDict if name.startswith("spyne."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def fault(reason: str, code: str) -> Reply:
    """Give a SOAP 1.1 fault; section 6.2 of SOAP 1.1 asks for status 500."""
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{SOAP_NAMESPACE}"><soap:Body><soap:Fault>'
        f"<faultcode>soap:{code}</faultcode><faultstring>{escape(reason)}</faultstring>"
        "</soap:Fault></soap:Body></soap:Envelope>"
    )
    return "500 Internal Server Error", _XML, body.encode()


class _Calls:
    """Reads a call, checks it, and has it answered."""

    def __init__(self, service: WebConnectorService, observer: CallObserver, body_bytes_max: int) -> None:
        self._soap = build_server(service, observer)
        self._observer = observer
        self._body_bytes_max = body_bytes_max
        self._kept = KeptReplies()

    def reply(self, environ: WSGIEnvironment, address: str, more: list[tuple[str, str]]) -> Reply:
        """Give the reply to a POST from `address`; headers that it needs are added to `more`."""
        content_type, body = str(environ.get("CONTENT_TYPE", "")), b""
        try:
            body = _read_body(environ, self._body_bytes_max)
            version = client_versions.kept_in(str(environ.get("HTTP_COOKIE", "")))
            answer = self._answer(body, content_type, CallNotes(address=address, version=version))
            if answer.version:
                more.append(("Set-Cookie", client_versions.cookie_of(answer.version, path=ENDPOINT)))
            return "200 OK", _XML, answer.body
        except Refusal as refusal:
            _log.warning("soap_request_refused", reason=refusal.reason)
            return fault(refusal.reason, refusal.code)
        except Exception as error:  # noqa: BLE001  a traceback must never be the reply
            _log.error("soap_dispatch_failed", failure=describe_failure(error, [body.decode("utf-8", "replace")]))
            return fault("The server had a problem.", "Server")

    def _answer(self, body: bytes, content_type: str, notes: CallNotes) -> Kept:
        kept = self._kept.find(body, content_type)
        if kept is not None:
            with self._observer.call(kept.method, {}):
                return kept
        call = read_envelope(body, content_type)
        reply = self._soap.answer(call, notes)
        answer = Kept(method=notes.method, body=reply, version=client_versions.told_in(call))
        if not notes.has_failed:
            self._kept.keep(body, content_type, answer)
        return answer


def _read_body(environ: WSGIEnvironment, limit: int) -> bytes:
    """Give the body, which our server has whole before it calls; of one that is too long only the length is told."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > limit:
        raise Refusal("The request is too large.")
    return bytes(environ["wsgi.input"].read(length))


def _endpoint_page(environ: WSGIEnvironment, public_url: str) -> Reply:
    asked = str(environ.get("QUERY_STRING", "")).partition("=")[0].lower()
    if asked != "wsdl":
        return "200 OK", _TEXT, _PROBE.encode()
    return "200 OK", _XML, build_wsdl(_address(environ, public_url))


def _address(environ: WSGIEnvironment, public_url: str) -> str:
    base = public_url.rstrip("/")
    if not base:
        host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', 'localhost')}:{environ.get('SERVER_PORT', 80)}"
        base = f"{environ.get('wsgi.url_scheme', 'http')}://{quote(str(host), safe=':.[]-')}"
    return base if base.endswith(ENDPOINT) else base + ENDPOINT


def _readiness(is_ready: Callable[[], bool]) -> Reply:
    try:
        ready = is_ready()
    except Exception as error:  # noqa: BLE001 whatever it is, nothing can be served
        _log.warning("not_ready", failure=describe_failure(error, []))
        ready = False
    return ("200 OK", _TEXT, b"ok\n") if ready else ("503 Service Unavailable", _TEXT, b"not ready\n")


def _support_page(company: str, support_page: Callable[[str], str | None]) -> Reply:
    """Give the page with status 200 whatever happens: any other makes the Web Connector refuse the application."""
    try:
        text = support_page(company) if 0 < len(company) <= _LONGEST_COMPANY else None
    except Exception as error:  # noqa: BLE001  see above
        _log.error("support_page_failed", failure=describe_failure(error, []))
        text = None
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>QuickBooks export: support</title></head>'
        f'<body><h1>QuickBooks export</h1><p style="white-space: pre-line">{html.escape(text or _NEUTRAL)}</p>'
        "</body></html>"
    )
    return "200 OK", _HTML, page.encode("utf-8", "replace")


def _path(environ: WSGIEnvironment) -> str:
    """Give the path as text (PEP 3333 hands it over as latin-1) and without a slash at its end."""
    raw = str(environ.get("PATH_INFO", ""))
    try:
        path = raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        path = raw
    return path.rstrip("/") or "/"
