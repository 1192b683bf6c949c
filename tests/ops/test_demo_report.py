"""The demo's verdict: it must notice what went wrong."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops.demo_report import DemoReport, Outcome, Sessions


def outcome(name: str = "invoices/a.json", *, txn_id: str = "T1", status: str = "Successful") -> Outcome:
    return Outcome(
        name=name, document={"total": "10.00"}, started=0.0, state=status, status=status, txn_id=txn_id, ref_number="1"
    )


def entry(txn_id: str = "T1", total: str = "10.00") -> Any:
    from decimal import Decimal

    return SimpleNamespace(txn_id=txn_id, total=Decimal(total))


def verdict(outcomes: list[Outcome], ledger: list[Any], expected: dict[str, Any]) -> tuple[bool, str]:
    out = io.StringIO()
    report = DemoReport(Console(file=out, width=150))
    return report.finish(outcomes, Sessions(), ledger, expected), out.getvalue()


def test_all_as_expected() -> None:
    good, text = verdict([outcome()], [entry()], {"invoices/a.json": "Successful"})
    assert good
    assert "exactly once" in text


@pytest.mark.parametrize(
    ("outcomes", "ledger", "said"),
    [
        ([outcome()], [entry(), entry()], "holds T1 2 times"),
        ([outcome()], [entry(), entry("T2")], "holds 2 transactions, 1 exports"),
        ([outcome()], [], "holds T1 0 times"),
        ([outcome()], [entry(total="9.99")], "9.99 in QuickBooks, 10.00 in the TMS"),
        ([outcome(status="Pending", txn_id="")], [], "is Pending, expected Successful"),
        ([outcome(), outcome("invoices/b.json", txn_id="T2")], [entry(), entry("T2")], "b.json is only in samples"),
        ([], [], "a.json is only in expected.json"),
    ],
)
def test_every_difference_is_told(outcomes: list[Outcome], ledger: list[Any], said: str) -> None:
    good, text = verdict(outcomes, ledger, {"invoices/a.json": "Successful"})
    assert not good
    assert said in text


def test_refusals_are_compared_by_their_codes() -> None:
    refused = outcome(txn_id="")
    refused.take_answer(422, {"code": "x", "issues": [{"code": "b"}, {"code": "a"}]})
    assert verdict([refused], [], {"invoices/a.json": {"refused": ["a", "b"]}})[0]
    assert not verdict([refused], [], {"invoices/a.json": {"refused": ["a"]}})[0]
    assert not verdict([refused], [], {"invoices/a.json": "Successful"})[0]
