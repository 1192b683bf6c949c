"""How a line's quantity, rate and amount follow from one another (qbxml.md 3.1, Arithmetic)."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")
_RATE = Decimal("0.00001")


@dataclass(frozen=True)
class Figures:
    """A line's numbers after QuickBooks has completed them."""

    quantity: Decimal | None
    rate: Decimal | None
    amount: Decimal


def cents(value: Decimal) -> Decimal:
    """Rounded half up to cents, as the amounts of a form are."""
    return value.quantize(_CENT, ROUND_HALF_UP)


def complete(quantity: Decimal | None, rate: Decimal | None, amount: Decimal | None, price: Decimal) -> Figures:
    """Amount wins over rate; quantity and rate give the amount; nothing at all is one at the item's price."""
    if amount is not None:
        if quantity:
            return Figures(quantity, (amount / quantity).quantize(_RATE, ROUND_HALF_UP).normalize(), amount)
        return Figures(quantity, amount, amount)
    if quantity is None and rate is None:
        return Figures(Decimal(1), price, cents(price))
    unit = price if rate is None else rate
    return Figures(quantity, unit, cents(unit * (Decimal(1) if quantity is None else quantity)))
