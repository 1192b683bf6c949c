"""The editions of QuickBooks Desktop: what a document looks like in each (the schemas' own marks, qbxml.md notation).

Canada and the UK put a tax code on every line, of bills too, and say whether amounts include tax. In the US only lines
of invoices have one, and QuickBooks cannot even parse a document with those elements.
"""

from __future__ import annotations

from enum import StrEnum

from mapping.issues import Issue, Owner


class Edition(StrEnum):
    """The countries that are supported, as QuickBooks names them in HostRet."""

    US = "US"
    CANADA = "CA"
    UK = "UK"

    @property
    def has_tax_on_every_line(self) -> bool:
        """Whether bills bear tax codes as well."""
        return self is not Edition.US


NAMES = {Edition.US: "the United States", Edition.CANADA: "Canada", Edition.UK: "the United Kingdom"}
LIMITS = (
    "This is QuickBooks for {country}. Invoices and bills go with one sales tax code on every line, which is chosen "
    "under Mapping > Defaults, and with amounts without tax: QuickBooks adds it. Tax amounts of the TMS, amounts that "
    "include tax and several tax codes in one document are not supported."
)
"""What people are told once, when such a company file is met."""


def edition_of(told: str | None, given: str = "US") -> Edition | None:
    """Give the edition that QuickBooks told, or before that the one that was given; None: it is not supported."""
    text = (told or given).strip().upper()
    text = {"GB": "UK"}.get(text, text)
    return Edition(text) if text in list(Edition) else None


def unsupported(told: str | None) -> Issue:
    """Say that documents cannot be built for this edition."""
    return Issue(
        code="edition_unsupported",
        path="",
        message=f"This is QuickBooks for the country {told}. Exports go into the editions for the United States, "
        "Canada and the United Kingdom only.",
        next_step="Ask the support of your transport software; nothing is sent to this QuickBooks until then.",
        owner=Owner.US,
    )
