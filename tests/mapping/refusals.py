"""Every refusal that the simulated QuickBooks can give to a document that was mapped, as situations to build.

The list follows simulator/posting.py, references.py and faults.py from top to bottom. What the values stage
(simulator/values.py, codes 3000 to 3110) refuses cannot happen to a mapped document: the typed messages of qbxml refuse
to be built from such values. The same goes for 3150 (a missing element) and 3310 (a bill without lines).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from simulator.company import CompanyFile

Change = Callable[[CompanyFile], None]


@dataclass(frozen=True)
class Situation:
    """A document, a mapping and a company file that do not go together; `code` is what QuickBooks says."""

    name: str
    kind: str
    code: int
    mapping: dict[str, Any]
    company: Change | None = None
    """What happens to the company file; without it document and mapping are wrong by themselves."""
    document: dict[str, Any] | None = None
    late: bool = False
    """It happens after the lists came over, so they still show the old state."""
    avoided: bool = False
    """What QuickBooks would refuse is left out of what is sent, so nothing is refused."""
    unforeseen: str | None = None
    """Why pre-flight cannot know it."""


NEGATIVE = {"total": "-5.00", "lines": [{"charge": "LINEHAUL", "amount": "-5.00"}]}
JOB = "Ironwood Building Supply:Load 100777"


def name(full_name: str) -> dict[str, str]:
    return {"full_name": full_name}


def inactive(full_name: str) -> Change:
    return lambda company: company.set_active(_id(company, full_name), False)


def removed(full_name: str) -> Change:
    return lambda company: company.remove_entry(_id(company, full_name))


def _id(company: CompanyFile, full_name: str) -> str:
    return next(entry.list_id for entry in company.entries() if entry.full_name == full_name)


def _off_with_refusal(company: CompanyFile) -> None:
    company.preferences.class_tracking = False
    company.switches.refuse_class_when_tracking_is_off = True


def _no_sales_tax_with_refusal(company: CompanyFile) -> None:
    company.preferences.sales_tax_item = None
    company.switches.refuse_tax_code_when_sales_tax_is_off = True


def _closed(company: CompanyFile) -> None:
    company.preferences.closing_date = date(2026, 11, 30)


def _locked(company: CompanyFile) -> None:
    company.faults.lock("1")


def _other_refusal(company: CompanyFile) -> None:
    company.faults.reject("1", 3180, "There was an error when saving a Invoice.  QuickBooks error message: Sorry.")


def _repeated_guid(company: CompanyFile) -> None:
    company.switches.refuse_repeated_external_guid = True


def _references(
    place: str, kind: str, good: str, section: Callable[[str], dict[str, Any]], wrong: list[str]
) -> Iterator[Situation]:
    """An entry that is unknown, inactive, deleted, or of a kind that does not belong there."""
    # A class of the document's own would stand before the default.
    document = {"class": None} if place == "a default class" else None
    unknown = "???" if place == "a tax code" else "Nothing Of This Name"
    yield Situation(f"{place} that QuickBooks does not know", kind, 3140, section(unknown), document=document)
    yield Situation(f"{place} that is inactive", kind, 3140, section(good), inactive(good), document)
    yield Situation(f"{place} that was deleted", kind, 3140, section(good), removed(good), document)
    for other in wrong:
        yield Situation(f"{other} as {place}", kind, 3140, section(other), document=document)


def _default(kind: str, field: str) -> Callable[[str], dict[str, Any]]:
    return lambda full_name: {"defaults": {kind: {field: name(full_name)}}}


def _charge(kind: str, place: str) -> Callable[[str], dict[str, Any]]:
    return lambda full_name: {"charges": {"LINEHAUL": {kind: {place: name(full_name)}}}}


def situations() -> list[Situation]:
    invoice, bill = "invoice", "carrier_bill"
    no_receivable, no_payable = inactive("Accounts Receivable"), inactive("Accounts Payable")
    return [
        *_references(
            "a customer", invoice, "Cafe Rio Foods", lambda n: {"customers": {"cus_88": name(n)}}, ["Acme Carrier LLC"]
        ),
        *_references("a class", invoice, "Brokerage", lambda n: {"classes": {"K": name(n)}}, []),
        *_references("a default class", invoice, "Brokerage", _default(invoice, "class"), []),
        *_references(
            "an A/R account", invoice, "Accounts Receivable", _default(invoice, "ar_account"), ["Freight Income"]
        ),
        *_references("a template", invoice, "Freight Invoice", _default(invoice, "template"), ["Custom Estimate"]),
        *_references("terms", invoice, "Net 30", lambda n: {"terms": {"T": name(n)}}, []),
        *_references("an item", invoice, "Linehaul", _charge(invoice, "item"), ["Out of State", "Freight Income"]),
        *_references(
            "a default item",
            invoice,
            "Linehaul",
            lambda n: {"charges": {}, **_default(invoice, "item")(n)},
            ["Out of State"],
        ),
        *_references("a tax code", invoice, "Non", _default(invoice, "tax_code"), []),
        Situation(
            "a class while tracking is off",
            invoice,
            3250,
            {"classes": {"K": name("Brokerage")}},
            _off_with_refusal,
            avoided=True,
        ),
        Situation(
            "a tax code while sales tax is off",
            invoice,
            3250,
            _default(invoice, "tax_code")("Non"),
            _no_sales_tax_with_refusal,
            avoided=True,
        ),
        Situation(
            "a mark not to bill on an account without costs",
            bill,
            3210,
            _charge(bill, "account")("Quick Pay Discounts"),
            avoided=True,
        ),
        Situation(
            "a mark to bill on an account without costs",
            bill,
            3210,
            _charge(bill, "account")("Quick Pay Discounts"),
            document={
                "lines": [
                    {
                        "charge": "LINEHAUL",
                        "amount": "1850.00",
                        "customer": {"id": "job", "name": "Ironwood"},
                        "billable": True,
                    }
                ]
            },
            avoided=True,
        ),
        Situation("no A/R account at all", invoice, 3270, {}, no_receivable),
        Situation("an invoice in the closed period", invoice, 3171, {}, _closed),
        *_references(
            "a vendor", bill, "Acme Carrier LLC", lambda n: {"carriers": {"car_7": name(n)}}, ["Cafe Rio Foods"]
        ),
        *_references("an A/P account", bill, "Accounts Payable", _default(bill, "ap_account"), ["Checking"]),
        *_references("terms of a bill", bill, "Net 30", lambda n: {"terms": {"T": name(n)}}, []),
        *_references(
            "an expense account",
            bill,
            "Purchased Transportation",
            _charge(bill, "account"),
            ["Accounts Receivable", "Accounts Payable", "Carrier Linehaul"],
        ),
        *_references(
            "a default account",
            bill,
            "Claims Expense",
            lambda n: {"charges": {}, **_default(bill, "account")(n)},
            ["Accounts Payable"],
        ),
        *_references("an item of a bill", bill, "Carrier Linehaul", _charge(bill, "item"), ["Out of State"]),
        *_references("a job on a line", bill, JOB, lambda n: {"customers": {"job": name(n)}}, []),
        *_references("a class of a bill", bill, "Brokerage", lambda n: {"classes": {"K": name(n)}}, []),
        Situation(
            "a class of a bill while tracking is off",
            bill,
            3250,
            {"classes": {"K": name("Brokerage")}},
            _off_with_refusal,
            avoided=True,
        ),
        Situation("no A/P account at all", bill, 3270, {}, no_payable),
        Situation("a bill in the closed period", bill, 3171, {}, _closed),
        Situation("a negative invoice", invoice, 3210, {}, document=NEGATIVE),
        Situation("a negative bill", bill, 3210, {}, document=NEGATIVE),
        Situation(
            "a record that somebody has open",
            invoice,
            3175,
            {},
            _locked,
            unforeseen="another user's windows are not in any list",
        ),
        Situation(
            "a refusal of QuickBooks' own",
            invoice,
            3180,
            {},
            _other_refusal,
            unforeseen="it follows from nothing that QuickBooks tells",
        ),
        Situation(
            "a GUID that was used before",
            invoice,
            3100,
            {},
            _repeated_guid,
            unforeseen="each run has a GUID of its own, so it means that the run was posted",
        ),
        Situation(
            "a customer made inactive since the last sync",
            invoice,
            3140,
            {},
            inactive("Cafe Rio Foods"),
            late=True,
            unforeseen="the lists are as old as the last session",
        ),
        Situation(
            "a period closed since the last session",
            invoice,
            3171,
            {},
            _closed,
            late=True,
            unforeseen="the preferences are as old as the last session",
        ),
    ]
