"""The arithmetic of a line: QuickBooks and the TMS never disagree by a cent."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.amounts import AmountMismatch, LineMoney, line_money, to_cents

amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
numbers = st.one_of(
    st.decimals(min_value=-(10**5), max_value=10**5, places=2),
    st.decimals(min_value=-(10**4), max_value=10**4, places=5),
    st.decimals(min_value=-(10**4), max_value=10**4, places=9),
)


def _as_quickbooks(money: LineMoney) -> Decimal:
    if money.amount is not None:
        return money.amount
    assert money.quantity is not None and money.rate is not None
    return (money.quantity * money.rate).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


@given(amount=amounts, quantity=st.none() | numbers, rate=st.none() | numbers)
def test_any_line_keeps_its_amount(amount, quantity, rate):
    money = line_money(amount, quantity, rate)
    if isinstance(money, LineMoney):
        assert _as_quickbooks(money) == amount


@given(quantity=numbers, rate=numbers, off=st.integers(-3, 3))
def test_a_line_near_its_product(quantity, rate, off):
    amount = to_cents(quantity * rate) + Decimal(off) / 100
    money = line_money(amount, quantity, rate)
    if abs(off) > 1:
        assert isinstance(money, AmountMismatch)
        return
    assert isinstance(money, LineMoney)
    assert _as_quickbooks(money) == amount
    assert (money.amount is None) != (money.quantity is None)
    if off:
        assert money.left_out is not None


@pytest.mark.parametrize(
    ("amount", "quantity", "rate", "sent"),
    [
        ("1850.00", "1", "1850.00", ("1", "1850.00", None)),
        ("9399.60", "3301", "2.8475", ("3301", "2.8475", None)),
        ("0.00", "1", "0", ("1", "0", None)),
        ("-36.80", "-2", "18.40", ("-2", "18.40", None)),
        ("-75.00", "1", "-75.00", (None, None, "-75.00")),
        ("212.50", None, None, (None, None, "212.50")),
        ("212.50", "1", None, ("1", "212.50", None)),
        ("212.50", "3", None, (None, None, "212.50")),
        ("212.50", None, "100", (None, None, "212.50")),
        ("100.00", "3", "33.333333", (None, None, "100.00")),
        ("888.65", "412.37", "2.155", (None, None, "888.65")),
        ("0.13", "0.5", "0.25", ("0.5", "0.25", None)),
        ("-0.13", "-0.5", "0.25", ("-0.5", "0.25", None)),
    ],
)
def test_table(amount, quantity, rate, sent):
    given = [None if text is None else Decimal(text) for text in (amount, quantity, rate)]
    money = line_money(*given)
    assert (money.quantity, money.rate, money.amount) == tuple(None if t is None else Decimal(t) for t in sent)
