"""Reads a .qwc file as the Web Connector does when an application is added (web-connector.md 3)."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lxml import etree

_GUID = re.compile(r"\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_REQUIRED = ("AppName", "AppURL", "AppDescription", "AppSupport", "UserName", "OwnerID", "FileID", "QBType")
_LOCAL_HOSTS = {"localhost", "127.0.0.1"}


class QwcError(Exception):
    """The Web Connector would not add this application; `code` is its QBWC number (web-connector.md 3.5)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class QwcFile:
    """What a .qwc file says."""

    app_name: str
    app_url: str
    app_description: str
    app_support: str
    user_name: str
    owner_id: str
    file_id: str
    qb_type: str = "QBFS"
    run_every_seconds: int | None = None
    is_read_only: bool = False


def load_qwc(path: Path | str) -> QwcFile:
    """Read a .qwc file from disk."""
    return read_qwc(Path(path).read_bytes())


def read_qwc(data: bytes | str) -> QwcFile:
    """Read a .qwc file's text; raises QwcError with the code QBWC shows (web-connector.md 3.2, 3.5)."""
    try:
        root = etree.fromstring(
            data.encode() if isinstance(data, str) else data, etree.XMLParser(resolve_entities=False, no_network=True)
        )
    except etree.XMLSyntaxError as error:
        raise QwcError("QBWC1039", f"not a valid QWC file: {error}") from error
    if root.tag != "QBWCXML":
        raise QwcError("QBWC1039", f"the root element is {root.tag}, not QBWCXML")
    missing = [name for name in _REQUIRED if not (root.findtext(name) or "").strip()]
    if root.find("AppID") is None:
        missing.append("AppID")
    if missing:
        raise QwcError("QBWC1039", f"missing elements: {', '.join(missing)}")
    text = {name: (root.findtext(name) or "").strip() for name in _REQUIRED}
    for name in ("OwnerID", "FileID"):
        if not _GUID.fullmatch(text[name]):
            raise QwcError("QBWC1039", f"{name} is not a GUID in braces: {text[name]}")
    if text["QBType"] not in ("QBFS", "QBPOS"):
        raise QwcError("QBWC1039", f"QBType is {text['QBType']}")
    _check_addresses(text["AppURL"], text["AppSupport"])
    return QwcFile(
        app_name=text["AppName"],
        app_url=text["AppURL"],
        app_description=text["AppDescription"],
        app_support=text["AppSupport"],
        user_name=text["UserName"],
        owner_id=text["OwnerID"],
        file_id=text["FileID"],
        qb_type=text["QBType"],
        run_every_seconds=_interval(root),
        is_read_only=(root.findtext("IsReadOnly") or "").strip().lower() == "true",
    )


def _check_addresses(app_url: str, app_support: str) -> None:
    url, support = urlsplit(app_url), urlsplit(app_support)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise QwcError("QBWC1051", f"AppURL is not a web address: {app_url}")
    if url.scheme == "http" and url.hostname not in _LOCAL_HOSTS:
        raise QwcError("QBWC1010", f"AppURL needs https unless it is on localhost: {app_url}")
    if support.hostname != url.hostname:
        raise QwcError("QBWC1000", f"AppSupport is on another host than AppURL: {app_support}")


def _interval(root: etree._Element) -> int | None:
    """The scheduler's interval; the first of the two elements wins (web-connector.md 3.1)."""
    scheduler = root.find("Scheduler")
    for child in scheduler if scheduler is not None else ():
        try:
            number = int((child.text or "").strip())
        except ValueError as error:
            raise QwcError("QBWC1039", f"{child.tag} is not a number") from error
        if child.tag == "RunEveryNMinutes":
            return number * 60
        if child.tag == "RunEveryNSeconds":
            return number
    return None
