"""Requests into documents and documents into answers (qbxml.md 1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from lxml import etree
from pydantic import ValidationError
from pydantic_xml import ParsingError

from qbxml.base import AddRequest, QueryRequest, ReadModel
from qbxml.bills import BillRet
from qbxml.company import CompanyActivityRet, PreferencesRet
from qbxml.deleted_lists import ListDeletedRet
from qbxml.invoices import InvoiceRet
from qbxml.lists import (
    AccountRet,
    ClassRet,
    CustomerRet,
    ItemRet,
    SalesTaxCodeRet,
    TemplateRet,
    TermsRet,
    VendorRet,
)
from qbxml.status_codes import ERROR_FROM, WARNING_FROM
from qbxml.text import to_ascii_xml
from qbxml.written import Written, read_written

#: Reaches every product from 2014 to 2024 without loss for this export (qbxml.md 2.1).
DEFAULT_VERSION = "13.0"
#: Sources give 23 and 24 as the limit of message-set ids; one below both is safe (qbxml.md 1.4).
MAX_MESSAGE_SET_ID = 22
#: Longer request ids are refused with code 1060.
MAX_REQUEST_ID = 50
#: Forgets all records that QuickBooks keeps for this application (qbxml.md 1.4).
CLEAR_ALL_MESSAGE_SETS = "ClearAllMessageSets"
#: An answer beyond this is not something this export has asked for.
MAX_RESPONSE_CHARACTERS = 64 * 1024 * 1024

_SET_ID = re.compile(rf"[A-Za-z0-9]{{1,{MAX_MESSAGE_SET_ID}}}")
_REQUEST_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_REQUEST_ID}}}")
_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,2}")
_ILLEGAL_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(?:[xX](?P<hex>[0-9A-Fa-f]{1,8})|(?P<dec>[0-9]{1,10}));")
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")
_ITEM = re.compile(r"Item(\w+)Ret")
_TERMS = re.compile(r"(Standard|DateDriven)TermsRet")

_RetT = TypeVar("_RetT", bound=ReadModel)
_RETS: dict[str, type[ReadModel]] = {
    "AccountRet": AccountRet,
    "BillRet": BillRet,
    "ClassRet": ClassRet,
    "CompanyActivityRet": CompanyActivityRet,
    "CustomerRet": CustomerRet,
    "InvoiceRet": InvoiceRet,
    "ListDeletedRet": ListDeletedRet,
    "PreferencesRet": PreferencesRet,
    "SalesTaxCodeRet": SalesTaxCodeRet,
    "TemplateRet": TemplateRet,
    "VendorRet": VendorRet,
}


class UnreadableResponse(ValueError):  # noqa: N818 - says what it is without "Error"
    """QuickBooks' answer cannot be read. The text is a sentence for people."""


def build_request_element(model: AddRequest | QueryRequest, request_id: str) -> str:
    """One request as ASCII text, with its id, ready for a message set.

    Every attempt needs an id of its own: it is how an answer finds its request (web-connector.md 5.1, no. 16).
    """
    if not _REQUEST_ID.fullmatch(request_id):
        raise ValueError(f"request id {request_id!r}: 1 to {MAX_REQUEST_ID} letters, digits or . _ : -")
    body = cast("etree._Element", model.to_xml_tree(exclude_none=True))
    request = body
    if isinstance(model, AddRequest):
        request = etree.Element(model.request_tag)
        request.append(body)
    request.set("requestID", request_id)
    return to_ascii_xml(etree.tostring(request, encoding="unicode"))


def build_message_set(
    requests: Sequence[str],
    *,
    version: str = DEFAULT_VERSION,
    on_error: Literal["continueOnError", "stopOnError"] = "continueOnError",
    new_message_set_id: str | None = None,
    old_message_set_id: str | None = None,
) -> str:
    """A whole document around finished requests; no requests make a status check or clear a record (qbxml.md 1.4)."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a qbXML version")
    attributes = ""
    for name, value in (("newMessageSetID", new_message_set_id), ("oldMessageSetID", old_message_set_id)):
        if value is None:
            continue
        if not _SET_ID.fullmatch(value):
            raise ValueError(f"{name} {value!r}: 1 to {MAX_MESSAGE_SET_ID} letters and digits")
        attributes += f' {name}="{value}"'
    document = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<?qbxml version="{version}"?>'
        f'<QBXML><QBXMLMsgsRq onError="{on_error}"{attributes}>{"".join(requests)}</QBXMLMsgsRq></QBXML>'
    )
    if not document.isascii():
        raise ValueError("a request holds raw characters above 127; build it with build_request_element")
    return document


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """An object of an answer that cannot be read, as far as it can be named."""

    list_id: str | None
    name: str | None
    reason: str
    """For those who read logs, such as `IsActive: Input should be a valid boolean`."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one request."""

    kind: str
    """The request without `Rq`, such as `InvoiceAdd`."""
    request_id: str | None
    status_code: int
    severity: str
    message: str
    iterator_id: str | None
    iterator_remaining: int | None
    ret_count: int | None
    recovered_txn_id: str | None
    """From `ErrorRecovery`: the transaction was written although its data could not be answered (qbxml.md 1.2)."""
    element: etree._Element = field(repr=False, compare=False)

    @property
    def is_error(self) -> bool:
        """Whether it carries no data: by its code, and also where only the severity says so (qbxml.md 6.1)."""
        return self.status_code >= ERROR_FROM or self.severity == "Error"

    @property
    def is_complete(self) -> bool:
        """Whether nothing casts doubt on its data: what is not in it is not in QuickBooks (qbxml.md 6.1)."""
        return 0 <= self.status_code < WARNING_FROM and self.severity not in ("Warn", "Error")

    @property
    def txn_id(self) -> str | None:
        """The id of the first transaction in the answer, read without its other fields."""
        return _text(self.element, "./*/TxnID") or self.recovered_txn_id

    def written(self) -> Written | None:
        """What the answer says of the first transaction in it, whatever else of it can be read; None: nothing."""
        txn_id = self.txn_id
        if txn_id is None:
            return None
        ret = next((child for child in self.element.iterchildren("*") if _text(child, "TxnID") == txn_id), None)
        return read_written(txn_id, ret)

    def rets(self) -> list[ReadModel]:
        """The answered objects of known kinds, in the order of the answer; raises UnreadableResponse."""
        return [ret for child in self.element.iterchildren("*") if (ret := read_ret(child)) is not None]

    def rets_of(self, model: type[_RetT]) -> list[_RetT]:
        """The answered objects of one kind."""
        return [ret for ret in self.rets() if isinstance(ret, model)]

    def rows_of(self, model: type[_RetT]) -> list[_RetT | UnreadableRow]:
        """Every object of the answer in its order; one that cannot be read, or is of another kind, harms no other."""
        return [_row(child, model) for child in self.element.iterchildren("*")]


@dataclass(frozen=True, slots=True)
class MessageSetResponse:
    """The answer to a whole document."""

    new_message_set_id: str | None
    status_code: int | None
    """messageSetStatusCode; only present when message-set ids were sent (qbxml.md 1.2)."""
    responses: list[Response]

    def by_request_id(self, request_id: str) -> Response | None:
        """The answer to one request."""
        return next((response for response in self.responses if response.request_id == request_id), None)


def parse_response(text: str) -> MessageSetResponse:
    """Read QuickBooks' answer; raises UnreadableResponse with a sentence that says what is wrong."""
    root = parse_xml(text)
    sets = root.findall("QBXMLMsgsRs") if root.tag == "QBXML" else []
    if len(sets) != 1:
        raise UnreadableResponse("The answer is XML, but not the answer of QuickBooks: QBXMLMsgsRs is missing.")
    status = sets[0].get("messageSetStatusCode")
    return MessageSetResponse(
        new_message_set_id=sets[0].get("newMessageSetID") or None,
        status_code=_number(status, "messageSetStatusCode") if status else None,
        responses=[_response(child) for child in sets[0].iterchildren("*")],
    )


def parse_xml(text: str) -> etree._Element:
    """Read what QuickBooks wrote, without entities or a document type; raises `UnreadableResponse`."""
    if len(text) > MAX_RESPONSE_CHARACTERS:
        raise UnreadableResponse(f"The answer is longer than {MAX_RESPONSE_CHARACTERS} characters.")
    # A company file can hold characters that XML forbids; QuickBooks writes them as they are.
    cleaned = _REFERENCE.sub(_legal_reference, _ILLEGAL_CHARACTER.sub("", text.removeprefix("\ufeff")))
    # The text is decoded already: a declared encoding would only contradict it.
    cleaned = _DECLARATION.sub("", cleaned, count=1).strip()
    if not cleaned:
        raise UnreadableResponse("The answer of QuickBooks is empty.")
    if "<!DOCTYPE" in cleaned:
        # Refused before parsing, so that no entity is ever declared.
        raise UnreadableResponse("The answer declares a document type, which QuickBooks never does.")
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        return etree.fromstring(cleaned.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableResponse(f"The answer is not readable XML: {error.msg}.") from error


def _legal_reference(match: re.Match[str]) -> str:
    code = int(match["hex"], 16) if match["hex"] else int(match["dec"])
    legal = code <= 0x10FFFF and not _ILLEGAL_CHARACTER.match(chr(code))
    return match[0] if legal else ""


def _response(node: etree._Element) -> Response:
    tag = str(node.tag)
    if not tag.endswith("Rs"):
        raise UnreadableResponse(f"The answer holds {tag}, where the answer to a request should stand.")
    remaining, count = node.get("iteratorRemainingCount"), node.get("retCount")
    recovered = node.findtext("ErrorRecovery/TxnID")
    return Response(
        kind=tag.removesuffix("Rs"),
        request_id=node.get("requestID"),
        status_code=_number(node.get("statusCode"), f"statusCode of {tag}"),
        severity=node.get("statusSeverity") or "",
        message=node.get("statusMessage") or "",
        iterator_id=node.get("iteratorID") or None,
        iterator_remaining=_number(remaining, "iteratorRemainingCount") if remaining else None,
        ret_count=_number(count, "retCount") if count else None,
        recovered_txn_id=(recovered or "").strip() or None,
        element=node,
    )


def _row(node: etree._Element, model: type[_RetT]) -> _RetT | UnreadableRow:
    try:
        ret = read_ret(node)
        reason = f"{node.tag} was not asked for"
    except UnreadableResponse as error:
        ret, reason = None, str(error)
    if isinstance(ret, model):
        return ret
    return UnreadableRow(
        list_id=_text(node, "ListID"), name=_text(node, "FullName") or _text(node, "Name"), reason=reason
    )


def _text(node: etree._Element, path: str) -> str | None:
    return (node.findtext(path) or "").strip() or None


def _number(text: str | None, what: str) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise UnreadableResponse(f"The answer holds no number as {what}: {text!r}.") from None


def read_ret(node: etree._Element) -> ReadModel | None:
    """Read an answered object of a known kind; raises UnreadableResponse."""
    tag = str(node.tag)
    model = _RETS.get(tag)
    if model is None:
        # One model reads every kind of item, and one both kinds of terms; the kind becomes an attribute.
        for pattern, shared in ((_TERMS, TermsRet), (_ITEM, ItemRet)):
            if match := pattern.fullmatch(tag):
                copied = etree.Element(shared.__name__, type=match[1])
                copied.extend(etree.fromstring(etree.tostring(node)))
                node, model = copied, shared
                break
        else:
            return None
    try:
        return model.from_xml_tree(cast("Any", node))
    except (ValidationError, ParsingError) as error:
        raise UnreadableResponse(f"The answer holds a {tag} that cannot be read: {_reason(error)}.") from error


def _reason(error: ValidationError | ParsingError) -> str:
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
