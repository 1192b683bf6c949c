"""What people type and switch in a company file beside the export."""

from decimal import Decimal

from simulator.by_hand import JOB, Typed


def test_a_person_types_almost_the_same(desk, invoice):
    add = invoice("L1", between="<ExternalGUID>{12345678-1234-1234-1234-123456789012}</ExternalGUID>", lines=LINE)
    assert desk.one(add).get("statusCode") == "0"
    ours = desk.company.ledger[0]
    same, later, cent, other = (
        desk.company.type_like(add, typed)
        for typed in (Typed(), Typed(days=2), Typed(cents=-1), Typed(ref_number="1001"))
    )
    assert (same.ref_number, same.total, same.txn_date) == (ours.ref_number, ours.total, ours.txn_date)
    assert {entry.external_guid for entry in desk.company.ledger[1:]} == {None}
    assert (later.txn_date - ours.txn_date).days == 2
    assert ours.total - cent.total == Decimal("0.01")
    assert other.ref_number == "1001"
    job = desk.company.entry(desk.company.type_like(add, Typed(is_for_job=True)).entity)
    assert job.full_name == f"Cafe Rio Foods:{JOB}"


def test_typing_uses_up_no_fault(desk, invoice):
    desk.company.faults.reject("L1", 3140, "invalid reference")
    desk.company.type_like(invoice("L1"))
    assert desk.one(invoice("L1")).get("statusCode") == "3140"


def test_sales_tax_goes_on_top_of_taxable_lines(desk, invoice):
    desk.company.turn_on_sales_tax("County", "8.25")
    taxable = desk.one(invoice("L1", lines=LINE.replace("Non", "Tax")))[0]
    free = desk.one(invoice("L2", lines=LINE))[0]
    figures = [(ret.findtext("Subtotal"), ret.findtext("SalesTaxTotal")) for ret in (taxable, free)]
    assert figures == [("2062.50", "170.16"), ("2062.50", "0.00")]


LINE = (
    "<InvoiceLineAdd><ItemRef><FullName>Linehaul</FullName></ItemRef><Amount>2062.50</Amount>"
    "<SalesTaxCodeRef><FullName>Non</FullName></SalesTaxCodeRef></InvoiceLineAdd>"
)
