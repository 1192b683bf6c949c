"""A status code from 500 up decides wherever an answer is judged; a severity that contradicts it changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from qbwc_bridge.recovery import judge_activity, judge_lookup, question_ids
from qbwc_bridge.rulings import Again, Arrived, Facts, Rejected, Ruling, SentRequest, Unknown, judge_answers
from qbxml.envelope import MessageSetResponse, parse_response
from qbxml.hcp import parse_hcp

SENT = SentRequest(
    id="r1",
    operation="InvoiceAdd",
    attempt=1,
    facts=Facts(
        ref_number="1001",
        entity_list_id="80000001-1",
        entity_full_name="Acme",
        total="100.00",
        txn_date="2026-11-30",
        external_guid="{00000000-0000-4000-8000-000000000001}",
    ),
)


def answer(*responses: str) -> MessageSetResponse:
    return parse_response(f"<QBXML><QBXMLMsgsRs>{''.join(responses)}</QBXMLMsgsRs></QBXML>")


def status(kind: str, request_id: str, code: int, severity: str, body: str = "") -> str:
    attributes = f'requestID="{request_id}" statusCode="{code}" statusSeverity="{severity}" statusMessage="x"'
    return f"<{kind}Rs {attributes}>{body}</{kind}Rs>"


@pytest.mark.parametrize("severity", ["Info", "Warn", "Error", ""])
@pytest.mark.parametrize(
    ("code", "body", "ruling"),
    [
        (3140, "", Rejected),
        (3175, "", Again),
        (9002, "", Unknown),
        (510, "", Unknown),
        (750, "", Unknown),
        (0, "", Unknown),
        (3140, "<InvoiceRet><TxnID>1-1</TxnID></InvoiceRet>", Arrived),
        (510, "<ErrorRecovery><TxnID>1-1</TxnID></ErrorRecovery>", Arrived),
    ],
)
def test_a_write_is_judged_by_its_code_and_its_transaction(
    code: int, severity: str, body: str, ruling: type[Ruling]
) -> None:
    """A TxnID proves it, whatever stands beside it; what may have been written is looked for."""
    (found,) = judge_answers([SENT], answer(status("InvoiceAdd", "r1.1", code, severity, body)))
    assert isinstance(found, ruling)


def looked_up(told: dict[str, tuple[int, str]]) -> Ruling:
    """Judge a look-up that found nothing; `told` are other statuses by what the question asked by."""
    answers = {}
    for question in question_ids([SENT], SENT):
        by = question.rpartition(".")[2]
        usual = (500, "Warn") if by == "n" else (1, "Info")
        (answers[question],) = answer(status("InvoiceQuery", question, *told.get(by, usual))).responses
    (found,) = judge_lookup([SENT], answers)
    return found


@pytest.mark.parametrize("severity", ["Info", "Warn", "Error"])
@pytest.mark.parametrize("code", [501, 510, 540, 1000, 3250])
@pytest.mark.parametrize("which", ["n", "e"])
def test_a_look_up_that_did_not_work_proves_no_absence(code: int, severity: str, which: str) -> None:
    """Neither of its two questions: the document is not sent again on the strength of it."""
    assert isinstance(looked_up({which: (code, severity)}), Rejected)


def test_a_look_up_that_worked_proves_absence() -> None:
    """500 by number, 1 by customer."""
    assert isinstance(looked_up({}), Again)


@pytest.mark.parametrize("severity", ["Info", "Error"])
def test_an_error_says_nothing_of_restores(severity: str) -> None:
    """The set is looked up instead of asked for."""
    told = answer(status("CompanyActivity", "activity", 1000, severity, "<CompanyActivityRet/>"))
    check = judge_activity(told, known="2026-01-01T00:00:00", sent_at=datetime(2026, 11, 30, tzinfo=UTC))
    assert check.doubt
    assert check.last_restore_time == "2026-01-01T00:00:00"


def test_unreadable_preferences_do_not_hide_the_company_file() -> None:
    """The guard still sees which file is open."""
    host = status("Host", "0", 0, "Info", "<HostRet><ProductName>QuickBooks</ProductName></HostRet>")
    company = status("Company", "1", 0, "Info", "<CompanyRet><CompanyName>Acme Freight</CompanyName></CompanyRet>")
    accounting = "<AccountingPreferences><IsUsingClassTracking>?</IsUsingClassTracking></AccountingPreferences>"
    preferences = status("Preferences", "2", 0, "Info", f"<PreferencesRet>{accounting}</PreferencesRet>")
    seen = parse_hcp(f"<QBXML><QBXMLMsgsRs>{host}{company}{preferences}</QBXMLMsgsRs></QBXML>")
    assert seen is not None
    assert (seen.company_name, seen.preferences) == ("Acme Freight", None)
