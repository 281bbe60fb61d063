"""Short integers and powers of two."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from zkjax.fixedpoint.dyadic import exponent, is_short, ratio, short, written
from zkjax.fixedpoint.step import odd_part


@pytest.mark.parametrize(
    ("magnitude", "expected"), [(1.0, 0), (1.5, 1), (2.0, 1), (2.0001, 2), (0.5, -1), (0.3, -1), (2.0**-40, -40)]
)
def test_exponent_is_the_least_power_of_two_above(magnitude, expected):
    assert exponent(magnitude) == expected


def test_zero_has_no_exponent():
    with pytest.raises(ValueError, match="zero"):
        exponent(0.0)


@pytest.mark.parametrize("value", [Fraction(1), Fraction(3, 8), Fraction(-5, 64), Fraction(1 << 40), Fraction(683, 2)])
def test_short_numbers_are_exact(value):
    multiplier, power = short(value)
    assert ratio(multiplier, power) == value
    assert multiplier % 2
    assert is_short(value, 12)


def test_long_numbers_are_close_and_short():
    random = np.random.default_rng(0)
    for number in random.lognormal(sigma=20, size=200):
        for bits in (1, 8, 12):
            multiplier, power = short(Fraction(float(number)), bits)
            assert multiplier.bit_length() <= bits
            assert abs(ratio(multiplier, power) / Fraction(float(number)) - 1) <= Fraction(1, 1 << (bits - 1))


def test_a_reciprocal_that_is_no_power_of_two_is_not_short():
    assert not is_short(Fraction(1, 3), 64)
    assert not is_short(Fraction(1, 255), 64)
    assert is_short(Fraction(7, 4), 3)
    assert not is_short(Fraction(9, 4), 3)


def test_odd_part_lies_between_one_and_two():
    for value in (Fraction(1, 255), Fraction(-7), Fraction(1, 1 << 30), Fraction(3, 1 << 70), Fraction(2**61 - 1)):
        odd = odd_part(value)
        assert 1 <= odd < 2
        quotient = abs(value) / odd
        assert quotient.numerator & (quotient.numerator - 1) == 0 == quotient.denominator & (quotient.denominator - 1)


def test_written():
    assert written(Fraction(1, 8)) == "1/8"
    assert written(Fraction(3277, 1 << 15)) == "3277/2^15"
    assert written(Fraction(2, 3)) == "2/3"
    assert written(Fraction(5)) == "5"
