"""The arithmetic of a line: what QuickBooks computes is to the cent what the TMS computed, or it computes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

CENT = Decimal("0.01")

_LIMIT = Decimal(10) ** 10
_PRECISION = Decimal("0.00001")


@dataclass(frozen=True, slots=True)
class LineMoney:
    """Either quantity and rate, or an amount; never both."""

    quantity: Decimal | None = None
    rate: Decimal | None = None
    amount: Decimal | None = None
    left_out: str | None = None  # why quantity and rate are not sent, when the TMS gave any


@dataclass(frozen=True, slots=True)
class AmountMismatch:
    """Quantity times rate is another amount than the line says."""

    product: Decimal


def to_cents(value: Decimal) -> Decimal:
    """Round half away from zero, as QuickBooks rounds a line."""
    with localcontext() as context:
        # Ten digits and ten decimals on both sides fit without a rounding of their own.
        context.prec = 50
        return value.quantize(CENT, rounding=ROUND_HALF_UP)


def line_money(amount: Decimal, quantity: Decimal | None, rate: Decimal | None) -> LineMoney | AmountMismatch:
    """Choose what a line sends. Without both quantity and rate, the amount alone is certain."""
    if quantity is not None and rate is not None:
        return _priced(amount, quantity, rate)
    if quantity is not None and quantity == 1 and amount >= 0:
        return LineMoney(quantity=quantity, rate=amount)
    if quantity is None and rate is None:
        return LineMoney(amount=amount)
    if quantity == 1 or (rate is not None and rate == amount):
        # One of something: the amount says all there is.
        return LineMoney(amount=amount)
    return LineMoney(amount=amount, left_out="Quantity and rate go together; the amount alone is sent.")


def _priced(amount: Decimal, quantity: Decimal, rate: Decimal) -> LineMoney | AmountMismatch:
    with localcontext() as context:
        context.prec = 50
        product = to_cents(quantity * rate)
        difference = abs(product - amount)
    if difference > CENT:
        return AmountMismatch(product)
    if difference:
        return LineMoney(amount=amount, left_out=f"Quantity times rate is {product}; the amount alone is sent.")
    if not (_fits(quantity) and _fits(rate)):
        return LineMoney(amount=amount, left_out="QuickBooks holds at most five decimals; the amount alone is sent.")
    if amount < 0 and abs(quantity) == 1:
        # Discount items take no quantity, and one of something loses nothing without it.
        return LineMoney(amount=amount)
    return LineMoney(quantity=quantity, rate=rate)


def _fits(value: Decimal) -> bool:
    with localcontext() as context:
        context.prec = 50
        return abs(value) < _LIMIT and value == value.quantize(_PRECISION)
