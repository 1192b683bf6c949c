"""A request or an answer as staff may see it: its shape, ids, numbers and codes; names, texts and amounts left out."""

from __future__ import annotations

from lxml import etree

from qbxml.envelope import UnreadableResponse, parse_xml

HIDDEN = "•••"
_SHOWN = frozenset(
    {
        "ListID",
        "TxnID",
        "TxnLineID",
        "EditSequence",
        "TxnNumber",
        "RefNumber",
        "TxnDate",
        "DueDate",
        "TimeCreated",
        "TimeModified",
        "ExternalGUID",
        "OwnerID",
        "IsPending",
        "IsPaid",
        "IsToBePrinted",
        "IsToBeEmailed",
        "BillableStatus",
        "ErrorRecoveryTxnID",
    }
)
_SHOWN_ATTRIBUTES = frozenset(
    {"requestID", "statusCode", "statusSeverity", "retCount", "iteratorRemainingCount", "onError", "newMessageSetID",
     "oldMessageSetID", "messageSetStatusCode"}
)  # fmt: skip


def redacted(text: str, request_id: str | None = None) -> str | None:
    """Give a document, or the one element about this request, indented and without what is private.

    None: it cannot be read, holds no such element, or was not kept (only its hash is).
    """
    try:
        root = parse_xml(text)
    except UnreadableResponse:
        return None
    if request_id is not None:
        found = next((node for node in root.iter() if _is_of(node.get("requestID"), request_id)), None)
        if found is None:
            return None
        root = found
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        if len(node) == 0 and node.tag not in _SHOWN and (node.text or "").strip():
            node.text = HIDDEN
        node.tail = None
        for name in node.attrib:
            if str(name) not in _SHOWN_ATTRIBUTES:
                # QuickBooks quotes names in its messages.
                node.attrib[name] = HIDDEN
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def _is_of(found: str | None, request_id: str) -> bool:
    # Each attempt has an id of its own: that of the request and the attempt's number behind a point.
    return found is not None and found.partition(".")[0] == request_id
