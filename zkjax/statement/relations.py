"""What a proof still owes: hidden values that must vanish, and quadratic relations among them.

The sub-protocols leave these behind instead of checking anything, since every value is encrypted.
The final opening discharges the linear ones, the product argument the quadratic ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zkjax.fields.mersenne61 import K
from zkjax.transcript.hidden import Hidden

HALF = K(1) / 2


@dataclass(frozen=True)
class Product:
    """weight * left * right, `weight` public."""

    weight: K
    left: Hidden
    right: Hidden


@dataclass(frozen=True)
class Quadratic:
    """sum of products = result."""

    products: tuple[Product, ...]
    result: Hidden


@dataclass
class Relations:
    """Accumulates `zeros` (each must be zero) and `quadratics` (each must hold)."""

    zeros: list[Hidden] = field(default_factory=list)
    quadratics: list[Quadratic] = field(default_factory=list)

    @property
    def products(self) -> int:
        return sum(len(quadratic.products) for quadratic in self.quadratics)


def product_sumcheck_claim(claim: Hidden, coefficients: list[Hidden], challenge: K) -> Hidden:
    """Next claim of a degree-2 sumcheck whose round sent the coefficients of X and X^2.

    g(0) + g(1) = claim determines the constant coefficient, so there is nothing to check.
    """
    linear, square = coefficients
    constant = (claim - linear - square) * HALF
    return constant + linear * challenge + square * (challenge * challenge)


def weighted_sumcheck_claim(claim: Hidden, coefficients: list[Hidden], weight: K, challenge: K) -> Hidden:
    """Next claim of a sumcheck over eq(point, x) g(x) with the equality factors taken out.

    (1 - weight) g(0) + weight g(1) = claim, where `weight` is the point's coordinate, determines
    the constant coefficient without a division (Gruen's observation in its linear form).
    """
    linear, square = coefficients
    constant = claim - (linear + square) * weight
    return constant + linear * challenge + square * (challenge * challenge)
