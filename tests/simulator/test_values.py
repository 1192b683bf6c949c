import pytest


@pytest.mark.parametrize(
    ("between", "code"),
    [
        ("<IsPending>yes</IsPending>", "3010"),
        ("<DueDate>2026-02-30</DueDate>", "3020"),
        ("<PONumber>12345678901234567890123456</PONumber>", "3070"),
        ("<ExternalGUID>6F9619FF-8B86-D011-B42D-00C04FC964FF</ExternalGUID>", "3065"),
        ("<IsPending></IsPending>", "0"),
    ],
)
def test_a_value_that_does_not_convert_has_its_own_status(desk, invoice, between, code):
    assert desk.one(invoice(between=between)).get("statusCode") == code


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ("<Amount>97.5</Amount>", "3040"),
        ("<Rate>1.000000000000001</Rate>", "3045"),
        ("<Quantity>one</Quantity>", "3060"),
        ("<Amount>97</Amount>", "0"),
        ("<Rate>1.23456</Rate>", "0"),
    ],
)
def test_figures_on_lines_are_judged_too(desk, invoice, invoice_line, figures, code):
    answer = desk.one(invoice(lines=invoice_line("Linehaul", figures)))
    assert answer.get("statusCode") == code
    assert len(desk.company.ledger) == (code == "0")


def test_a_number_of_twelve_characters_is_too_long(desk, invoice):
    answer = desk.one(invoice(number="L10000123456"))
    assert answer.get("statusMessage") == 'The string "L10000123456" in the field "RefNumber" is too long.'
    assert len(answer) == 0


def test_a_request_id_holds_fifty_characters(desk, invoice):
    assert desk.one(invoice(request_id="x" * 50)).get("statusCode") == "0"
    assert desk.one(invoice(request_id="x" * 51)).get("statusCode") == "1060"


def test_an_unknown_enumerated_value(desk):
    assert desk.one("<CustomerQueryRq><ActiveStatus>Some</ActiveStatus></CustomerQueryRq>").get("statusCode") == "3110"
