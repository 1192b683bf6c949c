"""A QuickBooks that stands still while others go on, and computers whose clocks are wrong."""

from datetime import timedelta

import pytest


def others_go_on(desk, body, attributes=""):
    """Give what another computer does meanwhile, and a place for what it saw."""
    seen = []

    def meanwhile():
        session = desk.company.open_session("TMS Export")
        seen.append((len(desk.company.ledger), session.process_request(desk.document(body, attributes=attributes))))

    return meanwhile, seen


@pytest.mark.parametrize(
    ("point", "commits", "there"), [("before_judged", 0, 0), ("before_commit", 0, 0), ("after_commits", 1, 1)]
)
def test_a_set_stands_still_and_goes_on_later(desk, invoice, point, commits, there):
    meanwhile, seen = others_go_on(desk, '<InvoiceQueryRq requestID="q"/>')
    desk.company.faults.hang(meanwhile, point, commits)
    answers = desk.send(invoice("L1") + invoice("L2", request_id="r2"))
    assert [count for count, _ in seen] == [there]
    assert [answer.get("statusCode") for answer in answers] == ["0", "0"]
    assert len(desk.company.ledger) == 2


def test_the_same_set_sent_meanwhile_is_seen_by_one_that_was_not_judged_yet(desk, invoice):
    attributes = ' newMessageSetID="S1"'
    meanwhile, _ = others_go_on(desk, invoice("L1"), attributes)
    desk.company.faults.hang(meanwhile, "before_judged")
    assert desk.send(invoice("L1"), attributes=attributes)[0].get("statusCode") == "0"
    assert len(desk.company.ledger) == 1


def test_the_same_set_sent_meanwhile_doubles_what_was_judged_already(desk, invoice):
    """The harder case: no memory of sets helps against a run that has begun."""
    attributes = ' newMessageSetID="S1"'
    meanwhile, _ = others_go_on(desk, invoice("L1"), attributes)
    desk.company.faults.hang(meanwhile, "before_commit")
    desk.send(invoice("L1"), attributes=attributes)
    assert len(desk.company.ledger) == 2


def test_what_a_computer_writes_bears_its_own_clock(desk, invoice, clock):
    slow = desk.company.open_session("TMS Export", clock=lambda: clock() - timedelta(days=3))
    slow.process_request(desk.document(invoice("L1")))
    desk.send(invoice("L2"))
    days = [entry.time_modified[:10] for entry in desk.company.ledger]
    assert days == ["2026-06-28", "2026-07-01"]
