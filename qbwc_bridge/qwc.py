"""Write the .QWC file with which a customer adds the connection to the QuickBooks Web Connector.

Elements and rules: Programmer's Guide, chapter "Creating a QWC file", and the codes QBWC1000 to QBWC1051.
"""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from lxml import etree

_LONGEST_DESCRIPTION = 80  # the guide's recommendation; more is cut off by the dialogs anyway
_LOCAL = "localhost"


class QwcProblem(ValueError):  # noqa: N818  shown to users by this name
    """The Web Connector would refuse such a file; the message is one sentence that says why."""


@dataclass(frozen=True, kw_only=True)
class QwcInput:
    """What differs between two companies' files.

    Keep `owner_id` and `file_id` the same for every download of a company: QuickBooks stores the pair in the
    company file, and another pair is refused with QBWC1039. Keep `app_name`, too: the permission is bound to it.
    """

    app_name: str
    app_url: str
    app_support: str
    user_name: str
    owner_id: str
    file_id: str
    description: str
    run_every_minutes: int


def build_qwc(data: QwcInput) -> str:
    """Give the text of the file, pure ASCII, or raise `QwcProblem`.

    `UnattendedModePref` is `umpOptional`: with `umpRequired` QuickBooks refuses every session (0x8004041D) until an
    administrator has granted the login while QuickBooks is closed, so a customer who only granted access while the
    company file is open would get nothing exported. Optional works with whatever was granted, and the wider grant
    can follow later without a new file.

    `AppUniqueName` is left out: it would replace an older entry without asking, but it becomes the key in the logs,
    and Web Connector 34 was reported to lose the application's name while replacing. `IsReadOnly` is false because
    true makes the file's own stamp fail (status 3263, QBWC1039).
    """
    _require_text("application name", data.app_name)
    _require_text("user name", data.user_name)
    app_url = _checked_url("application address", data.app_url)
    app_support = _checked_url("support address", data.app_support)
    if app_url.hostname != app_support.hostname:
        raise QwcProblem("The support address must have the same host name as the application address.")
    if data.run_every_minutes < 1:
        raise QwcProblem("The interval must be at least one minute.")
    elements = {
        "AppName": data.app_name,
        "AppID": "",
        "AppURL": data.app_url,
        "AppDescription": data.description[:_LONGEST_DESCRIPTION],
        "AppSupport": data.app_support,
        "UserName": data.user_name,
        "OwnerID": _in_braces("owner id", data.owner_id),
        "FileID": _in_braces("file id", data.file_id),
        "QBType": "QBFS",
        "PersonalDataPref": "pdpNotNeeded",
        "UnattendedModePref": "umpOptional",
        "IsReadOnly": "false",
    }
    root = etree.Element("QBWCXML")
    try:
        for name, text in elements.items():
            etree.SubElement(root, name).text = text
    except ValueError as error:
        raise QwcProblem("The file's texts must not contain control characters.") from error
    schedule = etree.SubElement(root, "Scheduler")
    etree.SubElement(schedule, "RunEveryNMinutes").text = str(data.run_every_minutes)
    etree.indent(root)
    # Characters above ASCII (only the description can have some) become numeric references.
    return '<?xml version="1.0"?>\n' + etree.tostring(root, encoding="us-ascii").decode("ascii") + "\n"


def _require_text(what: str, text: str) -> None:
    """Names are compared byte by byte on the way through Windows and SOAP, so they stay printable ASCII."""
    if not text.strip():
        raise QwcProblem(f"The {what} is missing.")
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        raise QwcProblem(f"The {what} must be plain ASCII text without spaces around it.")


def _checked_url(what: str, text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port  # the port is checked only when it is asked for
    except ValueError as error:
        raise QwcProblem(f"The {what} is not a valid URL.") from error
    if not host or url.scheme not in ("http", "https") or not (text.isascii() and text.isprintable()) or " " in text:
        raise QwcProblem(f"The {what} is not a valid URL.")
    if _is_ip_address(host):
        raise QwcProblem(f"The {what} must have a host name, not an IP address.")
    if url.scheme != "https" and host != _LOCAL:
        raise QwcProblem(f"The {what} must start with https, because only localhost may go without.")
    return url


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # "2130706433" and "127.1" are addresses for the resolvers of Windows, and no name ends in a number.
        return host.rstrip(".").rpartition(".")[2].isdigit()
    return True


def _in_braces(what: str, text: str) -> str:
    try:
        return f"{{{uuid.UUID(text)}}}"
    except ValueError as error:
        raise QwcProblem(f"The {what} is not a GUID.") from error
