"""First stage of reading a document: what QuickBooks' parser accepts at all (qbxml.md 5.1, 7.1).

Anything refused here refuses the whole message set, without a word about which request was at fault.
"""

import re
from dataclasses import dataclass

from lxml import etree

from .errors import PARSE_ERROR, PARSE_ERROR_TEXT, VERSION_ERROR, VERSION_ERROR_TEXT, QuickBooksError
from .notation import Model
from .tables import REQUESTS, SUPPORTED_VERSIONS, WRITES, attributes_of

_SET_ATTRIBUTES = {"onError", "newMessageSetID", "oldMessageSetID", "responseData"}
_DECLARED_ENCODING = re.compile(r"""^(<\?xml[^>]*?)\s+encoding\s*=\s*(?:"[^"]*"|'[^']*')""")
_VERSION = re.compile(r"""version\s*=\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class Request:
    """One request of a set, still as XML."""

    name: str
    element: etree._Element
    request_id: str | None

    @property
    def writes(self) -> bool:
        """Whether it changes the company file."""
        return self.name in WRITES


@dataclass(frozen=True)
class MessageSet:
    """A document that passed the parser."""

    text: str
    version: str
    stops_on_error: bool
    new_id: str | None
    old_id: str | None
    wants_data: bool
    requests: tuple[Request, ...]


def read_document(
    text: str,
    *,
    refuse_literal_non_ascii: bool = True,
    versions: tuple[str, ...] = SUPPORTED_VERSIONS,
    abroad: bool = False,
) -> MessageSet:
    """Read a qbXML document or raise what ProcessRequest throws (qbxml.md 1.1, 1.2, 5.1; web-connector.md 2.6)."""
    root = _parse(text, refuse_literal_non_ascii)
    version = _declared_version(root)
    if version not in versions:
        raise QuickBooksError(VERSION_ERROR, VERSION_ERROR_TEXT)
    sets = list(root)
    if root.tag != "QBXML" or len(sets) != 1 or sets[0].tag != "QBXMLMsgsRq" or root.attrib:
        raise _refused()
    message_set = sets[0]
    if _stray_text(root) or _stray_text(message_set):
        raise _refused()
    attributes = {str(name): str(value) for name, value in message_set.attrib.items()}
    on_error, data = attributes.get("onError"), attributes.get("responseData", "includeAll")
    # rollbackOnError is in the schema, yet QuickBooks refuses it (qbxml.md 1.2).
    if (
        set(attributes) - _SET_ATTRIBUTES
        or on_error not in ("stopOnError", "continueOnError")
        or data not in ("includeAll", "includeNone")
    ):
        raise _refused()
    major, minor = version.split(".")
    for element in message_set:
        _judge_request(element, (int(major), int(minor)), abroad)
    return MessageSet(
        text=text,
        version=version,
        stops_on_error=on_error == "stopOnError",
        new_id=attributes.get("newMessageSetID") or None,
        old_id=attributes.get("oldMessageSetID") or None,
        wants_data=data == "includeAll",
        requests=tuple(Request(str(e.tag), e, e.get("requestID")) for e in message_set),
    )


def _refused() -> QuickBooksError:
    return QuickBooksError(PARSE_ERROR, PARSE_ERROR_TEXT)


def _parse(text: str, refuse_literal_non_ascii: bool) -> etree._Element:
    if not text.startswith("<?xml") or (refuse_literal_non_ascii and not text.isascii()):
        raise _refused()
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        # The text is already decoded, so an encoding it declares for itself says nothing any more.
        root = etree.fromstring(_DECLARED_ENCODING.sub(r"\1", text, count=1).encode(), parser)
    except etree.XMLSyntaxError as error:
        raise _refused() from error
    if "<!DOCTYPE" in text:
        raise _refused()
    return root


def _declared_version(root: etree._Element) -> str:
    node = root.getprevious()
    while node is not None:
        if isinstance(node, etree._ProcessingInstruction) and node.target == "qbxml":
            found = _VERSION.search(node.text or "")
            if found:
                return found[1]
        node = node.getprevious()
    raise _refused()


def _stray_text(element: etree._Element) -> bool:
    return any((part or "").strip() for part in (element.text, *(child.tail for child in element)))


def _judge_request(element: etree._Element, version: tuple[int, int], abroad: bool) -> None:
    model = REQUESTS.get(str(element.tag))
    if model is None or {str(name) for name in element.attrib} - attributes_of(str(element.tag)):
        raise _refused()
    if element.get("iterator") not in (None, "Start", "Continue", "Stop"):
        raise _refused()
    if element.get("metaData") not in (None, "NoMetaData", "MetaDataOnly", "MetaDataAndResponseData"):
        raise _refused()
    _judge_content(element, model, version, abroad)


def _judge_content(element: etree._Element, model: Model, version: tuple[int, int], abroad: bool) -> None:
    names = [child.tag if isinstance(child.tag, str) else "?" for child in element]
    if _stray_text(element) or not model.accepts(names, version, abroad=abroad):
        raise _refused()
    for child in element:
        inner = model.fields[str(child.tag)]
        macro = {"defMacro"} if child.tag in ("InvoiceAdd", "BillAdd") else set()
        if {str(name) for name in child.attrib} - macro or (inner.content is None and len(child)):
            raise _refused()
        if inner.content is not None:
            _judge_content(child, inner.content, version, abroad)
