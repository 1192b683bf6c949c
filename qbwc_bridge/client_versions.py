"""The Web Connector's version: told in clientVersion, which names no company, and kept by it to authenticate.

It has a place for cookies within one update (web-connector.md 2.2); one that keeps none is simply of unknown version.
"""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie

from qbwc_bridge.envelope import Call

COOKIE = "qbwc_version"
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8}){0,4}")


def told_in(call: Call) -> str:
    """Give the version of a clientVersion call; "" for other calls and for what is no version."""
    text = call.texts.get("strVersion", "").strip() if call.method == "clientVersion" else ""
    return text if _VERSION.fullmatch(text) else ""


def cookie_of(version: str, *, path: str) -> str:
    """Give the Set-Cookie header that has it told again in the calls that follow."""
    return f"{COOKIE}={version}; Path={path}; HttpOnly; SameSite=Strict"


def kept_in(cookies: str) -> str:
    """Read the version from a Cookie header; "" when there is none."""
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None and _VERSION.fullmatch(found.value) else ""
