"""What mapping a document gives when nothing stands in the way."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from mapping.issues import Change, Issue
from qbxml.bills import BillAdd
from qbxml.invoices import InvoiceAdd

# Any constant will do; changing it would make the same export look like another one to QuickBooks.
_NAMESPACE = uuid.UUID("5b0f6f0e-6a53-5d0c-9d5e-3c1f7f8f2a41")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A transaction ready to be sent, with the number it bears, everything that was changed, and what to look at."""

    transaction: InvoiceAdd | BillAdd
    ref_number: str
    changes: list[Change] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)
    sent: dict[str, Any] = field(default_factory=dict)
    """What is kept of it when it is sent (mapping/sent.py)."""


def external_guid_for(company_id: str, kind: str, document_id: str, run: str) -> str:
    """Derive the GUID by which one run of one export is found again in QuickBooks: `{...}`, upper case."""
    # Ids contain no slash, so no two exports share a name.
    return "{" + str(uuid.uuid5(_NAMESPACE, f"{company_id}/{kind}/{document_id}/{run}")).upper() + "}"
