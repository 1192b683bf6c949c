"""Invoices: one QuickBooks invoice for one invoice of the TMS, one line for each charge."""

from __future__ import annotations

from mapping import header
from mapping.addresses import map_address
from mapping.documents import Invoice, InvoiceLine
from mapping.findings import Findings, ref
from mapping.issues import Issue
from mapping.ref_numbers import INVOICE_LENGTH, Taken
from mapping.result import Mapped
from mapping.rules import CompanyRules, Target
from qbxml.invoices import InvoiceAdd, InvoiceLineAdd
from qbxml.values import Ref

_PO_LENGTH = 25
_OTHER_LENGTH = 29
_DESC_LENGTH = 4095


def map_invoice(document: Invoice, rules: CompanyRules, *, taken: Taken, external_guid: str) -> Mapped | list[Issue]:
    """Build the invoice, or give every reason why it cannot be built."""
    findings = Findings()
    defaults = rules.mapping.defaults.invoice
    header.check_party(document.customer, "customer", findings)
    header.check_header(document, "invoice", rules, findings)
    customer = header.customer_ref(document.customer, "customer", rules, findings)
    terms = header.terms_ref(document, rules, findings)
    class_ref = header.class_ref(document, defaults.class_target, rules, findings)
    number = header.fitted_number(document.number, INVOICE_LENGTH, taken, rules, findings)
    bill_address = map_address(document.bill_to, "bill_to", "BillAddress", findings)
    po_number = findings.text("references.customer_po", "PONumber", document.references.customer_po, _PO_LENGTH)
    other = findings.text("references.load", "Other", document.references.load, _OTHER_LENGTH)
    lines = [_line(line, f"lines[{i}]", rules, findings) for i, line in enumerate(document.lines)]

    notes = header.number_notes("Invoice", document.number, number)
    cut = po_number != document.references.customer_po
    notes += header.reference_notes(document, findings, customer_po=cut)
    memo = header.build_memo(document.memo, notes, findings)

    if findings.issues or customer is None or number is None:
        return findings.issues
    transaction = InvoiceAdd(
        customer_ref=customer,
        class_ref=class_ref,
        ar_account_ref=ref(defaults.ar_account),
        template_ref=ref(defaults.template),
        txn_date=document.date,
        ref_number=number.text,
        bill_address=bill_address,
        po_number=po_number,
        terms_ref=terms,
        due_date=document.due_date,
        memo=memo,
        # Left out, QuickBooks would queue the form for printing.
        is_to_be_printed=False,
        is_to_be_emailed=False,
        is_tax_included=header.tax_included(rules),
        other=other,
        external_guid=external_guid,
        lines=tuple(line for line in lines if line is not None),
    )
    return Mapped(transaction=transaction, ref_number=number.text, changes=findings.changes)


def _line(line: InvoiceLine, path: str, rules: CompanyRules, findings: Findings) -> InvoiceLineAdd | None:
    item = _item(line, path, rules, findings)
    money = header.checked_money(line, path, findings)
    header.note_left_out(line, money, path, "Amount", findings)
    desc = findings.text(f"{path}.description", "Desc", line.description, _DESC_LENGTH, single_line=False)
    if item is None:
        return None
    return InvoiceLineAdd(
        item_ref=item,
        desc=desc,
        quantity=money.quantity,
        rate=money.rate,
        amount=money.amount,
        service_date=line.service_date,
        sales_tax_code_ref=ref(rules.mapping.defaults.invoice.tax_code),
    )


def _item(line: InvoiceLine, path: str, rules: CompanyRules, findings: Findings) -> Ref | None:
    rule = rules.mapping.charges.get(line.charge)
    target: Target | None = rules.mapping.defaults.invoice.item
    if rule is not None and rule.invoice is not None:
        target = rule.invoice.item
    if target is None:
        findings.issue(
            "charge_not_mapped",
            f"{path}.charge",
            f"The charge {line.charge} is not linked to an item for invoices.",
            f"Open Mapping > Charges and choose an External Item for {line.charge}.",
        )
    return ref(target)
