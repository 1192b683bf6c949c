"""Read a SOAP 1.1 request from outside, and refuse what is not one before anything costly happens to it.

One pass of expat checks and builds at once, so there are no two parsers that could understand a body differently.
expat is used because its handlers see a document type declaration, an element or its attributes before anything is
expanded or stored, and because its time stays linear in the size of the body.
"""

from __future__ import annotations

import codecs
import re
from email.message import Message
from xml.parsers import expat

from lxml import etree

from qbwc_bridge.wsdl import NAMESPACE, OPERATIONS

SOAP_NAMESPACE = "http://schemas.xmlsoap.org/soap/envelope/"

_SEPARATOR = " "  # cannot occur in a namespace name that was normalised as an attribute
_MOST_ELEMENTS = 200  # a call of the Web Connector has at most nine
_MOST_ATTRIBUTES = 50
_CONTROL_REFERENCE = re.compile(rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));", re.IGNORECASE)
_USUAL = frozenset({"text/xml; charset=utf-8", 'text/xml; charset="utf-8"'})  # what .NET sends; saves reading it
_METHODS = frozenset(operation.name for operation in OPERATIONS)


class Refusal(Exception):  # noqa: N818  it is an answer, not an error of ours
    """The request is not one that can be answered; `code` is the SOAP 1.1 fault code (section 4.4.1)."""

    def __init__(self, reason: str, code: str = "Client") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class _Builder:
    """Build an lxml tree from expat's events, without attributes: the calls have none that matter."""

    def __init__(self, charset: str | None) -> None:
        self.tree = etree.TreeBuilder()
        self.elements = 0
        parser = expat.ParserCreate(charset, _SEPARATOR)
        parser.buffer_text = True
        parser.buffer_size = 1 << 18
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._refuse_declaration
        parser.EntityDeclHandler = self._refuse_declaration
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.tree.data
        self.parser = parser

    def _refuse_declaration(self, *_arguments: object) -> None:
        raise Refusal("A document type declaration is not accepted.")

    def _start(self, name: str, attributes: list[str]) -> None:
        self.elements += 1
        if self.elements > _MOST_ELEMENTS or len(attributes) > 2 * _MOST_ATTRIBUTES:
            raise Refusal("The request has more elements or attributes than a call can have.")
        self.tree.start(_clark(name), {})

    def _end(self, name: str) -> None:
        self.tree.end(_clark(name))


def read_envelope(body: bytes, content_type: str) -> etree._Element:
    """Give the root element of a SOAP 1.1 call that exists, or raise `Refusal`.

    Element text comes back exactly as sent; comments and processing instructions are dropped.
    """
    if not body.strip():
        raise Refusal("The request is empty.")
    charset = _charset(body, content_type)
    try:
        root = _parse(body, charset)
    except Refusal:
        # .NET writes control characters of a company file as references that XML 1.0 forbids. Refusing such a
        # reply would end every run at the same record.
        cleaned = _CONTROL_REFERENCE.sub(b"", body)
        if cleaned == body:
            raise
        root = _parse(cleaned, charset)
    _require_known_call(root)
    return root


def _parse(body: bytes, charset: str | None) -> etree._Element:
    builder = _Builder(charset)
    try:
        builder.parser.Parse(body, True)
        return builder.tree.close()
    except (expat.ExpatError, ValueError, LookupError) as error:
        # lxml raises ValueError for names it does not take, expat LookupError for an unknown encoding.
        raise Refusal("The request is not well-formed XML.") from error


def _require_known_call(root: etree._Element) -> None:
    name = etree.QName(root)
    if name.localname != "Envelope":
        raise Refusal("The request is not a SOAP envelope.")
    if name.namespace != SOAP_NAMESPACE:
        raise Refusal("Only SOAP 1.1 is spoken here.", "VersionMismatch")
    bodies = root.findall(f"{{{SOAP_NAMESPACE}}}Body")
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise Refusal("The SOAP body does not hold exactly one call.")
    call = etree.QName(bodies[0][0])
    if call.namespace != NAMESPACE:
        raise Refusal("The call is not in the namespace of the Web Connector.")
    if call.localname not in _METHODS:
        raise Refusal("There is no such method.")


def _clark(name: str) -> str:
    namespace, separator, local = name.rpartition(_SEPARATOR)
    return f"{{{namespace}}}{local}" if separator else local


def _charset(body: bytes, content_type: str) -> str | None:
    """Give the charset of the HTTP header, which outranks the XML declaration (RFC 7303, section 3.2).

    A byte order mark outranks both, and a charset that nobody knows is no reason to refuse a readable document.
    """
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content_type in _USUAL:
        return "utf-8"
    message = Message()
    message["Content-Type"] = content_type or "text/xml"
    charset = message.get_content_charset()
    try:
        # Python says utf-16-le where expat says utf-16le.
        return codecs.lookup(charset).name.replace("utf-16-", "utf-16") if charset else None
    except (LookupError, ValueError):
        return None
