"""What recognises a transaction of ours in QuickBooks, as the queue keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What recognises a transaction of ours in QuickBooks."""

    ref_number: str
    entity_list_id: str | None
    entity_full_name: str | None
    total: str
    txn_date: str
    external_guid: str


_KNOWN = frozenset(one.name for one in fields(Facts))


def facts_of(stored: Mapping[str, Any]) -> Facts:
    """Read stored facts; what a newer process added to them is left aside."""
    return Facts(**{name: value for name, value in stored.items() if name in _KNOWN})
