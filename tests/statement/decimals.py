"""Formulas by Python's own grammar and decimal numbers: the definition that tables are compared with."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext


def erf(u: Decimal) -> Decimal:
    """Its power series, with digits to spare for the cancellation."""
    with localcontext() as context:
        context.prec = 160
        total, term, n = Decimal(0), u, 0
        while abs(term) > Decimal(10) ** -80:
            total += term / (2 * n + 1)
            n += 1
            term = -term * u * u / n
        pi = 16 * arctan_inverse(5) - 4 * arctan_inverse(239)
        return 2 * total / pi.sqrt()


def arctan_inverse(n: int) -> Decimal:
    return sum((Decimal((-1) ** k) / ((2 * k + 1) * Decimal(n) ** (2 * k + 1)) for k in range(120)), Decimal(0))


def nearest(text: str, q: int, input_fraction: int, output_fraction: int) -> int:
    """The definition, by Python's own grammar and decimal functions."""
    with localcontext() as context:
        context.prec = 60
        names = {
            "D": Decimal,
            "x": Decimal(q) / 2**input_fraction,
            "exp": Decimal.exp,
            "log": Decimal.ln,
            "sqrt": Decimal.sqrt,
            "tanh": lambda u: 1 - 2 / ((2 * u).exp() + 1),
            "erf": erf,
            "positive": lambda u: Decimal(int(u > 0)),
        }
        value = eval(re.sub(r"(\d+)", r"D(\1)", text), names)
        lifted = value * 2**output_fraction + Decimal("0.5") + Decimal(2) ** -64
        return int(lifted.to_integral_value(rounding="ROUND_FLOOR"))
