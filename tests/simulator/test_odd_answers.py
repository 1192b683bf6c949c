"""QuickBooks' answers that do not say what happened, and answers that contradict themselves."""

import pytest


@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize(("code", "severity"), [("0", "Info"), ("510", "Warn"), ("1000", "Error")])
def test_an_odd_answer_says_nothing_of_the_record(desk, invoice, code, severity, is_written):
    desk.company.faults.odd_answer(code, is_written=is_written)
    answer = desk.one(invoice())
    assert (answer.get("requestID"), answer.get("statusCode"), answer.get("statusSeverity")) == ("r1", code, severity)
    assert len(answer) == 0
    assert len(desk.company.ledger) == is_written
    assert desk.one(invoice("L2")).findtext("InvoiceRet/TxnID")


@pytest.mark.parametrize("is_written", [True, False])
def test_an_answer_can_be_left_out(desk, invoice, is_written):
    desk.company.faults.odd_answer("left_out", is_written=is_written, ref_number="L2")
    answers = desk.send(invoice("L1", request_id="a") + invoice("L2", request_id="b") + invoice("L3", request_id="c"))
    assert [answer.get("requestID") for answer in answers] == ["a", "c"]
    assert [entry.ref_number for entry in desk.company.ledger] == (["L1", "L2", "L3"] if is_written else ["L1", "L3"])


def test_a_set_keeps_its_odd_answer(desk, invoice):
    """Asking for the set gives the same text again, byte for byte."""
    desk.company.faults.odd_answer("1000", is_written=True)
    desk.send(invoice(), attributes=' newMessageSetID="S1"')
    asked = desk.send("", attributes=' newMessageSetID="S1" oldMessageSetID="S1"')
    assert asked[0].get("statusCode") == "1000"
    assert desk.answers[0] == desk.answers[1]


def test_an_error_of_a_list_can_call_itself_info(desk):
    desk.company.faults.refuse_query("CustomerQueryRq", 3250, "This feature is not enabled.", severity="Info")
    answer = desk.one('<CustomerQueryRq requestID="1"/>')
    assert (answer.get("statusCode"), answer.get("statusSeverity"), len(answer)) == ("3250", "Info", 0)
    assert len(desk.one('<CustomerQueryRq requestID="1"/>'))


def test_one_row_of_a_list_can_be_unreadable(desk):
    whole = desk.one('<VendorQueryRq requestID="1"/>')
    desk.company.faults.spoil_row("VendorQueryRq")
    spoilt = desk.one('<VendorQueryRq requestID="1"/>')
    assert len(spoilt) == len(whole)
    assert sum(row.find("ListID") is None for row in spoilt) == 1
    assert all(row.find("ListID") is not None for row in desk.one('<VendorQueryRq requestID="1"/>'))
