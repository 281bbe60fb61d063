"""Public values that change from step to step: rates and masks that the step computes from counters and keys.

A step names its public values by place; at each step they follow from the counters and keys before
the block and are exact: the floats that the user's own program computes. A number is a fraction, an array float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

Monomial = tuple[int, ...]
Value = Fraction | np.ndarray
Values = Sequence[Value]


@dataclass(frozen=True)
class Number:
    """A polynomial in the public numbers of a step: coefficients of products of them, in order."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    @classmethod
    def of(cls, terms: Mapping[Monomial, Fraction]) -> Number:
        return cls(tuple(sorted((monomial, value) for monomial, value in terms.items() if value)))

    @property
    def constant(self) -> Fraction | None:
        """The value, if it is the same at every step."""
        if not self.terms:
            return Fraction(0)
        monomial, value = self.terms[0]
        return value if len(self.terms) == 1 and not monomial else None

    def at(self, values: Values) -> Fraction:
        """The value at a step where the public numbers are `values`."""
        total = Fraction(0)
        for monomial, coefficient in self.terms:
            for place in monomial:
                coefficient *= number(values[place])
            total += coefficient
        return total

    def scaled(self, factor: Fraction) -> Number:
        return Number.of({monomial: factor * value for monomial, value in self.terms})

    def paced(self, place: int) -> Number:
        """Times the public number `place`."""
        return Number.of({tuple(sorted((*monomial, place))): value for monomial, value in self.terms})

    def factored(self) -> tuple[Fraction, Number]:
        """(c, n) with c * n this number and first coefficient of n one; (0, one) for zero."""
        if not self.terms:
            return Fraction(0), ONE
        first = self.terms[0][1]
        return first, self.scaled(1 / first)


def number(value: Value) -> Fraction:
    """A public value that is a number."""
    assert isinstance(value, Fraction)
    return value


def total(numbers: Iterable[Number]) -> Number:
    terms: dict[Monomial, Fraction] = {}
    for number in numbers:
        for monomial, value in number.terms:
            terms[monomial] = terms.get(monomial, Fraction(0)) + value
    return Number.of(terms)


def constant(value: Fraction | int) -> Number:
    return Number.of({(): Fraction(value)})


ONE = constant(1)
