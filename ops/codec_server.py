"""The codec server: what the Temporal UI and CLI ask to see payloads in clear.

It speaks the protocol of the SDKs' remote codecs: POST of `{"payloads": [...]}` to `/encode` and `/decode`. The CLI
sends an API key (`--codec-auth "Bearer KEY"`). A browser signs in here once with a key and then sends a cookie, when
the UI is told to include cross-origin credentials. A key must be for all companies: payloads do not say whose they are.
"""

from __future__ import annotations

import asyncio
import html
import secrets as randomness
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from anyio import to_thread
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from ops.payload_codec import EncryptionCodec, PayloadLockedError
from store import companies, secrets
from store.engine import Database
from store.key_ring import KeyRing
from tms_api.access import Scope, read_scopes
from tms_api.failed_keys import FailedKeys
from tms_api.headers import SecurityHeaders

BODY_BYTES_MAX = 16 * 1024 * 1024
BODY_S = 30.0
PAYLOADS_MAX = 5000
SESSION_LASTS = timedelta(hours=8)
SESSIONS_MAX = 1000
COOKIE = "qbd_codec"
NEEDED = {"decode": Scope.READ, "encode": Scope.EXPORT}
"""Whoever may read or export through the API may do no more here."""
KEY_LENGTH_MAX = 200

log = structlog.get_logger(__name__)


class CodecServer:
    """Its handlers; the sessions of browsers are in memory and end with the process."""

    def __init__(self, database: Database, keys: KeyRing, *, ui_origin: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._codec = EncryptionCodec(keys)
        self._ui_origin = ui_origin
        self._clock = clock
        self._failed = FailedKeys(clock)
        self._sessions: dict[str, tuple[str, datetime]] = {}
        """Fingerprint of the key that signed in, and the end, by fingerprint of the cookie."""

    async def encode(self, request: Request) -> Response:
        """Encrypt payloads."""
        return await self._answer(request, "encode")

    async def decode(self, request: Request) -> Response:
        """Decrypt payloads."""
        return await self._answer(request, "decode")

    async def page(self, _request: Request) -> Response:
        """Show the form to sign in."""
        return _page("Enter an API key that may read all companies. The browser stays signed in for eight hours.")

    async def sign_in(self, request: Request) -> Response:
        """Take a key from the form and give a cookie."""
        if request.headers.get("origin") not in (None, f"{request.url.scheme}://{request.url.netloc}"):
            raise HTTPException(403, "Sign in at this server's own page.")
        async with request.form(max_files=0, max_fields=2, max_part_size=1000) as form:
            key = str(form.get("key", "")).strip()
        try:
            await self._require_key(request, key, "decode")
        except HTTPException as refusal:
            return _page("This key was not accepted: it must be known and may read all companies.", refusal.status_code)
        token = randomness.token_urlsafe(32)
        now = self._clock()
        self._sessions = {one: (k, end) for one, (k, end) in self._sessions.items() if end > now}
        if len(self._sessions) >= SESSIONS_MAX:
            self._sessions.clear()
        self._sessions[secrets.fingerprint(token)] = (secrets.fingerprint(key), now + SESSION_LASTS)
        answer = _page("Signed in. In the Temporal UI, let the codec server include cross-origin credentials.")
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(SESSION_LASTS.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def _answer(self, request: Request, action: str) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != self._ui_origin:
            raise HTTPException(403, "Only the Temporal UI may ask from a browser.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "Send application/json.")
        await self._require_access(request, action)
        payloads = _payloads(await _body(request))
        try:
            done = await (self._codec.decode(payloads) if action == "decode" else self._codec.encode(payloads))
        except PayloadLockedError as error:
            raise HTTPException(400, str(error)) from error
        return Response(MessageToJson(Payloads(payloads=done)), media_type="application/json")

    async def _require_access(self, request: Request, action: str) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            await self._require_key(request, key.strip(), action)
            return
        cookie = request.cookies.get(COOKIE, "")
        key_hash, end = self._sessions.get(secrets.fingerprint(cookie), ("", self._clock()))
        if not (cookie and end > self._clock() and await to_thread.run_sync(self._may, key_hash, action)):
            text = "Send `Authorization: Bearer KEY`, or sign in at the address of this server with your browser."
            raise HTTPException(401, text, headers={"WWW-Authenticate": "Bearer"})

    async def _require_key(self, request: Request, key: str, action: str) -> None:
        address = request.client.host if request.client is not None else ""
        wait_s = self._failed.wait_s(address, key)
        if wait_s:
            raise HTTPException(429, "Too many unknown keys.", headers={"Retry-After": str(wait_s)})
        may = len(key) <= KEY_LENGTH_MAX and await to_thread.run_sync(self._may, secrets.fingerprint(key), action)
        self._failed.note(address, key, is_known=may)
        if not may:
            text = f"This key is not known, or it may not {action} payloads of all companies."
            raise HTTPException(401, text, headers={"WWW-Authenticate": "Bearer"})

    def _may(self, key_hash: str, action: str) -> bool:
        with self._database.transaction() as session:
            row = companies.api_key(session, key_hash, now=self._clock())
        if row is None or row.company_id is not None:
            return False
        needed = NEEDED[action]
        scopes = read_scopes(row.scopes)
        allowed = Scope.ADMIN in scopes or needed in scopes or (needed is Scope.READ and bool(scopes))
        log.info("payloads asked for", action=action, key=row.id, allowed=allowed)
        return allowed


def build_codec_app(
    database: Database, keys: KeyRing, *, ui_origin: str, clock: Callable[[], datetime], is_https: bool = False
) -> Starlette:
    """Build the application; browsers may ask from pages of `ui_origin` only."""
    server = CodecServer(database, keys, ui_origin=ui_origin, clock=clock)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=[ui_origin],
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
        max_age=600,
    )
    routes = [
        Route("/decode", server.decode, methods=["POST"]),
        Route("/encode", server.encode, methods=["POST"]),
        Route("/", server.page, methods=["GET"]),
        Route("/", server.sign_in, methods=["POST"]),
        Route("/healthz", lambda _request: PlainTextResponse("ok\n"), methods=["GET"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders, is_https=is_https), cors])


async def _body(request: Request) -> bytes:
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                received += chunk
                if len(received) > BODY_BYTES_MAX:
                    raise HTTPException(413, "The request is too large.")
    except TimeoutError:
        raise HTTPException(408, "The request took too long.") from None
    return bytes(received)


def _payloads(body: bytes) -> Sequence[Payload]:
    try:
        payloads = Parse(body, Payloads(), max_recursion_depth=20).payloads
    except (ParseError, ValueError, RecursionError):
        raise HTTPException(400, 'Send {"payloads": [...]} as the Temporal SDKs do.') from None
    if len(payloads) > PAYLOADS_MAX:
        raise HTTPException(413, f"At most {PAYLOADS_MAX} payloads at once.")
    return payloads


def _page(text: str, status: int = 200) -> HTMLResponse:
    form = (
        '<form method="post"><label>API key <input name="key" type="password" autocomplete="off" required></label> '
        "<button>Sign in</button></form>"
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Codec server</title></head>'
        f"<body><h1>Codec server</h1><p>{html.escape(text)}</p>{form}</body></html>"
    )
    policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(page, status, headers={"Content-Security-Policy": policy})
