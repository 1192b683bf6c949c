"""The Web Connector's SOAP: its envelopes, and its strict reading of replies (web-connector.md 1.1, 1.3)."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from lxml import etree

NAMESPACE = "http://developer.intuit.com/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class ReplyError(Exception):
    """The reply cannot be read; the text is what QBWC's log would show."""


def envelope(method: str, parameters: Sequence[tuple[str, str | int]]) -> bytes:
    """A request as captured: default namespace on the method element, empty parameters as empty elements."""
    inner = "".join(
        f"<{name}>{escape(str(value))}</{name}>" if value != "" else f"<{name} />" for name, value in parameters
    )
    call = f'<{method} xmlns="{NAMESPACE}">{inner}</{method}>' if inner else f'<{method} xmlns="{NAMESPACE}" />'
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{ENVELOPE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body>{call}</soap:Body></soap:Envelope>'
    ).encode()


def _result(reply: bytes, method: str) -> etree._Element | None:
    try:
        root = etree.fromstring(reply, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except etree.XMLSyntaxError as error:
        raise ReplyError("Response is not well-formed XML.") from error
    body = root.find(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or body is None:
        raise ReplyError("The reply is not a SOAP 1.1 envelope.")
    fault = body.find(f"{{{ENVELOPE}}}Fault")
    if fault is not None:
        raise ReplyError(f"SOAP fault: {fault.findtext('faultstring') or ''}")
    result = body.find(f"{{{NAMESPACE}}}{method}Response/{{{NAMESPACE}}}{method}Result")
    return None if result is None or result.get(_XSI_NIL) in ("true", "1") else result


def read_text(reply: bytes, method: str) -> str | None:
    """A string result; None when the element is missing, in another namespace, or nil."""
    result = _result(reply, method)
    return None if result is None else "".join(str(part) for part in result.itertext())


def read_int(reply: bytes, method: str) -> int:
    """An int result; anything else is a deserialisation error."""
    text = read_text(reply, method)
    try:
        return int(text or "")
    except ValueError as error:
        raise ReplyError("There is an error in XML document: Input string was not in a correct format.") from error


def read_strings(reply: bytes, method: str) -> list[str]:
    """An ArrayOfString; only children named string in Intuit's namespace count (web-connector.md 1.3)."""
    result = _result(reply, method)
    if result is None:
        raise ReplyError("Object reference not set to an instance of an object.")
    strings = [
        "".join(str(part) for part in child.itertext()) for child in result.iterchildren(f"{{{NAMESPACE}}}string")
    ]
    if len(strings) < 2:
        raise ReplyError("Index was outside the bounds of the array.")
    return strings
