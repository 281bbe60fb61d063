"""Integers that stand for real numbers."""

from __future__ import annotations

from dataclasses import dataclass

WIDE = 1 << 60


@dataclass(frozen=True)
class Placed:
    """A node of the circuit: value = integer * 2**-fraction, |integer| <= bound (WIDE: unknown).

    Behind a fold it is the value times fold.scale ** degree.
    """

    node: int
    fraction: int
    bound: int
    degree: int = 0
