"""Pure: to which of the documents that a session was handed does an answer belong?

By what was asked, never by the text alone: QuickBooks answers a question about a set with the stored answer, byte for
byte the one that came before (qbxml.md 1.4). Nor by position: answers come late, and twice (web-connector.md 5.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from qbwc_bridge.recovery import ACTIVITY_ID
from qbwc_bridge.unresolved import PLANT_ID
from qbxml.envelope import MessageSetResponse, UnreadableResponse, parse_response
from store.tables import MessageSet

LIST_PREFIX = "list."
"""Begins the ids of questions about lists; the id of their set follows."""
PROBE_ID = "probe"


@dataclass(frozen=True)
class Answer:
    """The three texts of receiveResponseXML; either the first or the other two are empty (web-connector.md 1.4)."""

    response: str
    hresult: str
    message: str

    @cached_property
    def parsed(self) -> MessageSetResponse:
        """The answer as it is read; raises UnreadableResponse."""
        return parse_response(self.response)


def record_id(message_set: MessageSet) -> str | None:
    """Give the newMessageSetID that a document left with; None: it left without one."""
    match message_set.kind:
        case "write":
            return message_set.id
        case "ask":
            return message_set.about_set_id
        case "fence":
            return message_set.about_set_id if PLANT_ID in (message_set.asked or ()) else message_set.id
    return None


def exchange_of(
    open_ones: Sequence[MessageSet], newest: MessageSet | None, recorded: MessageSet | None, answer: Answer
) -> MessageSet | None:
    """Find the open document that an answer belongs to; None when it was `recorded` before, or comes too late.

    `open_ones` are newest first. An answer without ids (an HRESULT, an unreadable text, an empty set) can only belong
    to the document that was handed out last, and one with unknown ids is taken for its answer, too. A text that was
    recorded is a repeated answer, unless the same was asked again meanwhile: then it answers that, and learning it
    twice changes nothing.
    """
    last = newest if newest in open_ones else None
    try:
        parsed = answer.parsed
    except UnreadableResponse:
        return last
    named = next((one for one in open_ones if _is_asked_by(one, parsed)), None)
    ids = [response.request_id or "" for response in parsed.responses]
    if named is not None or (not ids and parsed.new_message_set_id is None):
        return named or last
    if recorded is not None:
        is_asked_again = last is not None and record_id(last) is not None and record_id(last) == record_id(recorded)
        return last if is_asked_again else None
    # It names nothing that is out. A list's page is known by its id alone; whatever else was asked is answered so.
    return last if last is not None and last.kind != "list" else None


def _is_asked_by(one: MessageSet, parsed: MessageSetResponse) -> bool:
    """Say whether an answer is to exactly this document, by what it names."""
    ids = {response.request_id or "" for response in parsed.responses}
    if parsed.new_message_set_id is not None:
        return record_id(one) == parsed.new_message_set_id
    match one.kind:
        case "list":
            return any(name.startswith(LIST_PREFIX) and one.id in name.split(".") for name in ids)
        case "lookup" | "look" | "verify":
            return bool(ids) and ids <= set(one.asked or ())
        case "activity":
            return ACTIVITY_ID in ids
        case "probe":
            return PROBE_ID in ids
    return False
