"""What invoices and carrier bills have in common: checks, number, memo and the links of the header."""

from __future__ import annotations

from decimal import Decimal

from mapping.amounts import AmountMismatch, LineMoney, line_money
from mapping.currencies import ISO_4217
from mapping.documents import BillLine, CarrierBill, Invoice, InvoiceLine, Party
from mapping.findings import Findings, ref
from mapping.issues import Owner
from mapping.ref_numbers import FittedNumber, NumberRefusedError, NumbersExhaustedError, Taken, fit_ref_number
from mapping.rules import CompanyRules, Target
from qbxml.text import clean_text
from qbxml.values import Ref

MEMO_LENGTH = 4095
# Far more than any QuickBooks list holds: a name of this length is an address or a note in the wrong field.
NAME_LENGTH = 100
# Plain letters for a foreign script can be several times as long; a handful of notes still leaves room for a memo.
_NOTE_LENGTH = 200


def check_party(party: Party, path: str, findings: Findings) -> None:
    """Refuse a name that no list of QuickBooks could hold."""
    if len(party.name) > NAME_LENGTH:
        findings.issue(
            "name_too_long",
            f"{path}.name",
            f"The name of {party.id} has {len(party.name)} characters; names have at most {NAME_LENGTH}.",
            f"Shorten the name of {party.id} in the TMS and export the document again.",
        )


def check_header(document: Invoice | CarrierBill, what: str, rules: CompanyRules, findings: Findings) -> None:
    """Check dates, currency and total; `what` is the kind of document in plain words."""
    if document.due_date is not None and document.due_date < document.date:
        findings.issue(
            "due_before_date",
            "due_date",
            f"The due date {document.due_date} is before the date {document.date} of the {what}.",
            f"Correct the dates of the {what} and export it again.",
        )
    _check_currency(document.currency, rules, findings)
    added = sum((line.amount for line in document.lines), Decimal(0))
    if added != document.total:
        findings.issue(
            "total_mismatch",
            "total",
            f"The lines add up to {added:.2f}, but the total says {document.total:.2f}.",
            f"Correct the lines or the total of the {what} and export it again.",
        )
    if document.total < 0:
        credit = "credit memo" if isinstance(document, Invoice) else "vendor credit"
        findings.issue(
            "negative_total",
            "total",
            f"The total {document.total:.2f} is negative, which QuickBooks does not take as {what}.",
            f"Enter {document.number} in QuickBooks as a {credit}.",
            Owner.BOOKKEEPER,
        )


def _check_currency(currency: str | None, rules: CompanyRules, findings: Findings) -> None:
    code = (currency or rules.home_currency).upper()
    if code not in ISO_4217:
        findings.issue(
            "unknown_currency",
            "currency",
            f"{currency} is not a currency of ISO 4217.",
            "Correct the currency of the document, such as USD, and export it again.",
        )
    elif code != rules.home_currency and not rules.multi_currency:
        findings.issue(
            "currency_mismatch",
            "currency",
            f"The document is in {code}, but the company file keeps its books in {rules.home_currency} only.",
            f"Export the document in {rules.home_currency}, or switch on multi-currency in QuickBooks and in Settings.",
            Owner.BOOKKEEPER,
        )


def tax_included(rules: CompanyRules) -> bool | None:
    """Say that amounts are without tax where QuickBooks has a word for it; left out, a preference of its may decide."""
    return False if rules.edition.has_tax_on_every_line else None


def fitted_number(
    number: str, max_length: int, taken: Taken, rules: CompanyRules, findings: Findings
) -> FittedNumber | None:
    """Fit the number of the document, noting the change or why it is refused."""
    try:
        fitted = fit_ref_number(number, max_length, taken, rules.ref_number_rule)
    except NumberRefusedError:
        findings.issue(
            "number_too_long",
            "number",
            f"The number {number} does not fit into the {max_length} characters that QuickBooks has for it.",
            "Renumber the document, or open Settings > Numbers and let long numbers be shortened.",
        )
        return None
    except NumbersExhaustedError:
        findings.issue(
            "number_not_free",
            "number",
            f"Every short form of the number {number} is already used by another export.",
            f"Renumber the document with at most {max_length} characters and export it again.",
        )
        return None
    if fitted.change is not None:
        findings.changes.append(fitted.change)
    return fitted


def class_ref(
    document: Invoice | CarrierBill, default: Target | None, rules: CompanyRules, findings: Findings
) -> Ref | None:
    """Link the class of the document, or take the default when it names none."""
    name = document.class_name
    if name is None:
        return ref(default)
    return findings.linked(
        rules.mapping.classes,
        name,
        code="class_not_mapped",
        path="class",
        what=f"The class {name}",
        next_step=f"Open Mapping > Classes and choose the QuickBooks class for {name}.",
    )


def terms_ref(document: Invoice | CarrierBill, rules: CompanyRules, findings: Findings) -> Ref | None:
    """Link the payment terms of the document; without any, those of the customer or vendor apply."""
    terms = document.terms
    if terms is None:
        return None
    return findings.linked(
        rules.mapping.terms,
        terms,
        code="terms_not_mapped",
        path="terms",
        what=f"The payment terms {terms}",
        next_step=f"Open Mapping > Terms and choose the QuickBooks terms for {terms}.",
    )


def customer_ref(customer: Party, path: str, rules: CompanyRules, findings: Findings) -> Ref | None:
    """Link a customer or job."""
    return findings.linked(
        rules.mapping.customers,
        customer.id,
        code="customer_not_linked",
        path=f"{path}.id",
        what=f"The customer {_short(customer)}",
        next_step=f"Open Mapping > Customers and choose the QuickBooks customer or job for {_short(customer)}.",
    )


def vendor_ref(carrier: Party, rules: CompanyRules, findings: Findings) -> Ref | None:
    """Link the carrier."""
    return findings.linked(
        rules.mapping.carriers,
        carrier.id,
        code="carrier_not_linked",
        path="carrier.id",
        what=f"The carrier {_short(carrier)}",
        next_step=f"Open Mapping > Carriers and choose the QuickBooks vendor for {_short(carrier)}.",
    )


def _short(party: Party) -> str:
    return f"{party.name[:NAME_LENGTH]} ({party.id})"


def checked_money(line: InvoiceLine | BillLine, path: str, findings: Findings) -> LineMoney:
    """Decide how the line is priced, noting an issue when the TMS itself disagrees by more than a cent."""
    money = line_money(line.amount, line.quantity, line.rate)
    if not isinstance(money, AmountMismatch):
        return money
    findings.issue(
        "amount_mismatch",
        f"{path}.amount",
        f"Quantity {line.quantity} times rate {line.rate} is {money.product:.2f}, but the line says {line.amount:.2f}.",
        "Correct quantity, rate or amount of the line and export the document again.",
    )
    return LineMoney(amount=line.amount)


def note_left_out(line: InvoiceLine | BillLine, money: LineMoney, path: str, field: str, findings: Findings) -> None:
    """Report quantity and rate that the line had and QuickBooks does not get."""
    if money.left_out is not None:
        given = " x ".join(format(part, "f") for part in (line.quantity, line.rate) if part is not None)
        findings.change(path, field, given, f"{line.amount:.2f}", money.left_out)


def build_memo(memo: str | None, notes: list[str], findings: Findings) -> str | None:
    """Write the document's own memo and behind it what must not get lost; only the former is ever cut."""
    tail = "; ".join(notes)
    room = MEMO_LENGTH - len(tail) - 2 if tail else MEMO_LENGTH
    own = findings.text("memo", "Memo", memo, room)
    return "; ".join(part for part in (own, tail) if part) or None


def number_notes(what: str, number: str, fitted: FittedNumber | None) -> list[str]:
    """Keep the full number when the transaction bears another one."""
    if fitted is None or fitted.change is None:
        return []
    # What cleaning changes here has been reported with the number itself.
    return [f"{what} {clean_text(number, _NOTE_LENGTH).text}".rstrip()]


def reference_notes(document: Invoice | CarrierBill, findings: Findings, *, customer_po: bool) -> list[str]:
    """Name the shipment's numbers the way people in freight do; `customer_po` when it stands nowhere else."""
    found = document.references
    named = [("Load", "load", found.load), ("PRO", "pro", found.pro), ("BOL", "bol", found.bol)]
    if customer_po:
        named.append(("PO", "customer_po", found.customer_po))
    notes = []
    for name, field, number in named:
        text = findings.text(f"references.{field}", "Memo", number, _NOTE_LENGTH)
        if text:
            notes.append(f"{name} {text}")
    return notes
