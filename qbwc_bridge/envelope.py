"""Read a SOAP 1.1 request from outside, and refuse what is not one before anything costly happens to it.

One pass of expat checks and reads at once, so there are no two parsers that could understand a body differently.
expat is used because its handlers see a document type declaration, an element or its attributes before anything is
expanded or stored, and because its time stays linear in the size of the body.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from xml.parsers import expat

from qbwc_bridge.wsdl import NAMESPACE, OPERATIONS

SOAP_NAMESPACE = "http://schemas.xmlsoap.org/soap/envelope/"

_SEPARATOR = " "  # cannot occur in a namespace name that was normalised as an attribute
_BODY_NAME = f"{SOAP_NAMESPACE}{_SEPARATOR}Body"
_ENVELOPE, _BODY, _CALL, _PARAMETER = range(1, 5)  # how deep each stands
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


@dataclass(frozen=True)
class Call:
    """A call of the Web Connector: its method, and the texts of its parameters by name, exactly as they were sent."""

    method: str
    texts: Mapping[str, str]


class _Reader:
    """Reads a call from expat's events: the elements of an envelope, by how deep they stand."""

    def __init__(self, charset: str | None) -> None:
        self.root = ""
        self.calls: list[str] = []
        self.bodies = 0
        self.texts: dict[str, str] = {}
        self._elements = 0
        self._depth = 0
        self._in_body = False
        self._text: list[str] = []
        parser = expat.ParserCreate(charset, _SEPARATOR)
        parser.buffer_text = True
        parser.buffer_size = 1 << 18
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._refuse_declaration
        parser.EntityDeclHandler = self._refuse_declaration
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self.parser = parser

    def _refuse_declaration(self, *_arguments: object) -> None:
        raise Refusal("A document type declaration is not accepted.")

    def _start(self, name: str, attributes: list[str]) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS or len(attributes) > 2 * _MOST_ATTRIBUTES:
            raise Refusal("The request has more elements or attributes than a call can have.")
        self._depth += 1
        if self._depth > _PARAMETER:
            self.parser.CharacterDataHandler = None  # a parameter is a text, and ends where anything else begins
        elif self._depth == _PARAMETER and self._in_body:
            self._text = []
            self.parser.CharacterDataHandler = self._text.append
        elif self._depth == _CALL and self._in_body:
            self.calls.append(name)
        elif self._depth == _BODY:
            self._in_body = name == _BODY_NAME
            self.bodies += self._in_body
        elif self._depth == _ENVELOPE:
            self.root = name

    def _end(self, name: str) -> None:
        if self._depth == _PARAMETER and self._in_body:
            self.parser.CharacterDataHandler = None
            self.texts[name.rpartition(_SEPARATOR)[2]] = "".join(self._text)
        self._depth -= 1


def read_envelope(body: bytes, content_type: str) -> Call:
    """Read a SOAP 1.1 call that exists, or raise `Refusal`. Headers, attributes and comments are dropped."""
    if not body.strip():
        raise Refusal("The request is empty.")
    charset = _charset(body, content_type)
    try:
        reader = _parse(body, charset)
    except Refusal:
        # .NET writes control characters of a company file as references that XML 1.0 forbids. Refusing such a
        # reply would end every run at the same record.
        cleaned = _CONTROL_REFERENCE.sub(b"", body)
        if cleaned == body:
            raise
        reader = _parse(cleaned, charset)
    return _known_call(reader)


def _parse(body: bytes, charset: str | None) -> _Reader:
    reader = _Reader(charset)
    try:
        reader.parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        # expat raises LookupError for an unknown encoding.
        raise Refusal("The request is not well-formed XML.") from error
    return reader


def _known_call(reader: _Reader) -> Call:
    namespace, _, name = reader.root.rpartition(_SEPARATOR)
    if name != "Envelope":
        raise Refusal("The request is not a SOAP envelope.")
    if namespace != SOAP_NAMESPACE:
        raise Refusal("Only SOAP 1.1 is spoken here.", "VersionMismatch")
    if reader.bodies != 1 or len(reader.calls) != 1:
        raise Refusal("The SOAP body does not hold exactly one call.")
    namespace, _, method = reader.calls[0].rpartition(_SEPARATOR)
    if namespace != NAMESPACE:
        raise Refusal("The call is not in the namespace of the Web Connector.")
    if method not in _METHODS:
        raise Refusal("There is no such method.")
    return Call(method, reader.texts)


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
