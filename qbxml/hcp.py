"""strHCPResponse: what the Web Connector tells of QuickBooks at the start of a session (web-connector.md 2.1).

It comes with every session, so of host and company only what is asked for is read, and not all that could be checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from qbxml.company import PreferencesRet
from qbxml.envelope import DEFAULT_VERSION, UnreadableResponse, parse_response, read_ret
from qbxml.values import same_guid

_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Private:
    """A value that an application keeps in the company file."""

    owner_id: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class HostAndCompany:
    """The program and the company file that are open; what was not told is None or empty."""

    product: str | None = None
    supported_versions: tuple[str, ...] = ()
    """The qbXML versions that this QuickBooks lists."""
    country: str | None = None
    """Of the program: `US`, `CA`, `UK`, `AU`."""
    company_name: str | None = None
    private: tuple[Private, ...] = ()
    preferences: PreferencesRet | None = None

    def file_id(self, owner_id: str | None = None) -> str | None:
        """The FileID that the Web Connector stored in this file, of one owner or of any (web-connector.md 2.1)."""
        return self._private("FileID", owner_id)

    def locked_by(self, owner_id: str) -> str | None:
        """The computer whose Web Connector is at work in this file: `LOCKED:HOST:ticks` (web-connector.md 2.4)."""
        lock, _, rest = (self._private("AppLock", owner_id) or "").partition(":")
        return rest.partition(":")[0].strip() or None if lock == "LOCKED" else None

    def _private(self, name: str, owner_id: str | None) -> str | None:
        for one in self.private:
            if one.name == name and one.value and (owner_id is None or same_guid(one.owner_id, owner_id)):
                return one.value
        return None


def parse_hcp(text: str) -> HostAndCompany | None:
    """Read strHCPResponse; None when it holds no readable answer, which some products send (web-connector.md 2.1)."""
    try:
        answers = parse_response(text).responses
        rets = {str(ret.tag): ret for one in reversed(answers) for ret in one.element.iterchildren("*", reversed=True)}
        host, company, preferences = (rets.get(tag) for tag in ("HostRet", "CompanyRet", "PreferencesRet"))
        if host is None and company is None and preferences is None:
            return None
    except UnreadableResponse:
        return None
    return HostAndCompany(
        product=_text(host, "ProductName") if host is not None else None,
        supported_versions=tuple(one.text or "" for one in host.iterchildren("SupportedQBXMLVersion"))
        if host is not None
        else (),
        country=(_text(host, "Country") or None) if host is not None else None,
        company_name=(_text(company, "CompanyName") or None) if company is not None else None,
        private=tuple(map(_private, company.iterchildren("DataExtRet"))) if company is not None else (),
        preferences=_preferences(preferences) if preferences is not None else None,
    )


def _preferences(node: etree._Element) -> PreferencesRet | None:
    """Read them; what cannot be read of them must not hide which company file is open."""
    try:
        read = read_ret(node)
    except UnreadableResponse:
        return None
    return read if isinstance(read, PreferencesRet) else None


def _private(node: etree._Element) -> Private:
    return Private(_text(node, "OwnerID"), _text(node, "DataExtName"), _text(node, "DataExtValue"))


def _text(node: etree._Element, name: str) -> str:
    return (node.findtext(name) or "").strip()


def choose_version(supported: Sequence[str], ceiling: str = DEFAULT_VERSION) -> str:
    """The highest listed version up to `ceiling`, compared as numbers; `ceiling` when nothing usable is listed.

    Old non-US products list prefixed versions such as `CA3.0`; they are another language and are skipped.
    """
    limit = _version_key(ceiling)
    if limit is None:
        raise ValueError(f"{ceiling!r} is not a qbXML version")
    usable = [(key, version) for version in supported if (key := _version_key(version)) is not None and key <= limit]
    return max(usable)[1].strip() if usable else ceiling


def _version_key(version: str) -> tuple[int, int] | None:
    if not _VERSION.fullmatch(version.strip()):
        return None
    major, minor = version.strip().split(".")
    return int(major), int(minor)
