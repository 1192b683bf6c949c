"""Who looks at a page: signing in, the session at each request, signing out."""

from __future__ import annotations

import secrets as randomness
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from console.signing import ShownPassword, Signer
from store import companies, console_sessions, secrets
from store.engine import Database
from tms_api.access import Caller, Scope, read_scopes

SESSION = timedelta(hours=12)
"""A working day: nobody signs in twice a day, and a PC left open overnight is signed out."""
KEY_LENGTH_MAX = 200
WAY_BACK = timedelta(hours=1)
SHOWN_FOR = timedelta(minutes=30)
"""Time to walk to the QuickBooks PC with a password, and back and forth between the steps of connecting."""
PLAIN_NAMES = ("qbd_console", "qbd_flash", "qbd_visitor", "qbd_back", "qbd_shown")
SECURE_NAMES = tuple(f"__Host-{name}" for name in PLAIN_NAMES)
"""Browsers take these only over https, for one host and the whole of it: no neighbour can set them."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody signed in."""

    caller: Caller
    session_id: str
    is_staff: bool
    """Signed in by a key; False: a bookkeeper, by a link."""


class Doorkeeper:
    """Opens, finds and ends sessions; the cookie holds the signed id, the database what it stands for."""

    def __init__(self, database: Database, signer: Signer, *, is_secure: bool) -> None:
        self._database = database
        self._signer = signer
        self._is_secure = is_secure
        names = SECURE_NAMES if is_secure else PLAIN_NAMES
        self._session_cookie, self._flash_cookie, self._visitor_cookie, self._back_cookie, self._shown_cookie = names

    def visitor(self, request: Request, now: datetime) -> Visitor | None:
        """Find who sent the request; None: not signed in, signed out, run out, or the key was revoked."""
        session_id = self._signer.read_session(request.cookies.get(self._session_cookie, ""))
        if session_id is None:
            return None
        with self._database.transaction() as session:
            found = console_sessions.find_session(session, session_id, now=now)
            if found is None:
                return None
            if found.key_id is None:
                caller = Caller(
                    key_id=f"console-{found.id_hash[:16]}",
                    company_id=found.company_id,
                    scopes=frozenset({Scope.ADMIN}),
                )
                return Visitor(caller=caller, session_id=session_id, is_staff=False)
            key = console_sessions.live_key(session, found.key_id, now=now)
            if key is None:
                return None
            caller = Caller(key_id=key.id, company_id=key.company_id, scopes=read_scopes(key.scopes))
            return Visitor(caller=caller, session_id=session_id, is_staff=True)

    def sign_in_by_key(self, key: str, now: datetime) -> str | None:
        """Open a session for a key, as the API would take it; None: it does not."""
        if len(key) > KEY_LENGTH_MAX:
            return None
        with self._database.transaction() as session:
            row = companies.api_key(session, secrets.fingerprint(key), now=now)
            if row is None:
                return None
            return console_sessions.open_session(
                session, key_id=row.id, company_id=None, now=now, expires_at=now + SESSION
            )

    def sign_in_by_link(self, token: str, now: datetime) -> tuple[str, str] | None:
        """Open a session for a link and give its id and company; None: unknown, used before, or run out."""
        link = self._signer.read_link(token)
        if link is None or link.expires_at <= now:
            return None
        with self._database.transaction() as session:
            if companies.company(session, link.company_id) is None:
                return None
            if not console_sessions.use_link(session, link.nonce, now=now, expires_at=link.expires_at):
                return None
            session_id = console_sessions.open_session(
                session, key_id=None, company_id=link.company_id, now=now, expires_at=now + SESSION
            )
        return session_id, link.company_id

    def is_usable(self, token: str, now: datetime) -> bool:
        """Say whether a link would sign somebody in."""
        link = self._signer.read_link(token)
        if link is None or link.expires_at <= now:
            return False
        with self._database.transaction() as session:
            return not console_sessions.is_link_used(session, link.nonce)

    def sign_out(self, session_id: str) -> None:
        """End the session for every copy of its cookie."""
        with self._database.transaction() as session:
            console_sessions.end_session(session, session_id)

    def set_session(self, response: Response, session_id: str) -> None:
        """Hand the session's cookie out. Lax: a link from the TMS to a page shall find the user signed in."""
        self._set(response, self._session_cookie, self._signer.session(session_id), SESSION)

    def drop_session(self, response: Response) -> None:
        """Take the session's cookie back."""
        response.delete_cookie(self._session_cookie, path="/", secure=self._is_secure, httponly=True, samesite="lax")

    def flashes(self, request: Request) -> list[list[str]]:
        """Give the messages that the page before left, as pairs of kind and text."""
        return self._signer.read_flash(request.cookies.get(self._flash_cookie, ""))

    def set_flash(self, response: Response, messages: list[list[str]]) -> None:
        """Leave messages for the next page."""
        self._set(response, self._flash_cookie, self._signer.flash(messages), timedelta(minutes=5))

    def drop_flash(self, response: Response) -> None:
        """Forget messages that were shown."""
        response.delete_cookie(self._flash_cookie, path="/", secure=self._is_secure, httponly=True, samesite="lax")

    def set_way_back(self, response: Response, address: str) -> None:
        """Remember the page that somebody was on when the session ended."""
        if address != "/":
            self._set(response, self._back_cookie, quote(address, safe=""), WAY_BACK)

    def way_back(self, request: Request) -> str:
        """Give the page that somebody was on when the session ended, as the browser says it: "" when it does not."""
        return unquote(request.cookies.get(self._back_cookie, ""))

    def forget_way_back(self, response: Response) -> None:
        """Forget it, as it was gone."""
        response.delete_cookie(self._back_cookie, path="/", secure=self._is_secure, httponly=True, samesite="lax")

    def show_password(self, response: Response, password: ShownPassword) -> None:
        """Let the next pages of this browser show a password: it is kept sealed there and nowhere else."""
        self._set(response, self._shown_cookie, self._signer.seal(password), SHOWN_FOR)

    def shown_password(self, request: Request, company_id: str, now: datetime) -> ShownPassword | None:
        """Give the company's password that this session made within the last half hour."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        found = self._signer.unseal(request.cookies.get(self._shown_cookie, ""))
        if found is None or visitor is None or found.until <= now:
            return None
        return found if (found.session_id, found.company_id) == (visitor.session_id, company_id) else None

    def stranger(self, request: Request) -> str | None:
        """Give what the forms of somebody who is not signed in are bound to."""
        return request.cookies.get(self._visitor_cookie) or None

    def set_stranger(self, response: Response) -> str:
        """Hand out what the forms of somebody who is not signed in are bound to."""
        value = randomness.token_urlsafe(18)
        self._set(response, self._visitor_cookie, value, SESSION)
        return value

    def _set(self, response: Response, name: str, value: str, age: timedelta) -> None:
        response.set_cookie(
            name,
            value,
            max_age=int(age.total_seconds()),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
