"""Carrier bills: one QuickBooks bill for one bill of the TMS, as expense lines and item lines."""

from __future__ import annotations

from mapping import header
from mapping.addresses import map_address
from mapping.documents import MAX_TEXT, BillLine, CarrierBill
from mapping.findings import Findings, ref
from mapping.issues import Issue
from mapping.ref_numbers import BILL_LENGTH, Taken
from mapping.result import Mapped
from mapping.rules import BillCharge, CompanyRules
from qbxml.bills import BillableStatus, BillAdd, ExpenseLineAdd, ItemLineAdd
from qbxml.values import Ref


def map_carrier_bill(
    document: CarrierBill, rules: CompanyRules, *, taken: Taken, external_guid: str
) -> Mapped | list[Issue]:
    """Build the bill, or give every reason why it cannot be built."""
    findings = Findings()
    defaults = rules.mapping.defaults.carrier_bill
    header.check_party(document.carrier, "carrier", findings)
    header.check_header(document, "bill", rules, findings)
    vendor = header.vendor_ref(document.carrier, rules, findings)
    terms = header.terms_ref(document, rules, findings)
    # Bills have no class of their own: every line bears it.
    class_ref = header.class_ref(document, defaults.class_target, rules, findings)
    number = header.fitted_number(document.number, BILL_LENGTH, taken, rules, findings)
    vendor_address = map_address(document.remit_to, "remit_to", "VendorAddress", findings)
    lines = [_line(line, f"lines[{i}]", class_ref, rules, findings) for i, line in enumerate(document.lines)]
    notes = header.number_notes("Carrier invoice", document.number, number)
    notes += header.reference_notes(document, findings, customer_po=True)
    if vendor_address is not None and vendor_address.addr1 is not None:
        # The check goes to the factor, while the bill stays on the carrier.
        notes.append(f"Remit to {vendor_address.addr1}")
    memo = header.build_memo(document.memo, notes, findings)

    if findings.issues or vendor is None or number is None:
        return findings.issues
    transaction = BillAdd(
        vendor_ref=vendor,
        vendor_address=vendor_address,
        ap_account_ref=ref(defaults.ap_account),
        txn_date=document.date,
        due_date=document.due_date,
        ref_number=number.text,
        terms_ref=terms,
        memo=memo,
        is_tax_included=header.tax_included(rules),
        external_guid=external_guid,
        # QuickBooks takes all expense lines before any item line, whatever their order in the TMS.
        expense_lines=tuple(line for line in lines if isinstance(line, ExpenseLineAdd)),
        item_lines=tuple(line for line in lines if isinstance(line, ItemLineAdd)),
    )
    return Mapped(transaction=transaction, ref_number=number.text, changes=findings.changes)


def _line(
    line: BillLine, path: str, class_ref: Ref | None, rules: CompanyRules, findings: Findings
) -> ExpenseLineAdd | ItemLineAdd | None:
    target = _target(line, path, rules, findings)
    money = header.checked_money(line, path, findings)
    customer = _customer(line, path, rules, findings)
    # QuickBooks keeps offering a cost for billing unless it is told not to, and asks for a customer to bill.
    billable: BillableStatus | None = None
    if customer is not None:
        billable = "Billable" if line.billable else "NotBillable"
    tax_code = ref(rules.mapping.defaults.carrier_bill.tax_code) if rules.edition.has_tax_on_every_line else None
    if target is not None and target.account is not None:
        if target.account in rules.not_reimbursable:
            billable = None
            if line.billable:
                name = target.account.full_name or target.account.list_id
                findings.change(
                    f"{path}.billable",
                    "BillableStatus",
                    "Billable",
                    "",
                    f"The account {name} holds no costs, so QuickBooks cannot bill the line on to a customer.",
                )
        return ExpenseLineAdd(
            account_ref=ref(target.account),
            amount=line.amount,
            memo=_text(line, path, "Memo", findings),
            customer_ref=customer,
            class_ref=class_ref,
            sales_tax_code_ref=tax_code,
            billable_status=billable,
        )
    if target is None or target.item is None:
        return None
    header.note_left_out(line, money, path, "Amount", findings)
    return ItemLineAdd(
        item_ref=ref(target.item),
        desc=_text(line, path, "Desc", findings),
        quantity=money.quantity,
        cost=money.rate,
        amount=money.amount,
        customer_ref=customer,
        class_ref=class_ref,
        sales_tax_code_ref=tax_code,
        billable_status=billable,
    )


def _target(line: BillLine, path: str, rules: CompanyRules, findings: Findings) -> BillCharge | None:
    rule = rules.mapping.charges.get(line.charge)
    if rule is not None and rule.carrier_bill is not None:
        return rule.carrier_bill
    defaults = rules.mapping.defaults.carrier_bill
    if defaults.item is not None or defaults.account is not None:
        return BillCharge(item=defaults.item, account=defaults.account)
    findings.issue(
        "charge_not_mapped",
        f"{path}.charge",
        f"The charge {line.charge} is not linked to an item or account for carrier bills.",
        f"Open Mapping > Charges and choose an External Item or an account for {line.charge}.",
    )
    return None


def _customer(line: BillLine, path: str, rules: CompanyRules, findings: Findings) -> Ref | None:
    if line.customer is not None:
        header.check_party(line.customer, f"{path}.customer", findings)
        return header.customer_ref(line.customer, f"{path}.customer", rules, findings)
    if line.billable:
        findings.issue(
            "billable_without_customer",
            f"{path}.billable",
            "The line is billable, but names no customer to bill it to.",
            "Name the customer on the line, or clear its billable mark, and export the bill again.",
        )
    return None


def _text(line: BillLine, path: str, field: str, findings: Findings) -> str | None:
    """Write the description, and behind it what this kind of line has no field for."""
    on_item = field == "Desc"
    details = []
    if not on_item and line.quantity is not None and line.rate is not None and line.quantity != 1:
        details.append(f"{line.quantity:f} x {line.rate:f}")
    if line.service_date is not None:
        details.append(f"service date {line.service_date}")
    description = findings.text(f"{path}.description", field, line.description, MAX_TEXT, single_line=not on_item)
    if not details:
        return description
    # The description has its limit below that of QuickBooks, which leaves room for both.
    return f"{description or line.charge} ({', '.join(details)})"
