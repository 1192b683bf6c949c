"""Status 3140: the sentences that QuickBooks gave to others, and what is made of them."""

from __future__ import annotations

import pytest

from qbxml.invalid_references import Why, read
from qbxml.outcomes import Retry, classify_status

GONE = "Invalid argument.  The specified record does not exist in the list."
CURRENCY = "The currency of the account must be either in home currency or the transaction currency."
RECEIVABLE = "The account for this transaction must be of type Accounts Receivable."
SAID = [
    ('Customer "X" in the Invoice', GONE, Why.GONE),
    ('Item "Fuel 2" in the Invoice line', GONE, Why.GONE),
    ('AP Account "AOS Accounts Payable" in the Bill', GONE, Why.GONE),
    ('SalesReceiptLine SalesTaxCode "SSK" in the SalesReceipt line', GONE, Why.GONE),
    ('Item Sales Tax "GST" in the Invoice', "", Why.UNSAID),
    ('AR Account "Accounts Receivable - CAD" in the Invoice', CURRENCY, Why.CURRENCY),
    ('Customer "xxxxxx" in the SalesReceipt', CURRENCY, Why.CURRENCY),
    ('AR Account "80000007-1512566673" in the Invoice', RECEIVABLE, Why.WRONG_TYPE),
    ('Vendor "Gone Inc" in the Bill', "The record is inactive.", Why.INACTIVE),
    ('Class "A.B" in the Bill line', "Etwas stimmt nicht.", Why.UNSAID),
]


def message(reference: str, second: str) -> str:
    behind = f"  QuickBooks error message: {second}" if second else ""
    return f"There is an invalid reference to QuickBooks {reference}.{behind}"


@pytest.mark.parametrize(("reference", "second", "why"), SAID)
def test_what_quickbooks_says(reference: str, second: str, why: Why) -> None:
    """The second sentence decides what a person is told, and the entry is named in it."""
    found = read(message(reference, second))
    assert found.why is why
    assert f'{found.kind} "{found.name}" in the {found.place}' == reference
    verdict = classify_status(3140, "Error", message(reference, second))
    assert (verdict.cause, verdict.owner, verdict.retry) == (why, "bookkeeper", Retry.NEVER)
    assert f"the {reference}: " in verdict.explanation
    assert verdict.next_step.endswith("then export the document again.")


@pytest.mark.parametrize("text", ["", "There is an invalid reference to QuickBooks Vendor.", "Anything"])
def test_a_message_that_names_nothing(text: str) -> None:
    verdict = classify_status(3140, "Error", text)
    assert verdict.cause == Why.UNSAID
    assert "an entry that the document names" in verdict.explanation


def test_the_type_that_is_wanted_is_said() -> None:
    verdict = classify_status(3140, "Error", message('AR Account "Sales" in the Invoice', RECEIVABLE))
    assert "of the type Accounts Receivable is needed" in verdict.explanation


@pytest.mark.parametrize(
    ("name", "list_id"), [("80000007-1512566673", "80000007-1512566673"), ("12A-1", "12A-1"), ("Load 100-7", None)]
)
def test_a_list_id_is_told_from_a_name(name: str, list_id: str | None) -> None:
    assert read(message(f'Customer "{name}" in the Invoice', GONE)).list_id == list_id
