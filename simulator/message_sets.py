"""QuickBooks' own memory of message sets, by application (qbxml.md 1.4, web-connector.md 5.3)."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .records import StoredSet
from .structure import MessageSet

if TYPE_CHECKING:
    from .company import CompanyFile

LONGEST_ID = 23
CLEAR_ALL = "ClearAllMessageSets"
_NOTHING = '<?xml version="1.0" ?>\n<QBXML><QBXMLMsgsRs newMessageSetID="{}" messageSetStatusCode="0"/></QBXML>'


@dataclass(frozen=True)
class Verdict:
    """What the recovery attributes of a set demand: run it, or answer at once."""

    runs: bool
    status: int | None
    stored_response: str | None = None


def judge(company: "CompanyFile", app_name: str, document: MessageSet) -> Verdict:
    """Apply the table of qbxml.md 1.4 and release what oldMessageSetID names."""
    new, old = document.new_id, document.old_id
    if new is None and old is None:
        return Verdict(True, None)
    if any(given and given != CLEAR_ALL and len(given) > LONGEST_ID for given in (new, old)):
        return Verdict(False, 9004)
    stored = company.state.message_sets.setdefault(app_name, [])
    known = next((record for record in stored if record.message_set_id == new), None)
    if new is not None and known is not None:
        if document.requests and known.checksum != _checksum(document.text):
            return Verdict(False, 9001)
        return Verdict(False, 0, known.response)
    if new is not None and not document.requests:
        if company.switches.empty_ask_leaves_record:
            remember(company, app_name, document, _NOTHING.format(new))
        return Verdict(False, 9002)
    status = 0
    if old == CLEAR_ALL:
        stored.clear()
    elif old is not None and old != new:
        kept = [record for record in stored if record.message_set_id != old]
        if len(kept) == len(stored) and new is None:
            status = 600
        stored[:] = kept
    return Verdict(True, status)


def remember(company: "CompanyFile", app_name: str, document: MessageSet, response: str) -> None:
    """Keep the outcome of a set under its new id."""
    if document.new_id is None:
        return
    stored = company.state.message_sets.setdefault(app_name, [])
    if company.switches.keep_only_latest_record:
        stored.clear()
    record = StoredSet(message_set_id=document.new_id, checksum=_checksum(document.text), response=response)
    stored.append(record)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
